package stackrun

import (
	"bytes"
	"cmp"
	"context"
	"io"

	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stack/planfile"
	"refline/internal/stackview"
)

// PlanOptions decide what is planned.
type PlanOptions struct {
	AllowReplace   []string
	Rules          string // a file; "" is that of the configuration
	Import         string // a file with resources that exist; "" for none
	ImportExisting bool
	RevertDrift    bool
}

// PlanOutput says where plans go.
type PlanOutput struct {
	Output   string // the folder of plan files, or a file.json for one plan
	Format   string // of what is written to Place.Out: text, markdown or json
	HTML     string // files, "" for none
	Markdown string
	Comment  bool // comment on the merge request of this pipeline
	Changes  bool // return ErrChanges if there are changes
	Jobs     int  // stacks at work at the same time
}

func (o PlanOutput) folder(p *Place) stack.PlanFolder {
	return stack.PlanFolder{Dir: p.Dir, Output: o.Output}
}

// read reads the files that the options name.
func (o PlanOptions) read(ctx context.Context, p *Place, c *stack.Config) (stack.PlanOptions, error) {
	out := stack.PlanOptions{AllowReplace: o.AllowReplace, RevertDrift: o.RevertDrift, ImportExisting: o.ImportExisting}
	var err error
	if rules := cmp.Or(o.Rules, c.RulesFile()); rules != "" {
		if out.Rules, err = stack.LoadRules(ctx, rules, p.Read); err != nil {
			return out, err
		}
	}
	if o.Import == "" {
		return out, nil
	}
	if o.RevertDrift {
		return out, errs.Usage("--import and --revert-drift exclude each other: an import changes nothing else")
	}
	out.Import, err = stack.LoadImports(o.Import, p.Read)
	return out, err
}

// reachToPlan connects to the environment of targets. It checks first whatever can
// be wrong without a connection.
func (w *Work) reachToPlan(ctx context.Context, env *stack.Environment, targets []*stack.Target, o PlanOptions) (*stack.Session, stack.PlanOptions, error) {
	if err := w.Unset(targets, w.place.Getenv).Err(); err != nil {
		return nil, stack.PlanOptions{}, err
	}
	s, err := w.connect(ctx, env)
	if err != nil {
		return nil, stack.PlanOptions{}, err
	}
	if err := w.checkRef(s.Env); err != nil {
		return nil, stack.PlanOptions{}, err
	}
	po, err := o.read(ctx, w.place, s.Config)
	return s, po, err
}

// Plan makes a change set for each stack and keeps it as a plan file. It returns
// ErrRefused if a plan is refused.
func Plan(ctx context.Context, p *Place, sel Selection, names []string, o PlanOptions, out PlanOutput) error {
	if err := oneOf("--format", out.Format, "text", "markdown", "json"); err != nil {
		return err
	}
	w, err := Open(ctx, p, sel)
	if err != nil {
		return err
	}
	env, targets, err := w.choose(names)
	if err != nil {
		return err
	}
	// Earlier plans are removed first: none of them may be taken for this one.
	if err := out.folder(p).Remove(env, targets, len(names) == 0, []string{out.HTML, out.Markdown}, p.Read); err != nil {
		return err
	}
	s, po, err := w.reachToPlan(ctx, env, targets, o)
	if err != nil {
		return err
	}
	if len(targets) > 1 && (out.folder(p).Single() || len(po.Import) > 0) {
		return errs.Usage("%d stacks are planned; -o FILE and --import are for one: name it", len(targets))
	}
	r, outcomes := s.PlanAll(ctx, targets, out.Jobs, po)
	if out.HTML != "" {
		r.AddTemplates(ctx, s, targets)
	}
	if err := out.write(p, r); err != nil {
		return err
	}
	failed := p.outcomes(outcomes)
	if out.Comment && ctx.Err() == nil {
		for _, x := range outcomes {
			if x.Err != nil {
				r.Failed(x.Target, x.Err)
			}
		}
		if err := commentPlans(ctx, p, s, r); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	return out.verdict(r.Plans)
}

// write writes the plans and keeps them as files.
func (o PlanOutput) write(p *Place, r *stack.Review) error {
	for _, plan := range r.Plans {
		if err := o.keep(p, plan); err != nil {
			return err
		}
	}
	if err := o.print(p, r); err != nil {
		return err
	}
	for _, f := range []struct {
		file  string
		write func(io.Writer) error
	}{{o.HTML, r.WriteHTML}, {o.Markdown, r.WriteMarkdown}} {
		if f.file == "" {
			continue
		}
		var b bytes.Buffer
		if err := f.write(&b); err != nil {
			return err
		}
		if err := p.writeFile(f.file, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// keep writes the file of a plan, and its event for a run.
func (o PlanOutput) keep(p *Place, plan *planfile.Plan) error {
	file := o.folder(p).File(plan.StackName)
	text, err := plan.Encode()
	if err != nil {
		return err
	}
	if err := p.writeFile(file, text); err != nil {
		return err
	}
	line, err := stackview.PlanEvent(plan, file)
	if err != nil {
		return err
	}
	if err := p.appendEvent(line); err != nil {
		p.notef("the plan's event was not written: %v", pathless(err))
	}
	return nil
}

// print writes the plans to Place.Out.
func (o PlanOutput) print(p *Place, r *stack.Review) error {
	switch o.Format {
	case "json":
		stackview.Later(p.Notes, r)
		return p.writeJSON(append([]*planfile.Plan{}, r.Plans...))
	case "markdown":
		return r.WriteMarkdown(p.Out)
	default:
		return stackview.Review(p.Out, r, p.Color, o.folder(p).File)
	}
}

func (o PlanOutput) verdict(plans []*planfile.Plan) error {
	changes := false
	for _, p := range plans {
		if len(p.Refusals) > 0 {
			return ErrRefused
		}
		changes = changes || p.HasChanges()
	}
	if o.Changes && changes {
		return ErrChanges
	}
	return nil
}
