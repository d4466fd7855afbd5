package remote

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/termview"
)

// AddRunnerCmds are the commands about the runners of a server.
func AddRunnerCmds(e *cli.Env, runner *cobra.Command) {
	runner.AddCommand(newRunnerTokenCmd(e), newRunnerListCmd(e), newRunnerShowCmd(e), newRunnerDrainCmd(e), newRunnerRemoveCmd(e))
}

func newRunnerListCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "List the runners of a server", Args: cli.NoArgs,
		Long:    "List the runners of a server with what they run.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline runner list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			get := func(ctx context.Context, c *api.Client) ([]api.Runner, error) { return c.Runners(ctx) }
			return cli.Ask(cmd, e, o, get, func(list []api.Runner) error {
				if len(list) == 0 {
					e.Notef("no runners; add one: refline runner token create, then refline runner elsewhere")
					return nil
				}
				return e.PrintTable(runnerRows(list))
			})
		},
	}
	o.Bind(cmd)
	return cmd
}

func runnerRows(list []api.Runner) [][]string {
	rows := [][]string{{"runner", "state", "tags", "executors", "version", "jobs"}}
	for _, r := range list {
		rows = append(rows, []string{r.Name, RunnerState(r), strings.Join(r.Tags, ", "), strings.Join(r.Executors, ", "), r.Version, strings.Join(r.Jobs, "; ")})
	}
	return rows
}

func newRunnerShowCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a runner of a server", Args: cli.OneArg("NAME"),
		Long:    "Show a runner of a server with what it runs.\n\nExit codes: 0 good, 1 no such runner, 2 usage.",
		Example: "  refline runner show local",
		RunE: func(cmd *cobra.Command, args []string) error {
			get := func(ctx context.Context, c *api.Client) (api.Runner, error) { return c.Runner(ctx, args[0]) }
			return cli.Ask(cmd, e, o, get, func(r api.Runner) error {
				return e.PrintFields([][2]string{
					{"runner", r.Name}, {"state", RunnerState(r)}, {"tags", strings.Join(r.Tags, ", ")}, {"executors", strings.Join(r.Executors, ", ")},
					{"version", r.Version}, {"system", r.System}, {"jobs", strings.Join(r.Jobs, "; ")},
				})
			})
		},
	}
	o.Bind(cmd)
	return cmd
}

func newRunnerDrainCmd(e *cli.Env) *cobra.Command {
	o := &cli.QueryOptions{}
	var undo bool
	cmd := &cobra.Command{
		Use: "drain NAME", Short: "Give a runner no more jobs", Args: cli.OneArg("NAME"),
		Long:    "Give a runner no more jobs; those that it runs go on. --undo takes it back.\n\nExit codes: 0 good, 1 no such runner, 2 usage.",
		Example: "  refline runner drain build-1\n  refline runner drain build-1 --undo",
		RunE: func(cmd *cobra.Command, args []string) error {
			get := func(ctx context.Context, c *api.Client) (api.Runner, error) {
				return c.DrainRunner(ctx, args[0], !undo)
			}
			return cli.Ask(cmd, e, o, get, func(r api.Runner) error {
				fmt.Fprintf(e.Stdout, "runner %s: %s, %s\n", termview.Plain(r.Name), RunnerState(r), termview.Count(len(r.Jobs), "job"))
				return nil
			})
		},
	}
	o.Bind(cmd)
	cmd.Flags().BoolVar(&undo, "undo", false, "give it jobs again")
	return cmd
}

func newRunnerRemoveCmd(e *cli.Env) *cobra.Command {
	o := &cli.ConnectOptions{}
	var force bool
	cmd := &cobra.Command{
		Use: "rm NAME", Short: "Remove a runner of a server with its token", Args: cli.OneArg("NAME"),
		Long:    "Remove a runner of a server and end its token. One that is online is refused, or\nwith --force its jobs fail.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline runner rm build-1",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			return c.RemoveRunner(cmd.Context(), args[0], force)
		},
	}
	o.Bind(cmd)
	cmd.Flags().BoolVar(&force, "force", false, "also if it is online: its jobs fail")
	return cmd
}
