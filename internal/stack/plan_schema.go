package stack

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"refline/internal/cfn"
	"refline/internal/cfn/lint"
	"refline/internal/diag"
	"refline/internal/stack/planfile"
)

// deployedTemplate reads the template that the stack of a change set has, when
// somebody asks. It is nil when there is none or it cannot be read: it only adds
// to what the service says.
func (s *Session) deployedTemplate(ctx context.Context, set ChangeSet) func() *cfn.Template {
	return sync.OnceValue(func() *cfn.Template {
		text, err := patiently(ctx, s, func() (string, error) { return s.Cloud.Template(ctx, set.StackID) })
		if err != nil {
			return nil
		}
		t, err := cfn.Parse(set.StackName+" in AWS", []byte(text))
		if err != nil {
			return nil
		}
		return t
	})
}

// bySchema decides what a change does to a resource when the service does not
// say whether it replaces it: properties that can only be set at creation do. A
// service that does not say what changes either is helped by both templates.
func bySchema(c *planfile.Change, rc ResourceChange, deployed func() *cfn.Template, tmpl *Template, trail []string) error {
	if len(c.Properties) == 0 {
		if old := deployed(); old != nil {
			before, after := old.At(cfn.Path{"Resources", c.LogicalID}), tmpl.resource(trail, c.LogicalID)
			if before != nil && after != nil {
				c.Properties = fromContexts(string(before.JSON()), string(after.JSON()), func(below ...string) *diag.Place {
					at := tmpl.Place(trail, c.LogicalID, below...)
					return &at
				})
			}
		}
	}
	for i := range c.Properties {
		p := &c.Properties[i]
		path, ok := strings.CutPrefix(p.Path, "Properties/")
		if !ok || p.Replaces != "" {
			continue
		}
		replaces, err := lint.Replaces(rc.Type, strings.Split(path, "/"))
		if err != nil {
			return err
		}
		switch replaces {
		case lint.ReplacementAlways:
			p.Replaces, c.Effect, c.BySchema = "always", planfile.EffectReplace, true
		case lint.ReplacementMaybe:
			p.Replaces = "maybe"
			if c.Effect == planfile.EffectChange {
				c.Effect, c.BySchema = planfile.EffectMaybe, true
			}
		}
	}
	return nil
}

// otherChanges says what changes when no resource does.
func (s *Session) otherChanges(ctx context.Context, p *planfile.Plan, tmpl *Template) string {
	const text = "no resource changes; "
	d := &TemplateDiff{StackName: p.StackName}
	if p.Type != planfile.ChangeSetUpdate || s.diffTemplate(ctx, d, tmpl, p.StackID, nil) != nil {
		return text + "outputs, metadata or conditions of the template do"
	}
	var parts []string
	for _, part := range d.Parts {
		parts = append(parts, part.name())
	}
	if len(parts) == 0 {
		return text + "parameters or tags of the stack do"
	}
	const most = 20
	if len(parts) > most {
		parts = append(parts[:most], fmt.Sprintf("%d more", len(parts)-most))
	}
	return text + "the template differs in " + strings.Join(parts, ", ")
}
