package graphview

// graphStyle colours the drawing. Every selector starts with its own class,
// because an SVG inside a page shares its styles with the page.
const graphStyle = `
.refline-graph{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;font-size:13px}
.refline-graph text{fill:#1c222b}
.refline-graph .stage{fill:#f0f3f5;stroke:#dde0e3}
.refline-graph .stage-name{font-weight:600;fill:#545b66}
.refline-graph .need{fill:none;stroke:#808790;stroke-width:1.5}
.refline-graph .end{fill:#808790}
.refline-graph .job>rect{fill:#fff;stroke:#dde0e3}
.refline-graph .job>.inner{fill:none}
.refline-graph .note{font-size:11px;fill:#545b66}
.refline-graph .ring{fill:none;stroke:#545b66;stroke-width:1.6}
.refline-graph .line{fill:none;stroke:#545b66;stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round}
.refline-graph .full{fill:#545b66}
.refline-graph .cut{fill:none;stroke:#fff;stroke-width:1.9;stroke-linecap:round;stroke-linejoin:round}
.refline-graph .success .full{fill:#1a9480}
.refline-graph .failed .full{fill:#bb0916}
.refline-graph .failed>rect{stroke:#bb0916}
.refline-graph .warned .full{fill:#be7100}
.refline-graph .running .full,.refline-graph .manual .full{fill:#2751b8}
.refline-graph .running .ring,.refline-graph .manual .line{stroke:#2751b8}
.refline-graph .running>rect{stroke:#2751b8}
.refline-graph .pending .ring,.refline-graph .pending .line,.refline-graph .waiting_for_resource .ring,.refline-graph .waiting_for_resource .line,.refline-graph .canceling .ring,.refline-graph .canceling .line{stroke:#be7100}
.refline-graph .skipped>text{fill:#545b66}
@media (prefers-color-scheme:dark){
.refline-graph text{fill:#e5e8ec}
.refline-graph .stage{fill:#171b21;stroke:#2c3039}
.refline-graph .stage-name{fill:#a2a8b2}
.refline-graph .need{stroke:#6d7582}
.refline-graph .end{fill:#6d7582}
.refline-graph .job>rect{fill:#111419;stroke:#2c3039}
.refline-graph .job>.inner{fill:none}
.refline-graph .note,.refline-graph .skipped>text{fill:#a2a8b2}
.refline-graph .ring,.refline-graph .line{stroke:#a2a8b2}
.refline-graph .full{fill:#a2a8b2}
.refline-graph .cut{stroke:#111419}
.refline-graph .success .full{fill:#6ad8bd}
.refline-graph .failed .full{fill:#f9635e}
.refline-graph .failed>rect{stroke:#f9635e}
.refline-graph .warned .full{fill:#f4c352}
.refline-graph .running .full,.refline-graph .manual .full{fill:#89abfd}
.refline-graph .running .ring,.refline-graph .manual .line,.refline-graph .running>rect{stroke:#89abfd}
.refline-graph .pending .ring,.refline-graph .pending .line,.refline-graph .waiting_for_resource .ring,.refline-graph .waiting_for_resource .line,.refline-graph .canceling .ring,.refline-graph .canceling .line{stroke:#f4c352}
}
`
