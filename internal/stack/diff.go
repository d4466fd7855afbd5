package stack

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"refline/internal/stack/planfile"

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
	Parameters []planfile.PropertyChange `json:"parameters,omitempty"`
	// Tags of the stack that differ.
	Tags []planfile.PropertyChange `json:"tags,omitempty"`
}

// Same reports whether nothing differs.
func (d *TemplateDiff) Same() bool {
	return len(d.Parts) == 0 && len(d.Parameters) == 0 && len(d.Tags) == 0
}

// PartChange is a value that differs. Path is from the template's root.
type PartChange struct {
	Nested []string   `json:"nested,omitempty"` // logical ids of the nested stacks that lead to the template
	Path   string     `json:"path"`
	Before string     `json:"before,omitempty"` // JSON, "" when it is new
	After  string     `json:"after,omitempty"`  // JSON, "" when it is gone
	Place  diag.Place `json:"place"`
}

// name is the path with the nested stacks that lead to it.
func (p PartChange) name() string {
	return strings.Join(append(slices.Clone(p.Nested), p.Path), "/")
}

// Diff compares the deployed template and parameters with the repository's,
// and each nested template in a file with that of its stack.
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
	d.Exists = err == nil && st.Status != reviewInProgress && st.Status != deleteComplete
	if !d.Exists {
		return d, s.diffTemplate(ctx, d, tmpl, "", nil)
	}
	if err := s.diffTemplate(ctx, d, tmpl, st.ID, nil); err != nil {
		return nil, err
	}
	wanted, err := s.parameters(ctx, t, tmpl, current{Stack: st, exists: true})
	if err != nil {
		return nil, err
	}
	hide := s.secretsOf(t, current{Stack: st, exists: true})
	for _, p := range wanted {
		i := slices.IndexFunc(st.Parameters, func(x Pair) bool { return x.Key == p.Key })
		change := planfile.PropertyChange{Path: p.Key}
		switch {
		case p.UsePrevious || i >= 0 && (st.Parameters[i].Value == p.Value || st.Parameters[i].Value == hidden):
			continue
		case i >= 0:
			change.Before = hide.shown(st.Parameters[i], hide.parameters)
		}
		if tmpl.noEcho(p.Key) {
			p.Value = hidden
		}
		change.After = hide.shown(Pair{Key: p.Key, Value: p.Value}, hide.parameters)
		d.Parameters = append(d.Parameters, change)
	}
	return d, s.diffTags(ctx, d, t, st, hide)
}

// diffTags compares the tags of the stack with those it is to have.
func (s *Session) diffTags(ctx context.Context, d *TemplateDiff, t *Target, st Stack, hide *secrets) error {
	wanted, err := s.tags(ctx, t)
	if err != nil {
		return err
	}
	for _, p := range wanted {
		i := slices.IndexFunc(st.Tags, func(x Pair) bool { return x.Key == p.Key })
		if i >= 0 && st.Tags[i].Value == p.Value {
			continue
		}
		change := planfile.PropertyChange{Path: p.Key, After: hide.shown(p, hide.tags)}
		if i >= 0 {
			change.Before = hide.shown(st.Tags[i], hide.tags)
		}
		d.Tags = append(d.Tags, change)
	}
	for _, p := range st.Tags {
		if !slices.ContainsFunc(wanted, func(x Pair) bool { return x.Key == p.Key }) {
			d.Tags = append(d.Tags, planfile.PropertyChange{Path: p.Key, Before: hide.shown(p, hide.tags)})
		}
	}
	return nil
}

// diffTemplate compares a template with that of a stack, "" for one that does
// not exist, and goes on with the nested ones.
func (s *Session) diffTemplate(ctx context.Context, d *TemplateDiff, tmpl *Template, stackID string, trail []string) error {
	var deployed *cfn.Node
	kids := map[string]string{}
	if stackID != "" {
		text, err := s.Cloud.Template(ctx, stackID)
		if err != nil {
			return fmt.Errorf("template of %s: %w", strings.Join(append([]string{d.StackName}, trail...), "/"), err)
		}
		tree, err := cfn.Parse(d.StackName+" in AWS", []byte(text))
		if err != nil {
			return err
		}
		deployed = tree.Root
	}
	(&comparison{d, tmpl, trail}).compare(deployed, tmpl.tree.Root, nil)
	if len(tmpl.Nested) > 0 && stackID != "" {
		resources, err := s.Cloud.Resources(ctx, stackID)
		if err != nil {
			return fmt.Errorf("resources of %s: %w", d.StackName, err)
		}
		for _, r := range resources {
			if r.Type == nestedStack && r.Status != deleteComplete {
				kids[r.LogicalID] = r.PhysicalID
			}
		}
	}
	for _, r := range tmpl.resources() {
		if nested := tmpl.Nested[r.Name]; nested != nil {
			if err := s.diffTemplate(ctx, d, nested, kids[r.Name], append(slices.Clone(trail), r.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// comparison is that of one template.
type comparison struct {
	*TemplateDiff
	tmpl  *Template
	trail []string
}

// compare adds the smallest parts that differ: whole values where one side has
// none, lists as a whole when their lengths differ.
func (d *comparison) compare(before, after *cfn.Node, at cfn.Path) {
	switch {
	case len(at) == 4 && at[0] == "Resources" && at[3] == "TemplateURL" && d.tmpl.Nested[at[1]] != nil && before != nil && after != nil:
		// The file on this side, where it was staged on the other; what is in
		// it is compared by itself.
	case before != nil && after != nil && cfn.Equal(before, after):
	case before != nil && after != nil && before.Kind == cfn.Map && after.Kind == cfn.Map:
		for _, f := range before.Fields {
			d.compare(f.Value, after.Get(f.Name), step(at, f.Name))
		}
		for _, f := range after.Fields {
			if !before.Has(f.Name) {
				d.compare(nil, f.Value, step(at, f.Name))
			}
		}
	case before != nil && after != nil && before.Kind == cfn.List && after.Kind == cfn.List && len(before.Items) == len(after.Items):
		for i := range before.Items {
			d.compare(before.Items[i], after.Items[i], step(at, strconv.Itoa(i)))
		}
	case before == nil && after != nil && after.Kind == cfn.Map && len(at) < 2:
		for _, f := range after.Fields {
			d.compare(nil, f.Value, step(at, f.Name))
		}
	default:
		p := PartChange{Nested: d.trail, Path: at.String()}
		if before != nil {
			p.Before = code(before)
		}
		if after != nil {
			p.After, p.Place = code(after), d.tmpl.where(at)
		}
		d.Parts = append(d.Parts, p)
	}
}

// Text writes the difference for people, one part a line.
func (d *TemplateDiff) Text() string {
	var b strings.Builder
	for _, p := range d.Parameters {
		fmt.Fprintf(&b, "~ parameter %s  %s\n", p.Path, p.Values())
	}
	for _, p := range d.Tags {
		fmt.Fprintf(&b, "~ tag %s  %s\n", planfile.Plain(p.Path), p.Values())
	}
	for _, p := range d.Parts {
		symbol := "~"
		switch {
		case p.Before == "":
			symbol = "+"
		case p.After == "":
			symbol = "-"
		}
		fmt.Fprintf(&b, "%s %s", symbol, planfile.Plain(p.name()))
		if symbol == "~" {
			fmt.Fprintf(&b, "  %s → %s", planfile.Shown(&p.Before, false), planfile.Shown(&p.After, false))
		}
		if !p.Place.IsZero() {
			fmt.Fprintf(&b, "  %s", p.Place)
		}
		b.WriteByte('\n')
	}
	return b.String()
}
