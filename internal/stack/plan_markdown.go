package stack

import (
	"fmt"
	"io"
	"strings"

	"refline/internal/stack/planfile"
)

// marker is a line that no reader sees, by which the comment about a stack is
// found again.
func marker(p *planfile.Plan) string {
	return "<!-- refline plan " + p.StackName + " " + p.Account + " " + p.Region + " -->"
}

// WriteMarkdown writes a plan as GitLab and GitHub show it in a comment.
func WriteMarkdown(w io.Writer, p *planfile.Plan) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n### Plan of %s: %s\n\n", marker(p), tick(p.StackName), p.Summary())
	fmt.Fprintf(&b, "Account %s · %s · %s", p.Account, p.Region, p.Type)
	if p.Origin.Ref != "" {
		fmt.Fprintf(&b, " · %s", tick(Ref{Name: p.Origin.Ref, Tag: p.Origin.Tag}.String()))
	}
	if p.Origin.Commit != "" {
		fmt.Fprintf(&b, " · %s", tick(p.Origin.Commit[:min(len(p.Origin.Commit), 12)]))
	}
	if p.Origin.Dirty {
		b.WriteString(", with changes that are not committed")
	}
	b.WriteString("\n")
	for _, r := range p.Refusals {
		fmt.Fprintf(&b, "\n> **Refused** (%s): %s", tick(r.Rule), escapeMarkdown(r.Message))
		if r.Hint != "" {
			fmt.Fprintf(&b, "<br>%s", escapeMarkdown(r.Hint))
		}
		b.WriteString("\n")
	}
	for _, n := range p.Notes {
		fmt.Fprintf(&b, "\n> %s\n", escapeMarkdown(n))
	}
	if len(p.Changes) > 0 {
		b.WriteString("\n| | Resource | Type | |\n|---|---|---|---|\n")
		for _, c := range p.Changes {
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", tick(c.Effect.Symbol()), cell(c.ID()), cell(c.Type), escapeMarkdown(c.Sentence()))
		}
	}
	markdownProperties(&b, p)
	if p.Digest != "" && !p.Empty {
		fmt.Fprintf(&b, "\nDigest %s\n", tick(p.Digest))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func markdownProperties(b *strings.Builder, p *planfile.Plan) {
	for _, c := range p.Changes {
		if len(c.Properties) == 0 {
			continue
		}
		fmt.Fprintf(b, "\n<details><summary>%s %s</summary>\n\n| Property | Before | After | | Source |\n|---|---|---|---|---|\n",
			escapeMarkdown(c.Effect.Symbol()), escapeMarkdown(c.ID()))
		for _, x := range c.Properties {
			place := ""
			if x.Place != nil {
				place = cell(x.Place.String())
			}
			before, after := sides(x)
			fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", cell(x.Name()), before, after, escapeMarkdown(x.Why()), place)
		}
		b.WriteString("\n</details>\n")
	}
}

func sides(p planfile.PropertyChange) (before, after string) {
	side := func(v *string, unknown bool) string {
		text := planfile.Shown(v, unknown)
		if v == nil || strings.Contains(*v, planfile.KnownAfter) || *v == "" {
			return "*" + text + "*"
		}
		return cell(text)
	}
	return side(p.Before, false), side(p.After, p.Unknown)
}

// tick is a code span that no text breaks out of.
func tick(s string) string {
	s = planfile.Plain(s)
	fence := "`"
	for strings.Contains(s, fence) {
		fence += "`"
	}
	if len(fence) > 1 || strings.TrimSpace(s) != s {
		s = " " + s + " "
	}
	return fence + s + fence
}

// cell is a code span in a table, where | ends a cell even inside of code.
func cell(s string) string { return strings.ReplaceAll(tick(s), "|", `\|`) }

func escapeMarkdown(s string) string {
	var b strings.Builder
	for _, r := range planfile.Plain(s) {
		if r == '<' {
			b.WriteString("&lt;")
			continue
		}
		if r == '&' {
			b.WriteString("&amp;")
			continue
		}
		if strings.ContainsRune("\\`*_{}[]()#+-!|>~@", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
