package remote

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/termview"
)

// NewEnvironmentCmd returns the command.
func NewEnvironmentCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "environment",
		Short: "See what is deployed where, and deploy an older commit again",
		Long: `See what the jobs of a server deployed to which environment, and deploy an older
commit again. A job with environment: that succeeds is a deployment, or with
action: stop the end of one.

Exit codes: 0 good, 1 error, 2 usage, 3 the run is red (environment redeploy --watch).`,
		Example: "  refline environment list\n  refline environment show production\n  refline environment redeploy production --watch",
	}
	cmd.AddCommand(newEnvironmentListCmd(e), newEnvironmentShowCmd(e), newEnvironmentRedeployCmd(e))
	return cmd
}

type environmentOptions struct {
	cli.QueryOptions
	project string
}

func (o *environmentOptions) bind(cmd *cobra.Command) {
	o.QueryOptions.Bind(cmd)
	cmd.Flags().StringVar(&o.project, "project", "", "the environment's project, if others have one of that name")
}

// find finds an environment of any project by its name.
func (o *environmentOptions) find(ctx context.Context, e *cli.Env, name string) (*api.Client, api.Environment, error) {
	c, err := o.Connect(e)
	if err != nil {
		return nil, api.Environment{}, err
	}
	list, err := c.Environments(ctx, o.project)
	if err != nil {
		return nil, api.Environment{}, err
	}
	var found []api.Environment
	var names, projects []string
	for _, x := range list {
		names = append(names, x.Name)
		if x.Name == name {
			found, projects = append(found, x), append(projects, x.Project)
		}
	}
	switch len(found) {
	case 0:
		return nil, api.Environment{}, errs.E(errs.NotFound, "no environment %q%s; list them: refline environment list", name, cli.DidYouMean(name, names))
	case 1:
		x, err := c.Environment(ctx, found[0].Project, name)
		return c, x, err
	}
	return nil, api.Environment{}, errs.E(errs.Invalid, "%d projects have an environment %q; name one with --project: %s", len(found), name, termview.Names(projects))
}

func newEnvironmentListCmd(e *cli.Env) *cobra.Command {
	o := &environmentOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "List the environments with what is deployed", Args: cli.NoArgs,
		Long:    "List the environments with what is deployed there.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline environment list --project data/flows",
		RunE: func(cmd *cobra.Command, _ []string) error {
			get := func(ctx context.Context, c *api.Client) ([]api.Environment, error) {
				return c.Environments(ctx, o.project)
			}
			return cli.Ask(cmd, e, &o.QueryOptions, get, func(list []api.Environment) error {
				if len(list) == 0 {
					e.Notef("no environments; a job with environment: that succeeds makes one")
					return nil
				}
				rows := [][]string{{"environment", "project", "state", "commit", "ref", "run", "when", "url"}}
				for _, x := range list {
					row := []string{x.Name, x.Project, x.State, "", "", "", "", x.URL}
					if d := x.Last; d != nil {
						row[3], row[4], row[5], row[6] = fmt.Sprintf("%.7s", d.Commit), d.Ref, fmt.Sprint(d.Run), cli.Ago(d.Time)
					}
					rows = append(rows, row)
				}
				return e.PrintTable(rows)
			})
		},
	}
	o.bind(cmd)
	return cmd
}

func newEnvironmentShowCmd(e *cli.Env) *cobra.Command {
	o := &environmentOptions{}
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show an environment with its deployments", Args: cli.OneArg("NAME"),
		Long:    "Show an environment with its last deployments, the newest first.\n\nExit codes: 0 good, 1 no such environment, 2 usage.",
		Example: "  refline environment show production",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, x, err := o.find(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(x)
			}
			rows := [][]string{{"deployment", "did", "commit", "ref", "run", "job", "by", "when", "plan"}}
			for _, d := range x.Deployments {
				did := "deployed"
				if d.Action == "stop" {
					did = "stopped"
				}
				rows = append(rows, []string{fmt.Sprint(d.ID), did, fmt.Sprintf("%.7s", d.Commit), d.Ref, fmt.Sprint(d.Run), d.Job, d.Actor, cli.Ago(d.Time), d.Plan})
			}
			return errors.Join(e.PrintFields([][2]string{{"environment", x.Name}, {"project", x.Project}, {"state", x.State}, {"url", x.URL}}), e.PrintTable(rows))
		},
	}
	o.bind(cmd)
	return cmd
}

func newEnvironmentRedeployCmd(e *cli.Env) *cobra.Command {
	o := &environmentOptions{}
	var deployment int64
	var watch bool
	cmd := &cobra.Command{
		Use: "redeploy NAME", Short: "Deploy an older commit again", Args: cli.OneArg("NAME"),
		Long: `Deploy an older commit again: the job of that deployment runs once more, in its run.
Without --deployment it is the last one of another commit than what is deployed now.

Exit codes: 0 started, or with --watch green; 1 error, 2 usage, 3 the run is red.`,
		Example: "  refline environment redeploy production --watch\n  refline environment redeploy production --deployment 12",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, x, err := o.find(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			r, err := c.Redeploy(cmd.Context(), x.Project, x.Name, deployment)
			if err != nil {
				return err
			}
			if o.JSON && !watch {
				return e.PrintJSON(r)
			}
			e.Notef("run %d deploys %.7s to %s again", r.ID, r.Commit, termview.Plain(x.Name))
			if !watch {
				return nil
			}
			return WatchRun(cmd.Context(), e, c, r.ID, o.JSON)
		},
	}
	o.bind(cmd)
	cmd.Flags().Int64Var(&deployment, "deployment", 0, "number of the deployment, as environment show lists it")
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "show the logs until the run ends")
	return cmd
}
