package remote

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/definition"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/termview"
)

type flowRegisterOptions struct {
	flowOptions
	flowLimits
	scheduleFlags
	repo, name, file    string
	image, path         string
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

func newFlowRegisterCmd(e *cli.Env) *cobra.Command {
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

With --image the files are those in a container image that refline image build made:
the image's digest is kept, and a tag that moves stops the run. Runs need containers
and reach no repository; see docs/images.md.

With --cron or --every that becomes the flow's schedule; others of it are removed.

Of a Python file with several flows all are registered, each under the name of its
function; FILE.py:FLOW names one. A file with a module attribute, flow = NAME, is
that flow.

The name is the file's, with @BRANCH for another branch than the default. A flow of
the same name is changed and keeps its history. Nothing is registered when a file
has errors, is not at the remote, or when commits of the branch are not pushed.

Exit codes: 0 registered, 1 error, 2 usage.`,
		Example: `  refline flow register flows/hello.py
  refline flow register flows/ --runtime python312
  refline flow register flows/etl.py:load --name nightly-load
  refline flow register etl.yml --repo https://git.example.com/data/flows.git --tag v1.4.0
  refline flow register -f flows.yml
  refline flow register --image registry.example.com/data/hello:1.4 --path flows/hello.py
  refline flow register flows/hello.py --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) error { return runFlowRegister(cmd.Context(), e, o, args) },
	}
	o.flowOptions.bind(cmd)
	o.flowLimits.bind(cmd)
	o.scheduleFlags.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.repo, "repo", "", "URL of the repository (default: the remote of the checkout)")
	f.StringVarP(&o.file, "file", "f", "", "register all flows of this file; see docs/flows.md")
	f.StringVar(&o.name, "name", "", "name of the flow (default: the file's)")
	f.StringVar(&o.branch, "branch", "", "branch whose newest commit each run takes")
	f.StringVar(&o.tag, "tag", "", "tag whose commit runs take")
	f.StringVar(&o.commit, "commit", "", "commit that runs take")
	f.StringVar(&o.image, "image", "", "image that refline image build made, as REGISTRY/NAME[:TAG]")
	f.StringVar(&o.path, "path", "", "with --image: the flow's file in it (default: the image's first)")
	f.BoolVar(&o.followTag, "follow-tag", false, "take a tag where it is at each run, also when it moves")
	f.BoolVar(&o.dryRun, "dry-run", false, "check and compile, and register nothing")
	cmd.MarkFlagsMutuallyExclusive("branch", "tag", "commit", "image", "file")
	return cmd
}

func runFlowRegister(ctx context.Context, e *cli.Env, o *flowRegisterOptions, paths []string) error {
	if o.path != "" && o.image == "" {
		return cli.Usagef("--path is for --image; a file of a repository is an argument: refline flow register %s", termview.ShellWord(o.path))
	}
	var here checkedOut
	var err error
	if o.image == "" {
		here, err = o.here(ctx, e)
	} else {
		here, paths, err = o.inImage(e, paths)
	}
	if err != nil {
		return err
	}
	list, err := o.wanted(ctx, e, &here, paths)
	if err != nil {
		return err
	}
	client, err := o.Connect(e)
	if err != nil {
		return err
	}
	if err := here.check(ctx, e, client, list); err != nil {
		return err
	}
	all := []api.Registered{}
	for _, w := range list {
		in := w.FlowInput
		in.DryRun = o.dryRun
		r, err := client.RegisterFlow(ctx, in)
		if err != nil {
			return err
		}
		all = append(all, r)
	}
	if o.JSON {
		return e.PrintJSON(all)
	}
	for _, r := range all {
		o.print(e, r)
	}
	return nil
}

// inImage are the flows of a registration from an image. Its project is the one that
// is named, else that of the repository which the image was built from.
func (o *flowRegisterOptions) inImage(e *cli.Env, paths []string) (checkedOut, []string, error) {
	var h checkedOut
	if o.path != "" {
		paths = append(paths, o.path)
	}
	if len(paths) == 0 {
		paths = []string{""}
	}
	if o.repo != "" {
		h.repository = repositoryArgument(e, o.repo)
	}
	return h, paths, nil
}

// wantedFlow is a flow that is to be registered, with its place in a file of flows.
type wantedFlow struct {
	api.FlowInput
	at diag.Place
}

// wanted are the flows that the arguments or the file name.
func (o *flowRegisterOptions) wanted(ctx context.Context, e *cli.Env, here *checkedOut, paths []string) ([]wantedFlow, error) {
	if o.file != "" {
		return o.fromFile(e, here, paths)
	}
	paths, err := here.files(ctx, e, paths)
	if err != nil {
		return nil, err
	}
	if o.name != "" && len(paths) > 1 {
		return nil, cli.Usagef("--name is for one flow, and these are %d: %s", len(paths), strings.Join(paths, ", "))
	}
	inputs, err := ParseInputs(o.inputs)
	if err != nil {
		return nil, err
	}
	in := api.FlowInput{
		Image: o.image, Project: o.project, Repository: here.repository, Name: o.name, FollowTag: o.followTag, Runtime: o.runtime, Inputs: inputs,
		Concurrency: o.concurrency, WhenBusy: o.whenBusy, Slots: o.slots, Priority: o.priority,
	}
	in.RefKind, in.Ref, in.PreferTag = string(here.ref.Kind), here.ref.Name, here.buildTag
	if o.given() {
		when, err := o.scheduleFlags.input()
		if err != nil {
			return nil, err
		}
		in.Schedules = &[]api.ScheduleInput{when}
	}
	list := make([]wantedFlow, len(paths))
	for i, name := range paths {
		list[i].FlowInput = in
		list[i].Path = name
	}
	return list, nil
}

func (o *flowRegisterOptions) print(e *cli.Env, r api.Registered) {
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
	if f.RefKind == cli.RefImage {
		fmt.Fprintf(e.Stdout, "%s %s: %s of %s, image %s at %s, commit %.7s\n", did, termview.Plain(f.Name), termview.Plain(f.Path), termview.Plain(f.Project), termview.Plain(f.Ref), f.Pinned, r.Commit)
	} else {
		fmt.Fprintf(e.Stdout, "%s %s: %s of %s, %s, now at %.7s\n", did, termview.Plain(f.Name), termview.Plain(f.Path), termview.Plain(f.Project), termview.Plain(cli.RefText(f)), r.Commit)
	}
	if len(r.Changes) > 0 {
		fmt.Fprintf(e.Stdout, "  %s\n", termview.Plain(changesText(r.Changes)))
	}
	for _, n := range f.Schedules {
		if len(n.Next) > 0 {
			fmt.Fprintf(e.Stdout, "  %s: next %s\n", whenText(n), zoned(n.Next[0]))
		}
	}
	if !o.dryRun {
		fmt.Fprintf(e.Stdout, "  run it: refline flow run %s --watch\n", termview.ShellWord(f.Name))
	}
}

// files gives the paths in the repository. A folder stands for the pipelines and
// scripts in it, a Python file for its flows if it has several.
func (h *checkedOut) files(ctx context.Context, e *cli.Env, args []string) ([]string, error) {
	if len(args) == 0 {
		return []string{""}, nil
	}
	if h.tree == nil {
		return args, nil
	}
	var out []string
	for _, arg := range args {
		arg, flow := definition.SplitFlow(arg)
		full := e.Path(arg)
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
			rel = filepath.ToSlash(rel)
			if flow != "" {
				out = append(out, definition.JoinFlow(rel, flow))
				continue
			}
			flows, err := flowsOf(ctx, file, rel)
			if err != nil {
				return nil, err
			}
			out = append(out, flows...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// flowsOf are the flows of a file: those of a Python file that has several, else the
// file.
func flowsOf(ctx context.Context, file, rel string) ([]string, error) {
	if path.Ext(rel) != ".py" {
		return []string{rel}, nil
	}
	source, err := inputfile.Read(file, rel, maxFlowFile)
	if err != nil {
		return []string{rel}, nil //nolint:nilerr // the server says what is wrong with it
	}
	return definition.PythonFlows(ctx, rel, source)
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
		if entry.Type().IsRegular() && IsFlowFile(name) {
			out = append(out, filepath.Join(dir, name))
		}
	}
	return out, nil
}

// IsFlowFile reports whether a file of a folder is a pipeline or a script by its name.
func IsFlowFile(name string) bool {
	return slices.Contains([]string{".py", ".sh", ".yml", ".yaml", ".jsonnet"}, filepath.Ext(name)) && !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, ".")
}

// ParseInputs reads NAME=VALUE.
func ParseInputs(list []string) (map[string]any, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]any{}
	for _, text := range list {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, cli.Usagef("--input %q is not NAME=VALUE", text)
		}
		if _, twice := out[name]; twice {
			return nil, cli.Usagef("--input %s is given twice", name)
		}
		out[name] = value
	}
	return out, nil
}
