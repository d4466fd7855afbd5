package serve

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/termview"
)

func newRuntimeCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runtime",
		Short: cli.OfServer["runtime"],
		Long: `List and change the runtimes of a server: named configurations of where jobs run. A
flow names one; changing it changes all flows that do.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline runtime set python312 --executor docker --image python:3.12-slim\n  refline runtime list",
	}
	cmd.AddCommand(newRuntimeSetCmd(e), newRuntimeListCmd(e), newRuntimeShowCmd(e), newRuntimeHistoryCmd(e), newRuntimeCheckCmd(e), newRuntimeRemoveCmd(e))
	return cmd
}

func newRuntimeSetCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	in := api.Runtime{}
	var env []string
	pods := &runtimepodOptions{}
	cmd := &cobra.Command{
		Use: "set NAME", Short: "Make a runtime, or replace it", Args: cobra.ExactArgs(1),
		Long:    "Make a runtime, or replace it. All flows that name it take it at their next job.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline runtime set python312 --executor docker --image python:3.12-slim --env TZ=UTC\n  refline runtime set host --executor process --tags gpu\n  refline runtime set py-large --executor kubernetes --image python:3.12 --request cpu=2,memory=4Gi --limit memory=8Gi --template job.yaml",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := o.Connect(e)
			if err != nil {
				return err
			}
			in.Name, in.Env = args[0], map[string]string{}
			for _, text := range env {
				name, value, ok := strings.Cut(text, "=")
				if !ok || name == "" {
					return cli.Usagef("--env %q is not NAME=VALUE", text)
				}
				in.Env[name] = value
			}
			if in.Kubernetes, err = pods.config(cmd.Context(), e, in.Executor); err != nil {
				return err
			}
			if err := checkPods(in); err != nil {
				return pods.template.explain(cmd.Context(), err)
			}
			r, err := client.SetRuntime(cmd.Context(), in)
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(r)
			}
			fmt.Fprintf(e.Stdout, "runtime %s is version %d; %s\n", r.Name, r.Version, usedBy(r))
			return nil
		},
	}
	o.Bind(cmd)
	f := cmd.Flags()
	f.StringVar(&in.Executor, "executor", "docker", "process, docker or kubernetes")
	f.StringVar(&in.Image, "image", "", "image of the containers")
	f.StringArrayVar(&env, "env", nil, "NAME=VALUE for its jobs; repeatable")
	f.StringSliceVar(&in.Tags, "tags", nil, "tags that its runners have")
	f.StringVar(&in.Pull, "pull", "", "when to pull the image: always, if-not-present or never")
	pods.bind(f)
	return cmd
}

func usedBy(r api.Runtime) string {
	if len(r.Flows) == 0 {
		return "no flow uses it"
	}
	return "used by " + termview.Names(r.Flows)
}

func newRuntimeListCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "List the runtimes", Args: cli.NoArgs,
		Long:    "List the runtimes of the server.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline runtime list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			get := func(ctx context.Context, client *api.Client) ([]api.Runtime, error) { return client.Runtimes(ctx) }
			return cli.Ask(cmd, e, o, get, func(list []api.Runtime) error {
				if len(list) == 0 {
					e.Notef("no runtimes; jobs run where their image says. Make one: refline runtime set NAME --image IMAGE")
					return nil
				}
				rows := [][]string{{"runtime", "executor", "image", "tags", "flows"}}
				for _, r := range list {
					rows = append(rows, []string{r.Name, r.Executor, r.Image, strings.Join(r.Tags, ","), fmt.Sprint(len(r.Flows))})
				}
				return e.PrintTable(rows)
			})
		},
	}
	o.Bind(cmd)
	return cmd
}

func newRuntimeShowCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a runtime and the flows that use it", Args: cobra.ExactArgs(1),
		Long:    "Show a runtime and the flows that use it.\n\nExit codes: 0 good, 1 no such runtime, 2 usage.",
		Example: "  refline runtime show python312",
		RunE: func(cmd *cobra.Command, args []string) error {
			get := func(ctx context.Context, client *api.Client) (api.Runtime, error) {
				return client.Runtime(ctx, args[0])
			}
			return cli.Ask(cmd, e, o, get, func(r api.Runtime) error {
				var env []string
				for k, v := range r.Env {
					env = append(env, k+"="+v)
				}
				return e.PrintFields(append([][2]string{
					{"runtime", r.Name}, {"executor", r.Executor}, {"image", r.Image}, {"env", strings.Join(env, " ")}, {"tags", strings.Join(r.Tags, ",")},
					{"pull", r.Pull}, {"flows", strings.Join(r.Flows, ", ")}, {"version", fmt.Sprintf("%d by %s, %s", r.Version, r.Actor, cli.Ago(r.Updated))},
				}, podFields(r)...))
			})
		},
	}
	o.Bind(cmd)
	return cmd
}

func newRuntimeHistoryCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "history NAME", Short: "Show what a runtime was", Args: cobra.ExactArgs(1),
		Long:    "Show the versions of a runtime, the newest first.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline runtime history python312",
		RunE: func(cmd *cobra.Command, args []string) error {
			get := func(ctx context.Context, client *api.Client) ([]api.Runtime, error) {
				return client.RuntimeHistory(ctx, args[0])
			}
			return cli.Ask(cmd, e, o, get, func(list []api.Runtime) error {
				rows := [][]string{{"version", "when", "by", "executor", "image", "tags"}}
				for _, r := range list {
					rows = append(rows, []string{fmt.Sprint(r.Version), r.Updated.Local().Format("2006-01-02 15:04:05"), r.Actor, r.Executor, r.Image, strings.Join(r.Tags, ",")})
				}
				return e.PrintTable(rows)
			})
		},
	}
	o.Bind(cmd)
	return cmd
}

func newRuntimeRemoveCmd(e *cli.Env) *cobra.Command {
	o := &cli.ConnectOptions{}
	cmd := &cobra.Command{
		Use: "rm NAME", Short: "Remove a runtime that no flow uses", Args: cobra.ExactArgs(1),
		Long:    "Remove a runtime. One in use is refused, with the flows that use it.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline runtime rm python38",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := o.Connect(e)
			if err != nil {
				return err
			}
			return client.RemoveRuntime(cmd.Context(), args[0])
		},
	}
	o.Bind(cmd)
	return cmd
}
