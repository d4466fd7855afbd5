package stack

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"refline/internal/stack/planfile"
)

// TextOptions decide how a plan is written as text.
type TextOptions struct {
	File  string // where the plan is kept, for the line that says how to go on
	Color bool
}

// WriteText writes a plan for people: what changes, with the values before and
// after and the line of the source, and what to do next.
func WriteText(w io.Writer, p *planfile.Plan, o TextOptions) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", headline(p))
	if p.Empty {
		b.WriteString("no changes\n")
		_, err := io.WriteString(w, b.String())
		return err
	}
	writeChanges(&b, p, o)
	if p.Origin.Dirty {
		b.WriteString("note: planned with changes that are not committed\n")
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note: %s\n", planfile.Plain(n))
	}
	fmt.Fprintf(&b, "%s\n", p.Summary())
	for _, r := range p.Refusals {
		fmt.Fprintf(&b, "refused: %s [%s]\n", planfile.Plain(r.Message), planfile.Plain(r.Rule))
		if r.Hint != "" {
			fmt.Fprintf(&b, "  %s\n", planfile.Plain(r.Hint))
		}
	}
	if o.File != "" {
		fmt.Fprintf(&b, "plan %s  %s\n", p.Digest, o.File)
		fmt.Fprintf(&b, "template: refline stack render %[1]s --env %[2]s; its diff: refline stack diff %[1]s --env %[2]s\n", p.Stack, p.Environment)
		fmt.Fprintf(&b, "%s\n", next(p, o.File))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func next(p *planfile.Plan, file string) string {
	if len(p.Refusals) > 0 {
		return "it cannot be deployed as it is"
	}
	return "review it, then: refline stack deploy " + file
}

func headline(p *planfile.Plan) string {
	state := "exists"
	if p.New {
		state = "new"
	}
	return fmt.Sprintf("%s · account %s · %s · %s, %s", p.StackName, p.Account, p.Region, state, p.Type)
}

func color(e planfile.Effect) string {
	switch e {
	case planfile.EffectRemove, planfile.EffectReplace:
		return "\x1b[31m"
	case planfile.EffectAdd, planfile.EffectImport:
		return "\x1b[32m"
	default:
		return "\x1b[33m"
	}
}

func writeChanges(b *strings.Builder, p *planfile.Plan, o TextOptions) {
	wideID, wideType := 0, 0
	for _, c := range p.Changes {
		wideID, wideType = max(wideID, width(c.ID())), max(wideType, width(c.Type))
	}
	for _, c := range p.Changes {
		symbol := c.Effect.Symbol()
		if o.Color {
			symbol = color(c.Effect) + symbol + "\x1b[0m"
		}
		line := fmt.Sprintf("  %s %s  %s  %s", symbol, pad(planfile.Plain(c.ID()), wideID), pad(planfile.Plain(c.Type), wideType), c.Sentence())
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
		writeProperties(b, c)
	}
}

func writeProperties(b *strings.Builder, c planfile.Change) {
	const most = 44
	widePath, wideValue := 0, 0
	values := make([]string, len(c.Properties))
	for i, p := range c.Properties {
		values[i] = p.Values()
		if (c.Effect == planfile.EffectAdd || c.Effect == planfile.EffectImport) && p.Before == nil {
			values[i] = planfile.Shown(p.After, p.Unknown)
		}
		widePath = max(widePath, width(p.Name()))
		if n := width(values[i]); n <= most {
			wideValue = max(wideValue, n)
		}
	}
	for i, p := range c.Properties {
		line := fmt.Sprintf("      %s  %s", pad(p.Name(), widePath), pad(values[i], wideValue))
		if p.Place != nil {
			line += "  " + planfile.Plain(p.Place.String())
		}
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
}

func width(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width(s))) }
