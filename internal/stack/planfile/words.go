package planfile

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// KnownAfter is what AWS writes for a value that only the deployment decides.
const KnownAfter = "{{changeSet:KNOWN_AFTER_APPLY}}"

// Summary counts the changes in one line.
func (p *Plan) Summary() string {
	if p.Empty {
		return "no changes"
	}
	parts := []string{
		fmt.Sprintf("%d added", p.Count(EffectAdd)),
		fmt.Sprintf("%d changed in place", p.Count(EffectChange)),
		fmt.Sprintf("%d replaced", p.Count(EffectReplace)),
		fmt.Sprintf("%d removed", p.Count(EffectRemove)),
	}
	if n := p.Count(EffectMaybe); n > 0 {
		parts = append(parts, fmt.Sprintf("%d maybe replaced", n))
	}
	if n := p.Count(EffectImport); n > 0 {
		parts = append(parts, fmt.Sprintf("%d imported", n))
	}
	return strings.Join(parts, ", ")
}

// Symbol is one character for an effect, which reads without colour too.
func (e Effect) Symbol() string {
	switch e {
	case EffectRemove:
		return "-"
	case EffectReplace:
		return "±"
	case EffectMaybe:
		return "?"
	case EffectImport:
		return ">"
	case EffectAdd:
		return "+"
	default:
		return "~"
	}
}

// Label is an effect in words.
func (e Effect) Label() string {
	switch e {
	case EffectRemove:
		return "removed"
	case EffectReplace:
		return "replaced"
	case EffectMaybe:
		return "maybe replaced"
	case EffectImport:
		return "imported"
	case EffectAdd:
		return "added"
	default:
		return "changed in place"
	}
}

// Sentence is what becomes of the resource and of what it holds.
func (c Change) Sentence() string {
	text := ""
	switch c.Effect {
	case EffectChange:
		text = "in place"
	case EffectReplace:
		text = "REPLACED"
	case EffectMaybe:
		text = "maybe REPLACED, AWS cannot know yet"
	case EffectRemove:
		text = "REMOVED"
	case EffectImport:
		text = "imported"
	}
	if c.BySchema {
		text += ", by schema"
	}
	if c.Data != "" && (c.Stateful || c.Data != DataLost) {
		text += "; " + c.DataSentence()
	}
	if c.Drift != "" {
		text += " (drifted: " + strings.ToLower(c.Drift) + ")"
	}
	return text
}

// DataSentence says what becomes of the data that a resource holds.
func (c Change) DataSentence() string {
	old := "the old one"
	if c.Effect == EffectRemove {
		old = "it"
	}
	switch c.Data {
	case DataKept:
		return old + " is kept, outside of the stack"
	case DataSnapshot:
		return old + " is deleted after a snapshot"
	case DataLost:
		return old + " is deleted"
	}
	return ""
}

// Name is the path as people write it.
func (p PropertyChange) Name() string { return Plain(strings.TrimPrefix(p.Path, "Properties/")) }

// Values is "before → after", and why. A new value is shown alone.
func (p PropertyChange) Values() string {
	text := ""
	if p.Before != nil || p.After != nil || p.Unknown {
		text = Shown(p.Before, false) + " → " + Shown(p.After, p.Unknown)
	}
	if why := p.Why(); why != "" {
		text = strings.TrimSpace(text + " (" + why + ")")
	}
	return text
}

// Why says what causes the change and whether it replaces the resource.
func (p PropertyChange) Why() string {
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

// Shown is a value in one short line.
func Shown(v *string, unknown bool) string {
	switch {
	case v != nil && strings.Contains(*v, KnownAfter), v == nil && unknown:
		return "known after the deployment"
	case v == nil:
		return "none"
	case *v == "":
		return `""`
	}
	const most = 70
	text := Plain(*v)
	if utf8.RuneCountInString(text) > most {
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

// PlainLines is Plain with the lines of the text kept.
func PlainLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Plain(lines[i])
	}
	return strings.Join(lines, "\n")
}

// unsafeRune is true for control characters and for marks that turn the
// direction of a text, by which a line would show what it is not.
func unsafeRune(r rune) bool {
	return unicode.IsControl(r) || r == utf8.RuneError || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
