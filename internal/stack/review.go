package stack

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"refline/internal/stack/planfile"
)

// Review is what reviewers see at once: the plans of several stacks, and what
// is left for later.
type Review struct {
	Plans []*planfile.Plan
	Later []string
	// Templates are what the page shows of each plan's template, by the stack's
	// name in CloudFormation.
	Templates map[string]ReviewTemplate
}

// ReviewTemplate is a template as a reviewer reads it.
type ReviewTemplate struct {
	Text string
	Diff string // from the deployed one, "" when there is none
}

// AddTemplate adds a target's template and how it differs from the deployed one.
func (r *Review) AddTemplate(ctx context.Context, s *Session, t *Target) error {
	tmpl, err := s.Config.Render(ctx, t, s.Read)
	if err != nil {
		return err
	}
	one := ReviewTemplate{Text: string(tmpl.Text)}
	d, err := s.Diff(ctx, t)
	if err != nil {
		return err
	}
	if d.Exists {
		one.Diff = d.Text()
	}
	if r.Templates == nil {
		r.Templates = map[string]ReviewTemplate{}
	}
	r.Templates[t.StackName] = one
	return nil
}

// Waits adds a stack that cannot be planned before another one is deployed.
func (r *Review) Waits(t *Target, e *NotYetError) {
	r.Later = append(r.Later, fmt.Sprintf("%s waits for output %s of %s; once that is deployed: refline stack plan %s --env %s",
		t.StackName, e.Output.Key, e.StackName, t.Name, e.Env))
}

// Failed adds a stack that could not be planned.
func (r *Review) Failed(t *Target, err error) {
	reason, _, _ := strings.Cut(err.Error(), "\n")
	r.Later = append(r.Later, fmt.Sprintf("%s could not be planned: %s", t.StackName, reason))
}

// Compare adds a sentence for each stack that is planned with the outputs of
// another one whose plan may change them: by more than changes in place.
func (r *Review) Compare(c *Config, targets []*Target) {
	changes := func(stack string) bool {
		return slices.ContainsFunc(r.Plans, func(p *planfile.Plan) bool {
			return p.Stack == stack && !p.Empty && (len(p.Changes) == 0 || p.Count(planfile.EffectChange) < len(p.Changes))
		})
	}
	for _, t := range targets {
		if !slices.ContainsFunc(r.Plans, func(p *planfile.Plan) bool { return p.Stack == t.Name }) {
			continue
		}
		for _, need := range c.needs(t.Definition, t.Env) {
			if keys := c.outputsOf(t, need); len(keys) > 0 && changes(need) {
				other, _ := c.Stack(need)
				r.Later = append(r.Later, fmt.Sprintf("%s is planned with %s of %s as it is now; once the plan of %s is deployed, plan again: refline stack plan %s --env %s",
					t.StackName, strings.Join(keys, ", "), c.Target(other, t.Env).StackName, need, t.Name, t.Env.Name))
			}
		}
	}
}

// WriteMarkdown writes the plans as GitLab and GitHub show them in a comment.
func (r *Review) WriteMarkdown(w io.Writer) error {
	for i, p := range r.Plans {
		if i > 0 {
			if _, err := io.WriteString(w, "\n"); err != nil {
				return err
			}
		}
		if err := WriteMarkdown(w, p); err != nil {
			return err
		}
	}
	for _, text := range r.Later {
		if _, err := fmt.Fprintf(w, "\n> **Later**: %s\n", escapeMarkdown(text)); err != nil {
			return err
		}
	}
	return nil
}

// Comment is the text of a comment on a merge request, and the marker in it by
// which a later one replaces it: one comment for each environment of each
// configuration.
func (r *Review) Comment(c *Config, env string) (marker, text string, err error) {
	marker = "<!-- refline stack plans " + env + " -->"
	if !slices.Contains(FileNames(), c.File) { // one repository may have several
		marker = "<!-- refline stack plans " + env + " of " + c.File + " -->"
	}
	var b strings.Builder
	b.WriteString(marker + "\n")
	err = r.WriteMarkdown(&b)
	return marker, b.String(), err
}

// WriteHTML writes one self-contained page. It has no script and loads nothing.
func (r *Review) WriteHTML(w io.Writer) error {
	t, err := planTemplate()
	if err != nil {
		return err
	}
	return t.Execute(w, r)
}
