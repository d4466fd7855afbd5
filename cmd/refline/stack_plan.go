package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/stack/planfile"

	"github.com/spf13/cobra"

	"refline/internal/stack"
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
	rules := p.rules
	if rules == "" && c.Rules != "" {
		rules = filepath.ToSlash(filepath.Join(filepath.Dir(c.File), c.Rules))
	}
	var err error
	if rules != "" {
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
	if err := o.removeOld(e, env, targets, len(names) == 0); err != nil {
		return err
	}
	if err := w.Unset(targets, e.getenv).Err(); err != nil {
		return err
	}
	s, err := w.connect(ctx, env)
	if err != nil {
		return err
	}
	if err := o.sincere(s.Env); err != nil {
		return err
	}
	po, err := o.planFlags.options(ctx, e, s.Config)
	if err != nil {
		return err
	}
	if len(targets) > 1 && (strings.HasSuffix(o.output, ".json") || len(po.Import) > 0) {
		return usagef("%d stacks are planned; -o FILE and --import are for one: name it", len(targets))
	}
	plans := map[string]*planfile.Plan{}
	var turn turns
	outcomes := s.Config.EachAlone(ctx, targets, o.jobs, func(ctx context.Context, t *stack.Target) error {
		p, err := s.Plan(ctx, t, po)
		turn.do(func() { plans[t.Name] = p })
		return err
	})
	r := &stack.Review{}
	for i, out := range outcomes {
		var notYet *stack.NotYetError
		if errors.As(out.Err, &notYet) && slices.ContainsFunc(targets, func(t *stack.Target) bool { return t.Name == notYet.Output.Stack }) {
			r.Waits(out.Target, notYet)
			outcomes[i].Err = nil
		} else if out.Err == nil {
			r.Plans = append(r.Plans, plans[out.Target.Name])
		}
	}
	r.Compare(s.Config, targets)
	if o.html != "" {
		for _, t := range targets {
			if p := plans[t.Name]; p != nil {
				if err := r.AddTemplate(ctx, s, t); err != nil {
					e.notef("%s: the page does not have the template: %v", t.StackName, err)
				}
			}
		}
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
	for i, p := range r.Plans {
		if i > 0 && o.format == "text" {
			fmt.Fprintln(e.stdout)
		}
		file := o.fileOf(p.StackName)
		text, err := p.Encode()
		if err != nil {
			return err
		}
		if err := e.writeFile(file, text); err != nil {
			return err
		}
		if o.format == "text" {
			if err := stack.WriteText(e.stdout, p, stack.TextOptions{File: filepath.ToSlash(file), Color: e.color()}); err != nil {
				return err
			}
		}
		e.tellPlan(p, file)
	}
	switch o.format {
	case "json":
		if err := e.printJSON(append([]*planfile.Plan{}, r.Plans...)); err != nil {
			return err
		}
		for _, text := range r.Later {
			e.notef("later: %s", text)
		}
	case "markdown":
		if err := r.WriteMarkdown(e.stdout); err != nil {
			return err
		}
	default:
		if len(r.Plans) > 0 && len(r.Later) > 0 {
			fmt.Fprintln(e.stdout)
		}
		for _, text := range r.Later {
			fmt.Fprintf(e.stdout, "later: %s\n", text)
		}
	}
	if o.html != "" {
		var b strings.Builder
		if err := r.WriteHTML(&b); err != nil {
			return err
		}
		if err := e.writeFile(o.html, []byte(b.String())); err != nil {
			return err
		}
	}
	if o.markdown != "" {
		var b strings.Builder
		if err := r.WriteMarkdown(&b); err != nil {
			return err
		}
		return e.writeFile(o.markdown, []byte(b.String()))
	}
	return nil
}

func (o *stackPlanOptions) fileOf(stackName string) string {
	if strings.HasSuffix(o.output, ".json") {
		return o.output
	}
	return filepath.Join(o.output, planfile.FileName(stackName))
}

// removeOld removes what an earlier plan of the same stacks wrote. A plan of
// all stacks also removes the plan files of stacks that the environment does
// not have any more.
func (o *stackPlanOptions) removeOld(e *env, env *stack.Environment, targets []*stack.Target, all bool) error {
	old := []string{o.html, o.markdown}
	for _, t := range targets {
		old = append(old, o.fileOf(t.StackName))
	}
	if all && !strings.HasSuffix(o.output, ".json") {
		entries, err := os.ReadDir(e.path(o.output))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errs.E(errs.Invalid, "folder %s: %w", o.output, unwrapPath(err))
		}
		for _, entry := range entries {
			file := filepath.Join(o.output, entry.Name())
			if !entry.Type().IsRegular() || !strings.HasSuffix(file, planfile.Suffix) {
				continue
			}
			text, err := readFrom(e.dir, file)
			if err != nil {
				continue
			}
			if p, err := planfile.Decode(file, text); err == nil && p.Environment == env.Name && p.Account == env.Account && p.Region == env.Region {
				old = append(old, file)
			}
		}
	}
	for _, file := range old {
		if file == "" {
			continue
		}
		if err := os.Remove(e.path(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return errs.E(errs.Invalid, "remove the earlier plan %s: %w", filepath.ToSlash(file), unwrapPath(err))
		}
	}
	return nil
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

// tellPlan writes the event of a plan to $REFLINE_EVENTS, where a run shows it.
func (e *env) tellPlan(p *planfile.Plan, file string) {
	path := e.getenv("REFLINE_EVENTS")
	if path == "" {
		return
	}
	var text strings.Builder
	if err := stack.WriteMarkdown(&text, p); err != nil {
		return
	}
	line, err := json.Marshal(map[string]any{"type": "plan", "title": p.StackName + ": " + p.Summary(), "text": text.String(),
		"digest": p.Digest, "file": filepath.ToSlash(file), "environment": p.Environment, "refused": len(p.Refusals) > 0})
	if err != nil {
		return
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		e.notef("the plan's event was not written: %v", unwrapPath(err))
		return
	}
	defer f.Close()
	if _, err := f.Write(append(line, '\n')); err != nil {
		e.notef("the plan's event was not written: %v", unwrapPath(err))
	}
}
