package remote

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

// found is the value of --server without a URL.
const found = "found"

// serverChoice says whether a command that exists for this computer is about a
// server's runs.
type serverChoice struct {
	server string
	local  bool
}

func (o *serverChoice) bind(cmd *cobra.Command, what string) {
	f := cmd.Flags()
	f.StringVar(&o.server, "server", "", what+" of a server: with =URL of that one, else of the one found")
	f.Lookup("server").NoOptDefVal = found
	f.BoolVar(&o.local, "local", false, what+" of this computer, although REFLINE_URL names a server")
}

// remote reports whether a server is meant.
func (o *serverChoice) remote(e *cli.Env, args []string) (connect cli.ConnectOptions, rest []string, is bool) {
	if o.local || o.server == "" && e.Getenv("REFLINE_URL") == "" {
		return cli.ConnectOptions{}, args, false
	}
	// --server URL: the word after a flag that may stand alone is an argument.
	if i := slices.IndexFunc(args, func(a string) bool { return strings.Contains(a, "://") }); o.server == found && i >= 0 {
		return cli.ConnectOptions{Server: args[i]}, slices.Delete(slices.Clone(args), i, i+1), true
	}
	if o.server != found {
		connect.Server = o.server
	}
	return connect, args, true
}

// OrServer lets a command be about what a server has too: the runs, the variables.
func OrServer(e *cli.Env, cmd *cobra.Command, what string, remote func(ctx context.Context, client *api.Client, args []string) error) {
	o := &serverChoice{}
	o.bind(cmd, what)
	local, allowed := cmd.RunE, cmd.Args
	cmd.Args = func(c *cobra.Command, args []string) error {
		_, rest, _ := o.remote(e, args)
		return allowed(c, rest)
	}
	cmd.RunE = func(c *cobra.Command, args []string) error {
		connect, rest, is := o.remote(e, args)
		if !is {
			return local(c, args)
		}
		client, err := connect.Connect(e)
		if err != nil {
			return err
		}
		return remote(c.Context(), client, rest)
	}
}

// AddServerRuns gives the commands about runs those of a server.
func AddServerRuns(e *cli.Env, runs *cobra.Command) {
	for _, cmd := range append(runs.Commands(), runs) {
		switch cmd.Name() {
		case "runs", "list":
			list := serverRunList{e: e}
			list.bind(cmd)
			OrServer(e, cmd, "the runs", func(ctx context.Context, client *api.Client, _ []string) error { return list.run(ctx, cmd, client) })
		case "show":
			OrServer(e, cmd, "the runs", func(ctx context.Context, client *api.Client, args []string) error {
				return showServerRun(ctx, e, client, args, BoolFlag(cmd, "json"))
			})
		case "log":
			follow := cmd.Flags().BoolP("follow", "f", false, "of a server: go on until the job ends")
			OrServer(e, cmd, "the runs", func(ctx context.Context, client *api.Client, args []string) error {
				return serverLog(ctx, e, client, args, *follow, BoolFlag(cmd, "raw"))
			})
		case "retry":
			OrServer(e, cmd, "the runs", func(ctx context.Context, client *api.Client, args []string) error {
				id, err := serverRun(ctx, client, args)
				if err != nil {
					return err
				}
				jobs, _ := cmd.Flags().GetStringArray("job")
				return retryServerRun(ctx, e, client, id, jobs, BoolFlag(cmd, "from-failed"))
			})
		}
	}
	runs.AddCommand(newRunsCancelCmd(e), newRunsPlayCmd(e), newRunsPlanCmd(e), newRunsWaitCmd(e), newRunsApproveCmd(e))
}

// BoolFlag is the value of a flag that another part of the command has bound.
func BoolFlag(cmd *cobra.Command, name string) bool {
	v, _ := cmd.Flags().GetBool(name)
	return v
}

// serverRunList lists the runs of a server.
type serverRunList struct {
	e                          *cli.Env
	project, flow, ref, status string
}

func (o *serverRunList) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.project, "project", "", "of a server: those of this project")
	f.StringVar(&o.flow, "flow", "", "of a server: those of this flow")
	f.StringVar(&o.ref, "ref", "", "of a server: those of this branch or tag")
	f.StringVar(&o.status, "status", "", "of a server: those in one of these states, with commas between")
}

func (o *serverRunList) run(ctx context.Context, cmd *cobra.Command, client *api.Client) error {
	n, _ := cmd.Flags().GetInt("number")
	if n < 1 {
		return cli.Usagef("-n wants a number from 1")
	}
	if o.flow != "" && o.project == "" {
		find := flowOptions{}
		find.Server = client.URL()
		_, f, err := find.find(ctx, o.e, o.flow)
		if err != nil {
			return err
		}
		o.project = f.Project
	}
	list := []api.Run{}
	q := api.RunQuery{Project: o.project, Flow: o.flow, Ref: o.ref, Limit: min(n, 200)}
	if o.status != "" {
		q.Statuses = strings.Split(o.status, ",")
	}
	for len(list) < n {
		page, err := client.Runs(ctx, q)
		if err != nil {
			return err
		}
		list = append(list, page.Runs...)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	list = list[:min(n, len(list))]
	if BoolFlag(cmd, "json") {
		return o.e.PrintJSON(list)
	}
	if len(list) == 0 {
		o.e.Notef("no runs on %s", client.URL())
		return nil
	}
	rows := [][]string{{"run", "state", "flow", "ref", "commit", "by", "when", "took"}}
	for _, r := range list {
		name := r.Flow
		if name == "" {
			name = r.Project
		}
		rows = append(rows, []string{fmt.Sprint(r.ID), cli.StateText(r), name, r.Ref, fmt.Sprintf("%.7s", r.Commit), string(r.Trigger), cli.Ago(r.Created), cli.Took(r.Started, r.Finished)})
	}
	return o.e.PrintTable(rows)
}

// serverRun reads RUN; without it the last run is meant.
func serverRun(ctx context.Context, client *api.Client, args []string) (int64, error) {
	if len(args) == 0 {
		page, err := client.Runs(ctx, api.RunQuery{Limit: 1})
		if err != nil {
			return 0, err
		}
		if len(page.Runs) == 0 {
			return 0, errs.E(errs.NotFound, "there are no runs on %s", client.URL())
		}
		return page.Runs[0].ID, nil
	}
	id, err := strconv.ParseInt(args[0], 10, 64)
	if err != nil || id < 1 {
		return 0, cli.Usagef("%q is not the number of a run", args[0])
	}
	return id, nil
}

// run finds the server and the run that args name.
func connectRun(ctx context.Context, e *cli.Env, o cli.ConnectOptions, args []string) (*api.Client, int64, error) {
	client, err := o.Connect(e)
	if err != nil {
		return nil, 0, err
	}
	id, err := serverRun(ctx, client, args)
	return client, id, err
}

func showServerRun(ctx context.Context, e *cli.Env, client *api.Client, args []string, asJSON bool) error {
	id, err := serverRun(ctx, client, args)
	if err != nil {
		return err
	}
	r, err := client.Run(ctx, id)
	if err != nil {
		return err
	}
	plans, err := client.RunPlans(ctx, id)
	if err != nil {
		return err
	}
	if asJSON {
		return e.PrintJSON(runWithPlans{r, plans})
	}
	name := r.Flow
	if name == "" {
		name = r.Project
	}
	fmt.Fprintf(e.Stdout, "run %d of %s · %s · %s at %.7s · %s by %s\n", r.ID, termview.Plain(name), cli.StateText(r), termview.Plain(r.Ref), r.Commit, r.Trigger, termview.Plain(r.Actor))
	if r.Title != "" {
		fmt.Fprintf(e.Stdout, "  %s\n", termview.Plain(r.Title))
	}
	if r.Why != "" {
		fmt.Fprintf(e.Stdout, "  %s\n", termview.Plain(r.Why))
	}
	tasks, err := taskLines(ctx, client, r)
	if err != nil {
		return err
	}
	for _, line := range slices.Concat(runLines(r), tasks, planLines(plans)) {
		fmt.Fprintln(e.Stdout, line)
	}
	for _, text := range r.Notices {
		fmt.Fprintf(e.Stdout, "  not sent: %s\n", termview.Plain(text))
	}
	return nil
}

// taskLines shows the tasks of the jobs of a run that reported some.
func taskLines(ctx context.Context, client *api.Client, r api.Run) ([]string, error) {
	const mostJobs = 20
	var lines []string
	asked := 0
	for _, j := range r.Jobs {
		if j.Attempt == 0 || asked == mostJobs {
			continue
		}
		asked++
		list, err := client.Tasks(ctx, r.ID, j.Name, 0)
		if err != nil {
			return nil, err
		}
		if len(list.Groups) == 0 {
			continue
		}
		lines = append(lines, termview.Plain(j.Name))
		for _, line := range append(termview.TaskTree(list.Tasks, list.Groups), termview.Failures(list.Tasks)...) {
			lines = append(lines, "  "+line)
		}
	}
	return lines, nil
}

// serverLog prints the log of a job. JOB may be left out if the run has one job.
func serverLog(ctx context.Context, e *cli.Env, client *api.Client, args []string, follow, raw bool) error {
	id, err := serverRun(ctx, client, args)
	if err != nil {
		return err
	}
	job := ""
	if len(args) > 1 {
		job = args[1]
	} else {
		r, err := client.Run(ctx, id)
		if err != nil {
			return err
		}
		if follow && len(r.Jobs) > 1 {
			return WatchRun(ctx, e, client, id, false)
		}
		if len(r.Jobs) != 1 {
			names := make([]string, len(r.Jobs))
			for i, j := range r.Jobs {
				names[i] = j.Name
			}
			return errs.E(errs.Invalid, "run %d has %d jobs; name one: %s", id, len(r.Jobs), termview.Names(names))
		}
		job = r.Jobs[0].Name
	}
	log, err := client.Log(ctx, id, job, 0, 0, follow)
	if err != nil {
		return err
	}
	defer log.Close()
	if raw {
		_, err = io.Copy(e.Stdout, log)
		return err
	}
	lines := &termview.LogLines{Plain: !e.Color(), Line: func(s string) { fmt.Fprintln(e.Stdout, s) }}
	if _, err := io.Copy(lines, log); err != nil {
		return err
	}
	lines.Flush()
	return nil
}

func retryServerRun(ctx context.Context, e *cli.Env, client *api.Client, id int64, jobs []string, fromFailed bool) error {
	if len(jobs) == 0 {
		jobs = []string{""} // all that failed
	}
	for _, job := range jobs {
		if err := client.RetryRun(ctx, id, job, fromFailed); err != nil {
			return err
		}
	}
	e.Notef("run %d goes on; watch it: refline runs wait %d", id, id)
	return nil
}

func newRunsCancelCmd(e *cli.Env) *cobra.Command {
	o := &cli.ConnectOptions{}
	var job string
	cmd := &cobra.Command{
		Use: "cancel RUN", Short: "Cancel a run of a server, or one of its jobs", Args: cobra.ExactArgs(1),
		Long:    "Cancel a run of a server, or one of its jobs. Jobs that run are stopped; their\nafter_script still runs.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline runs cancel 42\n  refline runs cancel 42 --job load",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, id, err := connectRun(cmd.Context(), e, *o, args)
			if err != nil {
				return err
			}
			return client.CancelRun(cmd.Context(), id, job)
		},
	}
	o.Bind(cmd)
	cmd.Flags().StringVar(&job, "job", "", "cancel only this job")
	return cmd
}

func newRunsWaitCmd(e *cli.Env) *cobra.Command {
	o := &cli.ConnectOptions{}
	var asJSON bool
	cmd := &cobra.Command{
		Use: "wait RUN", Short: "Wait until a run of a server ends", Args: cobra.ExactArgs(1),
		Long:    "Wait until a run of a server ends, or waits for a person.\n\nExit codes: 0 green or waiting, 1 error, 2 usage, 3 the run is red.",
		Example: "  refline runs wait 42",
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			client, id, err := connectRun(ctx, e, *o, args)
			if err != nil {
				return err
			}
			for {
				r, err := client.WaitRunEnd(ctx, id)
				if err != nil {
					return err
				}
				if !r.Finished.IsZero() || r.Result == pipeline.ResultWaiting {
					return (&watcher{e: e}).end(r, asJSON)
				}
			}
		},
	}
	o.Bind(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the run as JSON")
	return cmd
}
