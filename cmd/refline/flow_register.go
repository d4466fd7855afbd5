package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/termview"
)

type flowRegisterOptions struct {
	flowOptions
	flowLimits
	scheduleFlags
	repo, name          string
	branch, tag, commit string
	followTag, dryRun   bool
}

// flowLimits are what registering and setting a flow share.
type flowLimits struct {
	runtime, whenBusy     string
	concurrency, priority int
	slots, inputs         []string
}

func (o *flowLimits) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.runtime, "runtime", "", "name of the runtime that its jobs run in")
	f.StringArrayVar(&o.inputs, "input", nil, "NAME=VALUE for spec:inputs, or of a script; each run can give others; repeatable")
	f.IntVar(&o.concurrency, "concurrency", 0, "runs at the same time (default any)")
	f.StringVar(&o.whenBusy, "when-busy", "", "what becomes of a run above that: queue, skip or cancel-old (default queue)")
	f.StringArrayVar(&o.slots, "slot", nil, "name of a slot that a run takes; repeatable")
	f.IntVar(&o.priority, "priority", 0, "jobs of a higher priority start first, from -100 to 100")
}

func newFlowRegisterCmd(e *env) *cobra.Command {
	o := &flowRegisterOptions{}
	cmd := &cobra.Command{
		Use:   "register [PATH…]",
		Short: "Register files of a repository as flows",
		Long: `Register files of a repository as flows: a pipeline, Jsonnet, or a script such as
flows/hello.py; without PATH the project's pipeline file. In a checkout the
repository is its remote; else name it with --repo or --project.

Of a branch each run takes the newest commit; of a tag the commit that it has now,
and a tag that moves stops the run; of a commit that commit. Without --branch, --tag
or --commit the tag is BUILD_TAG if the repository has it, else the branch is
GIT_BRANCH, else the one that is checked out.

With --cron or --every that becomes the flow's schedule; others of it are removed.

The name is the file's, with @BRANCH for another branch than the default. A flow of
the same name is changed and keeps its history. Nothing is registered when a file
has errors.

Exit codes: 0 registered, 1 error, 2 usage.`,
		Example: `  refline flow register flows/hello.py
  refline flow register flows/ --runtime python312
  refline flow register etl.yml --repo https://git.example.com/data/flows.git --tag v1.4.0
  refline flow register flows/hello.py --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error { return runFlowRegister(cmd.Context(), e, o, args) },
	}
	o.flowOptions.bind(cmd)
	o.flowLimits.bind(cmd)
	o.scheduleFlags.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.repo, "repo", "", "URL of the repository (default: the remote of the checkout)")
	f.StringVar(&o.name, "name", "", "name of the flow (default: the file's)")
	f.StringVar(&o.branch, "branch", "", "branch whose newest commit each run takes")
	f.StringVar(&o.tag, "tag", "", "tag whose commit runs take")
	f.StringVar(&o.commit, "commit", "", "commit that runs take")
	f.BoolVar(&o.followTag, "follow-tag", false, "take a tag where it is at each run, also when it moves")
	f.BoolVar(&o.dryRun, "dry-run", false, "check and compile, and register nothing")
	cmd.MarkFlagsMutuallyExclusive("branch", "tag", "commit")
	return cmd
}

func runFlowRegister(ctx context.Context, e *env, o *flowRegisterOptions, paths []string) error {
	client, err := o.connect(e)
	if err != nil {
		return err
	}
	here, err := o.here(ctx, e)
	if err != nil {
		return err
	}
	if paths, err = here.files(e, paths); err != nil {
		return err
	}
	if o.name != "" && len(paths) > 1 {
		return usagef("--name is for one file; %d are given", len(paths))
	}
	inputs, err := parseInputs(o.inputs)
	if err != nil {
		return err
	}
	in := api.FlowInput{
		Project: o.project, Repository: here.repository, Name: o.name, FollowTag: o.followTag, Runtime: o.runtime, Inputs: inputs,
		Concurrency: o.concurrency, WhenBusy: o.whenBusy, Slots: o.slots, Priority: o.priority, DryRun: true,
	}
	in.RefKind, in.Ref = string(here.ref.Kind), here.ref.Name
	if o.given() {
		when, err := o.scheduleFlags.input()
		if err != nil {
			return err
		}
		in.Schedules = &[]api.ScheduleInput{when}
	}
	// All are checked before the first is kept.
	var failed []error
	for _, path := range paths {
		in.Path = path
		if _, err := client.RegisterFlow(ctx, in); err != nil {
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return here.explain(joinFindings(failed))
	}
	in.DryRun = o.dryRun
	var all []api.Registered
	for _, path := range paths {
		in.Path = path
		r, err := client.RegisterFlow(ctx, in)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	if o.json {
		return e.printJSON(all)
	}
	for _, r := range all {
		o.print(e, r)
	}
	return nil
}

func (o *flowRegisterOptions) print(e *env, r api.Registered) {
	did := "registered"
	switch {
	case o.dryRun:
		did = "would register"
	case !r.Created && len(r.Changes) == 0:
		did = "unchanged:"
	case !r.Created:
		did = "changed"
	}
	f := r.Flow
	fmt.Fprintf(e.stdout, "%s %s: %s of %s, %s, now at %.7s\n", did, termview.Plain(f.Name), termview.Plain(f.Path), termview.Plain(f.Project), termview.Plain(refText(f)), r.Commit)
	if len(r.Changes) > 0 {
		fmt.Fprintf(e.stdout, "  %s\n", termview.Plain(changesText(r.Changes)))
	}
	for _, n := range f.Schedules {
		if len(n.Next) > 0 {
			fmt.Fprintf(e.stdout, "  %s: next %s\n", whenText(n), zoned(n.Next[0]))
		}
	}
	if !o.dryRun {
		fmt.Fprintf(e.stdout, "  run it: refline flow run %s --watch\n", termview.ShellWord(f.Name))
	}
}

// checkedOut is what a registration takes from the folder that it is made in.
type checkedOut struct {
	repository string
	ref        git.Ref
	tree       *git.Worktree // nil: not in a checkout of that repository
	unpushed   error
}

// here finds the repository and ref that are meant.
func (o *flowRegisterOptions) here(ctx context.Context, e *env) (checkedOut, error) {
	var h checkedOut
	if o.repo != "" {
		h.repository = repositoryArgument(e, o.repo)
	}
	tree, err := git.Open(ctx, e.dir, e.environ())
	if err == nil && tree.InRepository() && o.repo == "" && o.project == "" {
		h.tree, h.repository = tree, tree.RemoteURL
		if h.repository == "" {
			h.repository = tree.Root // a repository of this computer without a remote
		}
	}
	switch {
	case o.branch != "":
		h.ref = git.Ref{Kind: git.KindBranch, Name: o.branch}
	case o.tag != "":
		h.ref = git.Ref{Kind: git.KindTag, Name: o.tag}
	case o.commit != "":
		h.ref = git.Ref{Kind: git.KindCommit, Name: o.commit}
	case h.tree != nil:
		h.ref = git.DefaultRef(e.getenv, h.tree.Branch)
		if h.ref == (git.Ref{}) {
			return h, errs.E(errs.Invalid, "no branch is checked out here; say which ref to register: --branch, --tag or --commit")
		}
	default:
		h.ref = git.DefaultRef(e.getenv, "")
	}
	return h, nil
}

// files gives the paths in the repository. A folder stands for the pipelines and
// scripts in it.
func (h *checkedOut) files(e *env, args []string) ([]string, error) {
	if len(args) == 0 {
		return []string{""}, nil
	}
	if h.tree == nil {
		return args, nil
	}
	var out []string
	for _, arg := range args {
		full := e.path(arg)
		info, err := os.Stat(full)
		if err != nil {
			full = filepath.Join(h.tree.Root, filepath.FromSlash(arg)) // as it is called in the repository
			if info, err = os.Stat(full); err != nil {
				return nil, errs.E(errs.NotFound, "no file %s in this checkout", arg)
			}
		}
		list := []string{full}
		if info.IsDir() {
			if list, err = flowFiles(full); err != nil {
				return nil, err
			}
			if len(list) == 0 {
				return nil, errs.E(errs.NotFound, "%s has no pipeline and no script: a file .py, .sh, .yml, .yaml or .jsonnet", arg)
			}
		}
		for _, file := range list {
			rel, err := filepath.Rel(h.tree.Root, file)
			if err != nil || !filepath.IsLocal(rel) {
				return nil, errs.E(errs.Invalid, "%s is not inside the repository %s", arg, h.tree.Root)
			}
			out = append(out, filepath.ToSlash(rel))
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// flowFiles are the pipelines and scripts of a folder, not of those below.
func flowFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, entry := range entries {
		name := entry.Name()
		kinds := []string{".py", ".sh", ".yml", ".yaml", ".jsonnet"}
		if entry.Type().IsRegular() && slices.Contains(kinds, filepath.Ext(name)) && !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, ".") {
			out = append(out, filepath.Join(dir, name))
		}
	}
	return out, nil
}

// explain says how to bring to the remote what is only here.
func (h *checkedOut) explain(err error) error {
	if h.tree == nil || !errs.Is(err, errs.NotFound) {
		return err
	}
	return fmt.Errorf("%w; is it pushed? git push %s %s", err, "origin", h.ref.Name)
}

// joinFindings makes one error of several; findings of all come together.
func joinFindings(list []error) error {
	if len(list) == 1 {
		return list[0]
	}
	return errors.Join(list...)
}

// parseInputs reads NAME=VALUE.
func parseInputs(list []string) (map[string]any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]any{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("--input %q is not NAME=VALUE", text)
		}
		if _, twice := out[name]; twice {
			return nil, usagef("--input %s is given twice", name)
		}
		out[name] = value
	}
	return out, nil
}
