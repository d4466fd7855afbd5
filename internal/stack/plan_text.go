package stack

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// TextOptions decide how a plan is written as text.
type TextOptions struct {
	File  string // where the plan is kept, for the line that says how to go on
	Color bool
}

// WriteText writes a plan for people: what changes, with the values before and
// after and the line of the source, and what to do next.
func (p *Plan) WriteText(w io.Writer, o TextOptions) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", p.headline())
	if p.Empty {
		b.WriteString("no changes\n")
		_, err := io.WriteString(w, b.String())
		return err
	}
	p.writeChanges(&b, o)
	if p.Origin.Dirty {
		b.WriteString("note: planned with changes that are not committed\n")
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "note: %s\n", Plain(n))
	}
	fmt.Fprintf(&b, "%s\n", p.Summary())
	for _, r := range p.Refusals {
		fmt.Fprintf(&b, "refused: %s [%s]\n", Plain(r.Message), Plain(r.Rule))
		if r.Hint != "" {
			fmt.Fprintf(&b, "  %s\n", Plain(r.Hint))
		}
	}
	if o.File != "" {
		fmt.Fprintf(&b, "plan %s  %s\n%s\n", p.Digest, o.File, p.next(o.File))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (p *Plan) next(file string) string {
	if len(p.Refusals) > 0 {
		return "it will not be deployed as it is"
	}
	return "review it, then: refline stack deploy " + file
}

func (p *Plan) headline() string {
	state := "exists"
	if p.New {
		state = "new"
	}
	return fmt.Sprintf("%s · account %s · %s · %s, %s", p.StackName, p.Account, p.Region, state, p.Type)
}

// Summary counts the changes in one line.
func (p *Plan) Summary() string {
	if p.Empty {
		return "no changes"
	}
	parts := []string{
		fmt.Sprintf("%d added", p.Count(Added)),
		fmt.Sprintf("%d changed in place", p.Count(Changed)),
		fmt.Sprintf("%d replaced", p.Count(Replaced)),
		fmt.Sprintf("%d removed", p.Count(Removed)),
	}
	if n := p.Count(Maybe); n > 0 {
		parts = append(parts, fmt.Sprintf("%d maybe replaced", n))
	}
	if n := p.Count(Imported); n > 0 {
		parts = append(parts, fmt.Sprintf("%d imported", n))
	}
	return strings.Join(parts, ", ")
}

// Symbol is one character for an effect, which reads without colour too.
func (e Effect) Symbol() string {
	switch e {
	case Removed:
		return "-"
	case Replaced:
		return "±"
	case Maybe:
		return "?"
	case Imported:
		return ">"
	case Added:
		return "+"
	default:
		return "~"
	}
}

func (e Effect) color() string {
	switch e {
	case Removed, Replaced:
		return "\x1b[31m"
	case Added, Imported:
		return "\x1b[32m"
	default:
		return "\x1b[33m"
	}
}

func (p *Plan) writeChanges(b *strings.Builder, o TextOptions) {
	wideID, wideType := 0, 0
	for _, c := range p.Changes {
		wideID, wideType = max(wideID, width(c.ID())), max(wideType, width(c.Type))
	}
	for _, c := range p.Changes {
		symbol := c.Effect.Symbol()
		if o.Color {
			symbol = c.Effect.color() + symbol + "\x1b[0m"
		}
		line := fmt.Sprintf("  %s %s  %s  %s", symbol, pad(Plain(c.ID()), wideID), pad(Plain(c.Type), wideType), c.sentence())
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
		c.writeProperties(b)
	}
}

// sentence says what becomes of the resource and of what it holds.
func (c Change) sentence() string {
	text := ""
	switch c.Effect {
	case Changed:
		text = "in place"
	case Replaced:
		text = "REPLACED"
	case Maybe:
		text = "perhaps REPLACED, AWS cannot know yet"
	case Removed:
		text = "REMOVED"
	case Imported:
		text = "imported"
	}
	if c.Data != "" && (c.Stateful || c.Data != Lost) {
		text += dataSentence(c)
	}
	if c.Drift != "" {
		text += " (drifted: " + strings.ToLower(c.Drift) + ")"
	}
	return text
}

func (c Change) writeProperties(b *strings.Builder) {
	const most = 44
	widePath, wideValue := 0, 0
	for _, p := range c.Properties {
		widePath = max(widePath, width(p.Name()))
		if n := width(p.values()); n <= most {
			wideValue = max(wideValue, n)
		}
	}
	for _, p := range c.Properties {
		line := fmt.Sprintf("      %s  %s", pad(p.Name(), widePath), pad(p.values(), wideValue))
		if p.Place != nil {
			line += "  " + Plain(p.Place.String())
		}
		b.WriteString(strings.TrimRight(line, " "))
		b.WriteByte('\n')
	}
}

// Name is the path as people write it.
func (p PropertyChange) Name() string { return Plain(strings.TrimPrefix(p.Path, "Properties/")) }

// values is "before → after", and why.
func (p PropertyChange) values() string {
	text := ""
	if p.Before != nil || p.After != nil || p.Unknown {
		text = shown(p.Before, false) + " → " + shown(p.After, p.Unknown)
	}
	if why := p.why(); why != "" {
		text = strings.TrimSpace(text + " (" + why + ")")
	}
	return text
}

// why says what causes the change and whether it replaces the resource.
func (p PropertyChange) why() string {
	var why []string
	if p.Cause != "" {
		why = append(why, "by "+Plain(p.Cause))
	}
	switch p.Replaces {
	case "always":
		why = append(why, "replaces")
	case "maybe":
		why = append(why, "may replace")
	}
	return strings.Join(why, ", ")
}

func shown(v *string, unknown bool) string {
	switch {
	case v != nil && strings.Contains(*v, knownAfter), v == nil && unknown:
		return "known after the deployment"
	case v == nil:
		return "none"
	case *v == "":
		return `""`
	}
	const most = 70
	text := Plain(*v)
	if width(text) > most {
		runes := []rune(text)
		text = string(runes[:most-1]) + "…"
	}
	return text
}

// Plain makes a text of somebody else fit for one line of a terminal.
func Plain(s string) string {
	if strings.IndexFunc(s, unsafeRune) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case unsafeRune(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unsafeRune is true for control characters and for marks that turn the
// direction of a text, by which a line would show what it is not.
func unsafeRune(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// visible is Plain with the lines of the text kept.
func visible(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Plain(lines[i])
	}
	return strings.Join(lines, "\n")
}

func width(s string) int { return utf8.RuneCountInString(s) }

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-width(s))) }
