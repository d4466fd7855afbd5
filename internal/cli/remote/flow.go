package remote

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/termview"
)

// NewFlowCmd returns the command.
func NewFlowCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "flow",
		Short: "Register, run and look after the flows of a server",
		Long: `Register, run and look after the flows of a server. A flow is a pipeline or a
script in a git repository, at a branch, tag or commit; each run takes its code from
there.

Exit codes: 0 good, 1 error, 2 usage, 3 the run is red (flow run --watch).`,
		Example: `  refline flow register flows/hello.py
  refline flow run hello --watch
  refline flow list`,
	}
	cmd.AddCommand(newFlowRegisterCmd(e), newFlowImportPrefectCmd(e), newFlowListCmd(e), newFlowShowCmd(e), newFlowRunCmd(e), newFlowSetCmd(e),
		newFlowPauseCmd(e, "pause", true), newFlowPauseCmd(e, "resume", false), newFlowBackfillCmd(e), newFlowRemoveCmd(e), newFlowHistoryCmd(e))
	return cmd
}

// flowOptions find a flow by its name.
type flowOptions struct {
	cli.QueryOptions
	project string
}

func (o *flowOptions) bind(cmd *cobra.Command) {
	o.QueryOptions.Bind(cmd)
	cmd.Flags().StringVar(&o.project, "project", "", "the flow's project, if others have a flow of that name")
}

// find finds a flow of any project by its name.
func (o *flowOptions) find(ctx context.Context, e *cli.Env, name string) (*api.Client, api.Flow, error) {
	c, err := o.Connect(e)
	if err != nil {
		return nil, api.Flow{}, err
	}
	if o.project != "" {
		f, err := c.Flow(ctx, o.project, name)
		return c, f, err
	}
	list, err := c.Flows(ctx, "", name, true)
	if err != nil {
		return nil, api.Flow{}, err
	}
	switch len(list) {
	case 0:
		all, _ := c.Flows(ctx, "", "", false)
		names := make([]string, len(all))
		for i, f := range all {
			names[i] = f.Name
		}
		return nil, api.Flow{}, errs.E(errs.NotFound, "no flow %q%s; list them: refline flow list", name, cli.DidYouMean(name, names))
	case 1:
		f, err := c.Flow(ctx, list[0].Project, name)
		return c, f, err
	}
	projects := make([]string, len(list))
	for i, f := range list {
		projects[i] = f.Project
	}
	return nil, api.Flow{}, errs.E(errs.Invalid, "%d projects have a flow %q; name one with --project: %s", len(list), name, strings.Join(projects, ", "))
}

func newFlowListCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	var archived bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the flows", Args: cli.NoArgs,
		Long:    "List the flows with the state of their last run.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline flow list\n  refline flow list --project data/flows --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			get := func(ctx context.Context, c *api.Client) ([]api.Flow, error) {
				return c.Flows(ctx, o.project, "", archived)
			}
			return cli.Ask(cmd, e, &o.QueryOptions, get, func(list []api.Flow) error {
				if len(list) == 0 {
					e.Notef("no flows; register one: refline flow register PATH")
					return nil
				}
				rows := [][]string{{"flow", "project", "ref", "file", "last run"}}
				for _, f := range list {
					last := "none"
					if r := f.LastRun; r != nil {
						last = fmt.Sprintf("%d %s, %s", r.ID, cli.StateText(*r), cli.Ago(r.Created))
					}
					if f.Paused {
						last += ", paused"
					}
					rows = append(rows, []string{f.Name, f.Project, cli.RefText(f), f.Path, last})
				}
				return e.PrintTable(rows)
			})
		},
	}
	o.bind(cmd)
	cmd.Flags().BoolVar(&archived, "archived", false, "list archived ones too")
	return cmd
}

func newFlowShowCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	cmd := &cobra.Command{
		Use: "show NAME", Short: "Show a flow and where its code comes from", Args: cobra.ExactArgs(1),
		Long:    "Show a flow: where its code comes from, its runtime, limits and last run.\n\nExit codes: 0 good, 1 no such flow, 2 usage.",
		Example: "  refline flow show hello",
		RunE: func(cmd *cobra.Command, args []string) error {
			_, f, err := o.find(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(f)
			}
			return e.PrintFields(flowFields(f))
		},
	}
	o.bind(cmd)
	return cmd
}

func flowFields(f api.Flow) [][2]string {
	fields := [][2]string{{"flow", f.Name}, {"project", f.Project}}
	if f.Paused {
		fields = append(fields, [2]string{"paused", "yes; refline flow resume " + f.Name})
	}
	if st := f.Storage; st != nil && st.Image != "" {
		fields = append(fields, [][2]string{
			{"image", st.Image}, {"digest", st.Digest}, {"registry", st.Host}, {"repository", st.Repository}, {"commit", st.Commit}, {"path", st.Path},
		}...)
	} else if st != nil {
		depth := fmt.Sprintf("%d commits", st.Depth)
		if st.Depth == 0 {
			depth = "all"
		}
		fields = append(fields, [][2]string{
			{"repository", st.Repository}, {"host", st.Host}, {"ref", cli.RefText(f)}, {"commit", st.Commit}, {"path", st.Path},
			{"clone depth", depth}, {"submodules", st.Submodules}, {"transport", st.Transport}, {"token user", st.TokenUser},
			{"secrets", strings.Join(st.Secrets, ", ")},
		}...)
	}
	limit := ""
	if f.Concurrency > 0 {
		limit = fmt.Sprintf("%d at a time, then %s", f.Concurrency, f.WhenBusy)
	}
	last := "none"
	if r := f.LastRun; r != nil {
		last = fmt.Sprintf("%d %s at %.7s, %s", r.ID, cli.StateText(*r), r.Commit, cli.Ago(r.Created))
	}
	for _, n := range f.Schedules {
		fields = append(fields, [2]string{fmt.Sprintf("schedule %d", n.ID), whenText(n)})
		if n.Paused {
			fields = append(fields, [2]string{"", nextText(n)})
			continue
		}
		for _, t := range n.Next {
			fields = append(fields, [2]string{"", zoned(t)})
		}
	}
	return append(fields, [][2]string{
		{"runtime", cmp.Or(f.Runtime, "by the job")}, {"inputs", inputsText(f.Inputs)}, {"limit", limit}, {"slots", strings.Join(f.Slots, ", ")},
		{"last run", last}, {"registered", fmt.Sprintf("version %d by %s, %s", f.Version, f.Actor, cli.Ago(f.Updated))},
	}...)
}

// inputsText writes inputs as --input has them.
func inputsText(inputs map[string]any) string {
	var list []string
	for k, v := range inputs {
		list = append(list, fmt.Sprintf("%s=%v", k, v))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func newFlowPauseCmd(e *cli.Env, verb string, paused bool) *cobra.Command {
	o := &flowOptions{}
	what := "Stop the schedules and hooks of a flow; it can still be run by hand"
	if !paused {
		what = "Let the schedules and hooks of a flow start runs again"
	}
	cmd := &cobra.Command{
		Use: verb + " NAME", Short: what, Args: cobra.ExactArgs(1),
		Long:    what + ".\n\nExit codes: 0 good, 1 no such flow, 2 usage.",
		Example: "  refline flow " + verb + " hello",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, f, err := o.find(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			_, err = c.SetFlow(cmd.Context(), f.Project, f.Name, api.FlowChange{Paused: &paused})
			return err
		},
	}
	o.bind(cmd)
	return cmd
}

func newFlowRemoveCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	cmd := &cobra.Command{
		Use: "rm NAME", Short: "Remove a flow; its runs stay", Args: cobra.ExactArgs(1),
		Long:    "Remove a flow with its schedules. Its runs and their logs stay.\n\nExit codes: 0 good, 1 no such flow, 2 usage.",
		Example: "  refline flow rm hello",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, f, err := o.find(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			if err := c.RemoveFlow(cmd.Context(), f.Project, f.Name); err != nil {
				return err
			}
			fmt.Fprintf(e.Stdout, "removed flow %s of %s\n", termview.Plain(f.Name), termview.Plain(f.Project))
			return nil
		},
	}
	o.bind(cmd)
	return cmd
}

func newFlowHistoryCmd(e *cli.Env) *cobra.Command {
	o := &flowOptions{}
	cmd := &cobra.Command{
		Use: "history NAME", Short: "Show what was changed of a flow, and by whom", Args: cobra.ExactArgs(1),
		Long:    "Show the versions of a flow, the newest first: who changed what.\n\nExit codes: 0 good, 1 no such flow, 2 usage.",
		Example: "  refline flow history hello",
		RunE: func(cmd *cobra.Command, args []string) error {
			c, f, err := o.find(cmd.Context(), e, args[0])
			if err != nil {
				return err
			}
			list, err := c.FlowHistory(cmd.Context(), f.Project, f.Name)
			if err != nil {
				return err
			}
			if o.JSON {
				return e.PrintJSON(list)
			}
			rows := [][]string{{"version", "when", "by", "changed"}}
			for _, v := range list {
				changed := "registered"
				if v.Version > 1 {
					changed = changesText(v.Changes)
				}
				rows = append(rows, []string{fmt.Sprint(v.Version), v.Created.Local().Format("2006-01-02 15:04:05"), v.Actor, changed})
			}
			return e.PrintTable(rows)
		},
	}
	o.bind(cmd)
	return cmd
}

func changesText(list []api.Change) string {
	var parts []string
	for _, c := range list {
		switch {
		case c.From == "" || c.From == "[]":
			parts = append(parts, c.Field+" "+c.To)
		case c.To == "" || c.To == "[]":
			parts = append(parts, "no "+c.Field)
		default:
			parts = append(parts, c.Field+" "+c.From+" → "+c.To)
		}
	}
	return strings.Join(parts, ", ")
}
