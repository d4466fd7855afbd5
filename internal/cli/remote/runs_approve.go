package remote

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

func newRunsApproveCmd(e *cli.Env) *cobra.Command {
	var o struct {
		cli.ConnectOptions
		project string
		json    bool
	}
	cmd := &cobra.Command{
		Use:   "approve [ID]",
		Short: "Let the pipeline of a merge request from another repository run on a server",
		Long: `Let the pipeline of a merge request from another repository (a fork) run: for the
commit that is shown, which you have read. It gets no secrets and no protected
runners, and caches apart from the project's. Another push needs another approval.
Without an ID those that wait are listed.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline runs approve\n  refline runs approve 12",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := o.Connect(e)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				id, err := strconv.ParseInt(args[0], 10, 64)
				if err != nil {
					return cli.Usagef("%q is not the id of an approval; list them: refline runs approve", args[0])
				}
				if err := c.Approve(cmd.Context(), id); err != nil {
					return err
				}
				fmt.Fprintln(e.Stdout, "approved; the run is made now: refline runs list --server")
				return nil
			}
			list, err := c.Approvals(cmd.Context(), o.project)
			if err != nil {
				return err
			}
			if o.json {
				return e.PrintJSON(list)
			}
			if len(list) == 0 {
				e.Notef("nothing waits for an approval")
				return nil
			}
			rows := [][]string{{"id", "project", "merge request", "commit", "from", "by", "since"}}
			for _, a := range list {
				rows = append(rows, []string{strconv.FormatInt(a.ID, 10), a.Project, fmt.Sprintf("%d %s", a.Request, a.Title), fmt.Sprintf("%.12s", a.Commit), a.Source, a.Actor, cli.Ago(a.Created)})
			}
			return e.PrintTable(rows)
		},
	}
	o.Bind(cmd)
	cmd.Flags().StringVar(&o.project, "project", "", "list those of this project")
	cmd.Flags().BoolVar(&o.json, "json", false, "print as JSON")
	return cmd
}
