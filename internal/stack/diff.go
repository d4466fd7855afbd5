package stack

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/errs"
)

// TemplateDiff is how a repository's template differs from the one that is
// deployed, without asking what a deployment would do.
type TemplateDiff struct {
	StackName string       `json:"stackName"`
	Exists    bool         `json:"exists"`
	Parts     []PartChange `json:"parts"`
	// Parameters that the configuration gives other values than the stack has.
	Parameters []PropertyChange `json:"parameters,omitempty"`
}

// PartChange is a value that differs. Path is from the template's root.
type PartChange struct {
	Path   string     `json:"path"`
	Before string     `json:"before,omitempty"` // JSON, "" when it is new
	After  string     `json:"after,omitempty"`  // JSON, "" when it is gone
	Place  diag.Place `json:"place"`
}

// Diff compares the deployed template and parameters with the repository's.
// Nested templates are not looked into.
func (s *Session) Diff(ctx context.Context, t *Target) (*TemplateDiff, error) {
	tmpl, err := s.Config.Render(ctx, t, s.Read)
	if err != nil {
		return nil, err
	}
	d := &TemplateDiff{StackName: t.StackName, Parts: []PartChange{}}
	st, err := s.Cloud.Stack(ctx, t.StackName)
	if err != nil && !errs.Is(err, errs.NotFound) {
		return nil, fmt.Errorf("diff %s: %w", t.StackName, err)
	}
	var deployed *cfn.Node
	if err == nil && st.Status != reviewInProgress {
		d.Exists = true
		text, err := s.Cloud.Template(ctx, t.StackName)
		if err != nil {
			return nil, fmt.Errorf("template of %s: %w", t.StackName, err)
		}
		tree, err := cfn.Parse(t.StackName+" in AWS", []byte(text))
		if err != nil {
			return nil, err
		}
		deployed = tree.Root
	}
	d.compare(tmpl, deployed, tmpl.tree.Root, nil)
	if !d.Exists {
		return d, nil
	}
	wanted, err := s.parameters(ctx, t, tmpl, current{Stack: st, exists: true})
	if err != nil {
		return nil, err
	}
	for _, p := range wanted {
		i := slices.IndexFunc(st.Parameters, func(x Pair) bool { return x.Key == p.Key })
		if tmpl.noEcho(p.Key) {
			p.Value = "****"
		}
		change := PropertyChange{Path: p.Key, After: &p.Value}
		switch {
		case p.UsePrevious || i >= 0 && (st.Parameters[i].Value == p.Value || st.Parameters[i].Value == "****"):
			continue
		case i >= 0:
			change.Before = &st.Parameters[i].Value
		}
		d.Parameters = append(d.Parameters, change)
	}
	return d, nil
}

// compare adds the smallest parts that differ: whole values where one side has
// none, lists as a whole when their lengths differ.
func (d *TemplateDiff) compare(tmpl *Template, before, after *cfn.Node, at cfn.Path) {
	switch {
	case before != nil && after != nil && cfn.Equal(before, after):
	case before != nil && after != nil && before.Kind == cfn.Map && after.Kind == cfn.Map:
		for _, f := range before.Fields {
			d.compare(tmpl, f.Value, after.Get(f.Name), step(at, f.Name))
		}
		for _, f := range after.Fields {
			if !before.Has(f.Name) {
				d.compare(tmpl, nil, f.Value, step(at, f.Name))
			}
		}
	case before != nil && after != nil && before.Kind == cfn.List && after.Kind == cfn.List && len(before.Items) == len(after.Items):
		for i := range before.Items {
			d.compare(tmpl, before.Items[i], after.Items[i], step(at, strconv.Itoa(i)))
		}
	case before == nil && after != nil && after.Kind == cfn.Map && len(at) < 2:
		for _, f := range after.Fields {
			d.compare(tmpl, nil, f.Value, step(at, f.Name))
		}
	default:
		p := PartChange{Path: at.String()}
		if before != nil {
			p.Before = code(before)
		}
		if after != nil {
			p.After, p.Place = code(after), tmpl.where(at)
		}
		d.Parts = append(d.Parts, p)
	}
}

// Text writes the difference for people, one part a line.
func (d *TemplateDiff) Text() string {
	var b strings.Builder
	for _, p := range d.Parameters {
		fmt.Fprintf(&b, "~ parameter %s  %s\n", p.Path, p.values())
	}
	for _, p := range d.Parts {
		symbol := "~"
		switch {
		case p.Before == "":
			symbol = "+"
		case p.After == "":
			symbol = "-"
		}
		fmt.Fprintf(&b, "%s %s", symbol, Plain(p.Path))
		if symbol == "~" {
			fmt.Fprintf(&b, "  %s → %s", shown(&p.Before, false), shown(&p.After, false))
		}
		if !p.Place.IsZero() {
			fmt.Fprintf(&b, "  %s", p.Place)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
