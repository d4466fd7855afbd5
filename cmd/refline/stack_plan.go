package main

import (
	"bytes"
	"cmp"
	"context"
	"io"

	"github.com/spf13/cobra"

	"refline/internal/stack"
	"refline/internal/stack/planfile"
	"refline/internal/stackview"
)

type stackPlanOptions struct {
	stackOptions
	planFlags
	output   string
	format   string
	html     string
	markdown string
	detailed bool
	comment  bool
}

// planFlags decide what is planned; up has them too.
type planFlags struct {
	allow       []string
	rules       string
	imports     string
	importKept  bool
	revertDrift bool
}

func (p *planFlags) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&p.allow, "allow-replace", nil, "id of a resource with data that may be replaced or removed")
	f.StringVar(&p.rules, "rules", "", "file of rules that forbid more (default rules: of the configuration)")
	f.StringVar(&p.imports, "import", "", "file with a JSON list of {LogicalResourceId, ResourceType, ResourceIdentifier: {…}} that exist and are taken in")
	f.BoolVar(&p.importKept, "import-existing", false, "take in resources that exist under the names in the template, as a failed creation leaves them")
	f.BoolVar(&p.revertDrift, "revert-drift", false, "plan back what was changed by hand")
}

func newStackPlanCmd(e *env) *cobra.Command {
	o := &stackPlanOptions{}
	cmd := &cobra.Command{
		Use:   "plan [STACK…]",
		Short: "Show exactly what a deployment would change, and keep it as a plan",
		Long: `Make a change set for each stack, of one that does not exist yet too, wait for it
and show what it would add, change, replace and remove, with the values before and
after and the line of the source. The plan file holds it with a digest; refline
stack deploy executes exactly that. Replacing or removing what holds data is
refused unless allowed by --allow-replace. --comment puts the plans on the merge
request of a GitLab CI or GitHub Actions job, with the token of
REFLINE_GITLAB_TOKEN, GITLAB_TOKEN or GITHUB_TOKEN.

Exit codes: 0 good, 1 error or a refused plan, 2 usage, 4 changes are present
(with --detailed-exitcode), 130 canceled.`,
		Example: `  refline stack plan landing --env dev
  refline stack plan --env prod -o plans --html plans/plan.html --detailed-exitcode`,
		RunE: func(cmd *cobra.Command, args []string) error { return runStackPlan(cmd.Context(), e, o, args) },
	}
	o.stackOptions.bind(cmd)
	o.planFlags.bind(cmd)
	o.bindJobs(cmd)
	o.notEmpty(cmd, "output", "html", "markdown", "rules", "import")
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "", "folder for the plan files (default here), or a file.json for a single plan")
	f.StringVar(&o.format, "format", "text", "what goes to stdout: text, markdown or json")
	f.BoolVar(&o.json, "json", false, "the same as --format json")
	f.StringVar(&o.html, "html", "", "write one page for reviewers to this file")
	f.StringVar(&o.markdown, "markdown", "", "write the plans as Markdown to this file")
	f.BoolVar(&o.comment, "comment", false, "keep a comment with the plans on the merge request of this pipeline")
	f.BoolVar(&o.detailed, "detailed-exitcode", false, "exit 4 when there are changes")
	return cmd
}

// planOptions reads the files that the flags name.
func (p *planFlags) options(ctx context.Context, e *env, c *stack.Config) (stack.PlanOptions, error) {
	o := stack.PlanOptions{AllowReplace: p.allow, RevertDrift: p.revertDrift, ImportExisting: p.importKept}
	read := func(path string) ([]byte, error) { return readFrom(e.dir, path) }
	var err error
	if rules := cmp.Or(p.rules, c.RulesFile()); rules != "" {
		if o.Rules, err = stack.LoadRules(ctx, rules, read); err != nil {
			return o, err
		}
	}
	if p.imports == "" {
		return o, nil
	}
	if p.revertDrift {
		return o, usagef("--import and --revert-drift exclude each other: an import changes nothing else")
	}
	e.source = read
	o.Import, err = stack.LoadImports(p.imports, read)
	return o, err
}

func runStackPlan(ctx context.Context, e *env, o *stackPlanOptions, names []string) error {
	ctx, cancel := e.orderly(ctx)
	defer cancel()
	if o.json {
		o.format = "json"
	}
	if o.format != "text" && o.format != "markdown" && o.format != "json" {
		return usagef("--format %q is none of text, markdown, json", o.format)
	}
	w, err := o.load(ctx, e)
	if err != nil {
		return err
	}
	env, targets, err := w.choose(&o.stackOptions, names)
	if err != nil {
		return err
	}
	// Whatever comes of this plan, an earlier one must not pass for it.
	if err := o.folder(e).Remove(env, targets, len(names) == 0, []string{o.html, o.markdown}, w.read); err != nil {
		return err
	}
	s, po, err := o.reachToPlan(ctx, w, env, targets, &o.planFlags)
	if err != nil {
		return err
	}
	if len(targets) > 1 && (o.folder(e).Single() || len(po.Import) > 0) {
		return usagef("%d stacks are planned; -o FILE and --import are for one: name it", len(targets))
	}
	r, outcomes := s.PlanAll(ctx, targets, o.jobs, po)
	if o.html != "" {
		r.AddTemplates(ctx, s, targets)
	}
	if err := o.write(e, r); err != nil {
		return err
	}
	failed := e.outcomes(outcomes)
	if o.comment && ctx.Err() == nil {
		for _, out := range outcomes {
			if out.Err != nil {
				r.Failed(out.Target, out.Err)
			}
		}
		if err := commentPlans(ctx, e, s, r); err != nil {
			return err
		}
	}
	if failed != nil {
		return failed
	}
	return o.verdict(r.Plans)
}

// write prints the plans and keeps them as files.
func (o *stackPlanOptions) write(e *env, r *stack.Review) error {
	for _, p := range r.Plans {
		file := o.folder(e).File(p.StackName)
		text, err := p.Encode()
		if err != nil {
			return err
		}
		if err := e.writeFile(file, text); err != nil {
			return err
		}
		line, err := stackview.PlanEvent(p, file)
		if err != nil {
			return err
		}
		if err := e.appendEvent(line); err != nil {
			e.notef("the plan's event was not written: %v", unwrapPath(err))
		}
	}
	if err := o.print(e, r); err != nil {
		return err
	}
	for _, f := range []struct {
		file  string
		write func(io.Writer) error
	}{{o.html, r.WriteHTML}, {o.markdown, r.WriteMarkdown}} {
		if f.file == "" {
			continue
		}
		var b bytes.Buffer
		if err := f.write(&b); err != nil {
			return err
		}
		if err := e.writeFile(f.file, b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// print writes the plans to stdout.
func (o *stackPlanOptions) print(e *env, r *stack.Review) error {
	switch o.format {
	case "json":
		stackview.Later(e.notes(), r)
		return e.printJSON(append([]*planfile.Plan{}, r.Plans...))
	case "markdown":
		return r.WriteMarkdown(e.stdout)
	default:
		return stackview.Review(e.stdout, r, e.color(), o.folder(e).File)
	}
}

func (o *stackPlanOptions) folder(e *env) stack.PlanFolder {
	return stack.PlanFolder{Dir: e.dir, Output: o.output}
}

func (o *stackPlanOptions) verdict(plans []*planfile.Plan) error {
	changes := false
	for _, p := range plans {
		if len(p.Refusals) > 0 {
			return errShown
		}
		changes = changes || p.HasChanges()
	}
	if o.detailed && changes {
		return errChanges
	}
	return nil
}
