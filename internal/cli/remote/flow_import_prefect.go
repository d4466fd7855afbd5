package remote

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/diag"
	"refline/internal/git"
	"refline/internal/inputfile"
	"refline/internal/prefectfile"
	"refline/internal/termview"
)

const maxPrefectFile = 1 << 20

type flowImportPrefectOptions struct {
	flowRegisterOptions
	pools, only []string
}

func newFlowImportPrefectCmd(e *cli.Env) *cobra.Command {
	o := &flowImportPrefectOptions{}
	cmd := &cobra.Command{
		Use:   "import-prefect [FILE]",
		Short: "Register what a project file of Prefect deploys",
		Long: `Register what a project file of Prefect 2 or 3 deploys: each deployment becomes a flow
with its entrypoint, parameters, schedules and limit. FILE is prefect.yaml by default.

The code comes from the repository and branch of the pull step git_clone, else from the
repository of the checkout. Templates such as {{ $NAME }} are variables of the
environment. A work pool becomes a runtime by --pool. What has no counterpart is listed
with the reason, at its place in the file.

Nothing is registered when the file has a mistake or one of its flows cannot be
registered. See docs/from-prefect.md.

Exit codes: 0 registered, 1 error, 2 usage.`,
		Example: `  refline flow import-prefect --dry-run
  refline flow import-prefect prefect.yaml --pool k8s=python312
  refline flow import-prefect --deployment nightly --deployment hourly`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := "prefect.yaml"
			if len(args) > 0 {
				file = args[0]
			}
			return o.run(cmd.Context(), e, file)
		},
	}
	o.flowOptions.bind(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.dryRun, "dry-run", false, "check and compile, and register nothing")
	f.StringVar(&o.runtime, "runtime", "", "name of the runtime that jobs of deployments run in (default: the runner's own)")
	f.StringArrayVar(&o.pools, "pool", nil, "POOL=RUNTIME: the runtime for deployments of a work pool; repeatable")
	f.StringArrayVar(&o.only, "deployment", nil, "name of a deployment to register (default all); repeatable")
	f.StringVar(&o.branch, "branch", "", "branch of deployments that name no branch or commit (default: the one that is checked out)")
	return cmd
}

func (o *flowImportPrefectOptions) run(ctx context.Context, e *cli.Env, name string) error {
	pools := map[string]string{}
	for _, text := range o.pools {
		pool, runtime, ok := strings.Cut(text, "=")
		if !ok || pool == "" || runtime == "" {
			return cli.Usagef("--pool %q is not POOL=RUNTIME", text)
		}
		pools[pool] = runtime
	}
	text, err := inputfile.Read(e.Path(name), name, maxPrefectFile)
	if err != nil {
		return err
	}
	file, err := prefectfile.Parse(name, text, e.Getenv)
	if err != nil {
		return err
	}
	if err := o.choose(&file); err != nil {
		return err
	}
	here, err := o.here(ctx, e)
	if err != nil {
		return err
	}
	var elsewhere, local []wantedFlow
	for _, d := range file.Deployments {
		w, own := o.flow(e, &here, d, pools, &file)
		if !own {
			elsewhere = append(elsewhere, w)
			continue
		}
		local = append(local, w)
	}
	client, err := o.Connect(e)
	if err != nil {
		return err
	}
	// Everything is checked before the first is kept.
	if err := here.check(ctx, e, client, local); err != nil {
		return err
	}
	if err := (&checkedOut{}).check(ctx, e, client, elsewhere); err != nil {
		return err
	}
	return o.register(ctx, e, client, file, append(local, elsewhere...))
}

// choose leaves the deployments that --deployment names.
func (o *flowImportPrefectOptions) choose(file *prefectfile.File) error {
	if len(o.only) == 0 {
		return nil
	}
	var names []string
	for _, d := range file.Deployments {
		names = append(names, d.Name)
	}
	for _, name := range o.only {
		if !slices.Contains(names, name) {
			return cli.Usagef("the file has no deployment %q%s; it has %s", name, cli.DidYouMean(name, names), strings.Join(names, ", "))
		}
	}
	file.Deployments = slices.DeleteFunc(file.Deployments, func(d prefectfile.Deployment) bool { return !slices.Contains(o.only, d.Name) })
	file.Left = slices.DeleteFunc(file.Left, func(l prefectfile.Left) bool {
		return l.Deployment != "" && !slices.Contains(o.only, l.Deployment)
	})
	return nil
}

// flow is what is registered for a deployment; own says whether its code is in the
// repository of the checkout.
func (o *flowImportPrefectOptions) flow(e *cli.Env, here *checkedOut, d prefectfile.Deployment, pools map[string]string, file *prefectfile.File) (w wantedFlow, own bool) {
	in := api.FlowInput{
		Project: o.project, Repository: here.repository, Name: d.Name, Path: d.Path + ":" + d.Function, Runtime: cmp.Or(pools[d.Pool], o.runtime), Inputs: d.Parameters,
		Concurrency: d.Concurrency, RefKind: string(here.ref.Kind), Ref: here.ref.Name, PreferTag: here.buildTag,
	}
	if d.Skip {
		in.WhenBusy = "skip"
	}
	leave := func(at diag.Place, format string, args ...any) {
		file.Left = append(file.Left, prefectfile.Left{Place: at, Deployment: d.Name, Text: fmt.Sprintf(format, args...)})
	}
	if d.Pool != "" && in.Runtime == "" {
		leave(d.PoolPlace, "work pool %s: name the runtime in its place: --pool %s=RUNTIME", d.Pool, termview.ShellWord(d.Pool))
	}
	own = here.tree != nil
	if repository := d.Code.Repository; repository != "" {
		in.Repository = repositoryArgument(e, repository)
		if own = here.tree != nil && in.Repository == repositoryArgument(e, here.tree.RemoteURL); !own && o.branch == "" {
			in.RefKind, in.Ref, in.PreferTag = "", "", ""
		}
		if d.Code.Variable != "" {
			leave(d.Place, "the token of %s: store it as %s: refline var set %s --server, and name it: refline project add %s --token-variable %s",
				repository, d.Code.Variable, d.Code.Variable, termview.ShellWord(repository), d.Code.Variable)
		}
	}
	for kind, ref := range map[git.Kind]string{git.KindBranch: d.Code.Branch, git.KindCommit: d.Code.Commit} {
		if ref != "" {
			in.RefKind, in.Ref, in.PreferTag = string(kind), ref, ""
		}
	}
	schedules := []api.ScheduleInput{}
	for _, s := range d.Schedules {
		schedules = append(schedules, api.ScheduleInput{Cron: s.Cron, Every: int64(s.Every / time.Second), Timezone: s.Timezone, Inputs: s.Parameters})
	}
	in.Schedules = &schedules
	return wantedFlow{FlowInput: in, at: d.Place}, own
}

// register keeps what has been checked, and lists what is not carried over.
func (o *flowImportPrefectOptions) register(ctx context.Context, e *cli.Env, client *api.Client, file prefectfile.File, list []wantedFlow) error {
	type left struct {
		File       string `json:"file"`
		Line       int    `json:"line"`
		Column     int    `json:"column"`
		Deployment string `json:"deployment,omitempty"`
		Text       string `json:"text"`
	}
	out := struct {
		Registered []api.Registered `json:"registered"`
		Left       []left           `json:"not_carried_over"`
	}{[]api.Registered{}, []left{}}
	paused := map[string]bool{}
	for _, d := range file.Deployments {
		paused[d.Name] = d.Paused
	}
	for _, w := range list {
		in := w.FlowInput
		in.DryRun = o.dryRun
		r, err := client.RegisterFlow(ctx, in)
		if err != nil {
			return err
		}
		if yes := paused[w.Name]; yes && !o.dryRun && !r.Flow.Paused {
			if _, err := client.SetFlow(ctx, r.Flow.Project, r.Flow.Name, api.FlowChange{Paused: &yes}); err != nil {
				return fmt.Errorf("pause the flow %s: %w", r.Flow.Name, err)
			}
			r.Flow.Paused = true
		}
		out.Registered = append(out.Registered, r)
	}
	slices.SortStableFunc(file.Left, func(a, b prefectfile.Left) int { return cmp.Compare(a.Line, b.Line) })
	for _, l := range file.Left {
		out.Left = append(out.Left, left{l.File, l.Line, l.Column, l.Deployment, l.Text})
	}
	if o.JSON {
		return e.PrintJSON(out)
	}
	for _, r := range out.Registered {
		o.print(e, r)
		if r.Flow.Paused && !o.dryRun {
			fmt.Fprintf(e.Stdout, "  paused; refline flow resume %s\n", termview.ShellWord(r.Flow.Name))
		}
	}
	if len(file.Left) > 0 {
		fmt.Fprintln(e.Stdout, "\nnot carried over:")
		for _, l := range file.Left {
			fmt.Fprintf(e.Stdout, "  %s\n", termview.Plain(l.String()))
		}
	}
	return nil
}
