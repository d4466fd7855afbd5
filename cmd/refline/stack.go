package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/mask"
	"refline/internal/stack"
	"refline/internal/stack/awscloud"
)

func newStackCmd(e *env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "stack",
		Short: "Plan, review and deploy CloudFormation stacks",
		Long: `Work with the CloudFormation stacks of a repository: refline.stacks.yml (or
.jsonnet) names stacks and environments, and the ref chooses the environments.
docs/stacks.md describes it all.

Exit codes: those of the subcommands.`,
		Example: `  refline stack list
  refline stack plan landing --env dev
  refline stack deploy landing-dev.plan.json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("stack has no subcommand %q; see refline stack --help", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		newStackInitCmd(e), newStackListCmd(e), newStackRenderCmd(e), newStackLintCmd(e), newStackValidateCmd(e),
		newStackPublishCmd(e), newStackPlanCmd(e), newStackPlansCmd(e), newStackDeployCmd(e), newStackUpCmd(e),
		newStackStatusCmd(e), newStackEventsCmd(e), newStackOutputsCmd(e), newStackDriftCmd(e), newStackDiffCmd(e),
		newStackDeleteCmd(e), newStackRollbackCmd(e), newStackContinueCmd(e), newStackHistoryCmd(e), newStackGraphCmd(e), newStackSchemaCmd(e),
	)
	return cmd
}

// stackOptions say which configuration and environment are meant.
type stackOptions struct {
	config string
	env    string
	branch string
	tag    string
	json   bool
	jobs   int

	pretends bool // branch or tag is not what one stands on
}

func (o *stackOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "configuration (default refline.stacks.yml or .jsonnet, here or above)")
	f.StringVarP(&o.env, "env", "e", "", "environment (default the one that the ref chooses)")
	f.StringVar(&o.branch, "branch", "", "pretend to be on this branch")
	f.StringVar(&o.tag, "tag", "", "pretend to be on this tag")
	cmd.MarkFlagsMutuallyExclusive("branch", "tag")
	_ = cmd.MarkFlagFilename("config")
	o.notEmpty(cmd, "config", "env")
}

// checked runs a check of the flags before the command.
func (o *stackOptions) checked(cmd *cobra.Command, check func() error) {
	before := cmd.PreRunE
	cmd.PreRunE = func(c *cobra.Command, args []string) error {
		if before != nil {
			if err := before(c, args); err != nil {
				return err
			}
		}
		return check()
	}
}

// notEmpty refuses flags that are given and empty: what a variable that nobody
// set comes to, and would mean something else.
func (o *stackOptions) notEmpty(cmd *cobra.Command, names ...string) {
	o.checked(cmd, func() error {
		for _, name := range names {
			if f := cmd.Flags().Lookup(name); f.Changed && f.Value.String() == "" {
				return usagef("--%s is empty; leave it out, or give it a value", name)
			}
		}
		return nil
	})
}

func (o *stackOptions) bindJSON(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&o.json, "json", false, "print JSON")
}

func (o *stackOptions) bindJobs(cmd *cobra.Command) {
	cmd.Flags().IntVarP(&o.jobs, "jobs", "j", 4, "stacks at work at the same time")
	o.checked(cmd, func() error {
		if o.jobs < 1 {
			return usagef("--jobs is at least 1, got %d", o.jobs)
		}
		return nil
	})
}

// stackWork is a configuration that was read, with what surrounds it.
type stackWork struct {
	*stack.Config
	e      *env
	tree   *git.Worktree // nil when no configuration was found
	origin stack.Origin
}

// load reads the configuration and finds out what ref one stands on.
func (o *stackOptions) load(ctx context.Context, e *env) (*stackWork, error) {
	tree, err := git.Open(ctx, e.dir, e.environ())
	if err != nil {
		return nil, err
	}
	file, err := o.find(e, tree)
	if err != nil {
		return nil, err
	}
	w := &stackWork{e: e, tree: tree, origin: originOf(ctx, e, tree)}
	if o.branch != "" || o.tag != "" {
		o.pretends = w.origin.Ref != o.branch+o.tag || w.origin.Tag != (o.tag != "")
		w.origin.Ref, w.origin.Tag = o.branch+o.tag, o.tag != ""
	}
	e.source = w.read
	w.Config, err = stack.Load(ctx, file, w.read)
	return w, err
}

// find looks for the configuration here and above, up to the repository's root.
func (o *stackOptions) find(e *env, tree *git.Worktree) (string, error) {
	if o.config != "" {
		if info, err := os.Stat(e.path(o.config)); err == nil && info.IsDir() {
			return "", errs.E(errs.Invalid, "%s is a folder; --config names the file in it", o.config)
		}
		return filepath.ToSlash(o.config), nil
	}
	for dir := e.dir; ; dir = filepath.Dir(dir) {
		for _, name := range stack.FileNames() {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				rel, err := filepath.Rel(e.dir, path)
				return filepath.ToSlash(rel), err
			}
		}
		if dir == tree.Root || dir == filepath.Dir(dir) {
			return "", errs.E(errs.NotFound, "no %s here or above; make one: refline stack init", strings.Join(stack.FileNames(), ", "))
		}
	}
}

// read reads a file by its path from the folder one works in.
func (w *stackWork) read(path string) ([]byte, error) { return readFrom(w.e.dir, path) }

// maxFile is far above what a template, a plan or a library needs.
const maxFile = 256 << 20

func readFrom(dir, path string) ([]byte, error) {
	path = filepath.FromSlash(path)
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errs.E(errs.Invalid, "this is a folder, not a file")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		return nil, errs.E(errs.Invalid, "%s is larger than %d MiB", path, maxFile>>20)
	}
	return text, err
}

func (w *stackWork) ref() stack.Ref { return stack.Ref{Name: w.origin.Ref, Tag: w.origin.Tag} }

// choose finds the environment and its stacks.
func (w *stackWork) choose(o *stackOptions, names []string) (*stack.Environment, []*stack.Target, error) {
	if o.env == "" && w.origin.Ref == "" {
		return nil, nil, usagef("this is no branch and no tag; name the environment with --env")
	}
	return w.Choose(o.env, w.ref(), names)
}

// connect reaches an environment's account and refuses another one.
func (w *stackWork) connect(ctx context.Context, env *stack.Environment) (*stack.Session, error) {
	return stack.Connect(ctx, awscloud.Open, w.Config, env, w.deps())
}

func (w *stackWork) deps() stack.Deps {
	d := stack.Deps{Read: w.read, Getenv: w.e.getenv, Origin: w.origin, Notef: w.e.notef, Mask: maskValues, Clock: stack.Clock{Now: w.e.now}}
	if w.tree != nil && w.tree.InRepository() {
		d.IsAncestor = w.tree.Contains
	}
	return d
}

// maskValues hides values and their encodings; those that the masker refuses are
// hidden by package stack alone.
func maskValues(values []string) func(string) string {
	set := &mask.Set{}
	for _, v := range values {
		_ = set.Add("secret", []byte(v)) //nolint:errcheck // see above
	}
	return set.String
}

// reached is a command on stacks of an account: it loads the configuration, chooses
// environment and stacks, connects, and calls run. Ctrl-C ends ctx.
func (o *stackOptions) reached(e *env, run func(context.Context, *stack.Session, []*stack.Target) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, names []string) error {
		ctx, cancel := e.orderly(cmd.Context())
		defer cancel()
		w, err := o.load(ctx, e)
		if err != nil {
			return err
		}
		env, targets, err := w.choose(o, names)
		if err != nil {
			return err
		}
		s, err := w.connect(ctx, env)
		if err != nil {
			return err
		}
		return run(ctx, s, targets)
	}
}

// reachToPlan connects to the environment of targets after all that can be wrong
// without it.
func (o *stackOptions) reachToPlan(ctx context.Context, w *stackWork, env *stack.Environment, targets []*stack.Target, p *planFlags) (*stack.Session, stack.PlanOptions, error) {
	if err := w.Unset(targets, w.e.getenv).Err(); err != nil {
		return nil, stack.PlanOptions{}, err
	}
	s, err := w.connect(ctx, env)
	if err != nil {
		return nil, stack.PlanOptions{}, err
	}
	if err := o.sincere(s.Env); err != nil {
		return nil, stack.PlanOptions{}, err
	}
	po, err := p.options(ctx, w.e, s.Config)
	return s, po, err
}

// sincere refuses to plan a protected environment for a ref that is only
// pretended: its plans come from its own refs.
func (o *stackOptions) sincere(env *stack.Environment) error {
	if env.Protected && o.pretends {
		return errs.E(errs.Denied, "environment %s is protected: it is planned on %s itself, not by --branch or --tag; check that out", env.Name, o.branch+o.tag)
	}
	return nil
}

// originOf says what is planned and published: as the continuous integration
// tells, else as git does. Whether that is what was committed only git knows: a
// pipeline of a working tree has its changes.
func originOf(ctx context.Context, e *env, tree *git.Worktree) stack.Origin {
	o := namedOrigin(ctx, e, tree)
	if tree.InRepository() && o.Commit == tree.SHA {
		o.Dirty, _ = tree.Modified(ctx) // before the first commit nothing is known
	}
	return o
}

func namedOrigin(ctx context.Context, e *env, tree *git.Worktree) stack.Origin {
	if o, ok := stack.CIOrigin(e.getenv); ok {
		return o
	}
	o := stack.Origin{Commit: tree.SHA, Ref: tree.Branch}
	head, err := tree.Head(ctx)
	if err != nil {
		return o // outside of a repository, or before the first commit
	}
	o.Author = head.Author.String()
	if o.Ref == "" && len(head.Tags) > 0 {
		o.Ref, o.Tag = head.Tags[0], true
	}
	return o
}

// orderly ends ctx when the user asks for an end: waiting stops, and AWS goes
// on with what it does.
func (e *env) orderly(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if e.stop == nil {
		return ctx, cancel
	}
	detach := context.AfterFunc(e.stop, cancel)
	return ctx, func() { detach(); cancel() }
}

// outcomes reports what failed of many stacks, and gives the error for the
// exit code.
func (e *env) outcomes(list []stack.Outcome) error {
	var worst error
	for _, o := range list {
		var left *stack.StillRunningError
		switch {
		case o.Skipped != "":
			e.notef("%s: %s", o.Target.Name, o.Reason())
			continue
		case o.Err == nil:
			continue
		case errors.As(o.Err, &left):
			e.notef("%v", left)
			worst = o.Err
			continue
		case errors.Is(o.Err, errRed), errors.Is(o.Err, errChanges):
		default:
			report(e, o.Err)
			if !errors.Is(o.Err, context.Canceled) {
				worst = errShown
			}
		}
		if worst == nil {
			worst = o.Err
		}
	}
	return worst
}
