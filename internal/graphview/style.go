package graphview

// graphStyle colours the drawing. Every selector starts with its own class,
// because an SVG inside a page shares its styles with the page.
const graphStyle = `
.refline-graph{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;font-size:13px}
.refline-graph text{fill:#1f2430}
.refline-graph .stage{fill:#f4f5f8;stroke:#e3e6ec}
.refline-graph .stage-name{font-weight:600;fill:#4a5263}
.refline-graph .need{fill:none;stroke:#a3acbc;stroke-width:1.5}
.refline-graph .end{fill:#a3acbc}
.refline-graph .job>rect{fill:#fff;stroke:#d3d8e1}
.refline-graph .job>.inner{fill:none}
.refline-graph .note{font-size:11px;fill:#5d6678}
.refline-graph .ring{fill:none;stroke:#6b7486;stroke-width:1.6}
.refline-graph .line{fill:none;stroke:#6b7486;stroke-width:1.6;stroke-linecap:round;stroke-linejoin:round}
.refline-graph .full{fill:#6b7486}
.refline-graph .cut{fill:none;stroke:#fff;stroke-width:1.9;stroke-linecap:round;stroke-linejoin:round}
.refline-graph .success .full{fill:#1a7f4b}
.refline-graph .failed .full{fill:#c9302c}
.refline-graph .failed>rect{stroke:#c9302c}
.refline-graph .warned .full{fill:#b26a00}
.refline-graph .running .full,.refline-graph .manual .full{fill:#1f5fbf}
.refline-graph .running .ring,.refline-graph .manual .ring{stroke:#1f5fbf}
.refline-graph .running>rect{stroke:#1f5fbf}
.refline-graph .pending .ring,.refline-graph .pending .line,.refline-graph .waiting_for_resource .ring,.refline-graph .waiting_for_resource .line,.refline-graph .canceling .ring,.refline-graph .canceling .line{stroke:#b26a00}
.refline-graph .skipped>text{fill:#5d6678}
@media (prefers-color-scheme:dark){
.refline-graph text{fill:#e6e9f0}
.refline-graph .stage{fill:#1b1f28;stroke:#2b313d}
.refline-graph .stage-name{fill:#aeb7c7}
.refline-graph .need{stroke:#5c6678}
.refline-graph .end{fill:#5c6678}
.refline-graph .job>rect{fill:#252b37;stroke:#3b4453}
.refline-graph .job>.inner{fill:none}
.refline-graph .note,.refline-graph .skipped>text{fill:#9aa4b5}
.refline-graph .ring,.refline-graph .line{stroke:#98a2b3}
.refline-graph .full{fill:#98a2b3}
.refline-graph .cut{stroke:#14171e}
.refline-graph .success .full{fill:#4cc38a}
.refline-graph .failed .full{fill:#ff7b72}
.refline-graph .failed>rect{stroke:#ff7b72}
.refline-graph .warned .full{fill:#e3a33b}
.refline-graph .running .full,.refline-graph .manual .full{fill:#6ea8ff}
.refline-graph .running .ring,.refline-graph .manual .ring,.refline-graph .running>rect{stroke:#6ea8ff}
.refline-graph .pending .ring,.refline-graph .pending .line,.refline-graph .waiting_for_resource .ring,.refline-graph .waiting_for_resource .line,.refline-graph .canceling .ring,.refline-graph .canceling .line{stroke:#e3a33b}
}
`
