package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/stack"
	"refline/internal/stack/planfile"
	"refline/internal/termview"
)

func newRunsPlayCmd(e *cli.Env) *cobra.Command {
	o := &cli.ConnectOptions{}
	var digests []string
	cmd := &cobra.Command{
		Use: "play RUN JOB", Short: "Start a job of a server's run that waits for a person", Args: cobra.ExactArgs(2),
		Long: `Start a job of a server's run that waits for a person. A job that deploys plans of
stacks takes the digest of each: that is the approval, and the server keeps who gave
it. It is refused if a plan is another by now, is of another commit, or was made again
by a later run.

Exit codes: 0 started, 1 error or refused, 2 usage.`,
		Example: "  refline runs play 42 load\n  refline runs plan 42\n  refline runs play 42 deploy --digest sha256:9c1f0a…",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, id, err := connectRun(cmd.Context(), e, *o, args)
			if err != nil {
				return err
			}
			for _, d := range digests {
				if d == "" {
					return cli.Usagef("--digest is empty; leave it out, or give it a value")
				}
			}
			return client.PlayJob(cmd.Context(), id, args[1], digests...)
		},
	}
	o.Bind(cmd)
	cmd.Flags().StringArrayVar(&digests, "digest", nil, "digest of a plan that was reviewed; once for each plan")
	return cmd
}

func newRunsPlanCmd(e *cli.Env) *cobra.Command {
	o := &cli.ConnectOptions{}
	var asJSON bool
	cmd := &cobra.Command{
		Use: "plan RUN [STACK]", Short: "Show the plans of stacks that a server's run made", Args: cobra.RangeArgs(1, 2),
		Long: `Show the plans of stacks that the jobs of a server's run made, as "refline stack plan"
does, with the command that approves each. STACK is a stack by its name in the
configuration or in CloudFormation.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline runs plan 42\n  refline runs plan 42 landing --json",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, id, err := connectRun(cmd.Context(), e, *o, args)
			if err != nil {
				return err
			}
			name := ""
			if len(args) > 1 {
				name = args[1]
			}
			return showRunPlans(cmd.Context(), e, client, id, name, asJSON)
		},
	}
	o.Bind(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the plan files, as a JSON list")
	return cmd
}

// runWithPlans is a run as JSON, with the plans of its jobs.
type runWithPlans struct {
	api.Run
	Plans []api.Plan `json:"plans,omitempty"`
}

// showRunPlans prints the plans of a run, or those of one stack.
func showRunPlans(ctx context.Context, e *cli.Env, client *api.Client, run int64, name string, asJSON bool) error {
	all, err := client.RunPlans(ctx, run)
	if err != nil {
		return err
	}
	var list []api.Plan
	var names []string
	for _, p := range all {
		names = append(names, p.Stack, p.StackName)
		if name == "" || p.Stack == name || p.StackName == name {
			list = append(list, p)
		}
	}
	switch {
	case len(all) == 0:
		return errs.E(errs.NotFound, "run %d made no plans, or its plan jobs have not ended: refline runs show %d --server", run, run)
	case len(list) == 0:
		return errs.E(errs.NotFound, "run %d has no plan of stack %q%s", run, name, cli.DidYouMean(name, names))
	}
	files := []*planfile.Plan{}
	var unreadable error
	for i, p := range list {
		if p.Problem != "" {
			unreadable = errors.Join(unreadable, errs.E(errs.Conflict, "job %s: %s", p.Job, p.Problem))
			continue
		}
		file, err := fetchPlan(ctx, client, p)
		if err != nil {
			return err
		}
		files = append(files, file)
		if asJSON {
			continue
		}
		if i > 0 {
			fmt.Fprintln(e.Stdout)
		}
		if err := stack.WriteText(e.Stdout, file, stack.TextOptions{Color: e.Color()}); err != nil {
			return err
		}
		for _, line := range planState(p) {
			fmt.Fprintln(e.Stdout, line)
		}
	}
	if asJSON {
		if err := e.PrintJSON(files); err != nil {
			return err
		}
	}
	return unreadable
}

// fetchPlan gets the file of a plan, whose digest must be the one that is listed.
func fetchPlan(ctx context.Context, client *api.Client, p api.Plan) (*planfile.Plan, error) {
	body, err := client.PlanFile(ctx, p.Run, p.Digest)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	const most = 32 << 20
	text, err := io.ReadAll(io.LimitReader(body, most))
	if err != nil {
		return nil, errs.E(errs.Unavailable, "read the plan of %s from %s: %w", p.StackName, client.URL(), err)
	}
	file, err := planfile.Decode(p.Path, text)
	if err == nil && file.Digest != p.Digest {
		err = errs.E(errs.Conflict, "the server sent another plan of %s: its digest is %s, not %s", p.StackName, planfile.Short(file.Digest), planfile.Short(p.Digest))
	}
	return file, err
}

// planState says how a plan goes on.
func planState(p api.Plan) []string {
	var out []string
	if p.Digest != "" {
		out = append(out, "plan "+p.Digest)
	}
	for _, a := range p.Approvals {
		out = append(out, fmt.Sprintf("approved for %s by %s, %s", termview.Plain(a.Job), termview.Plain(a.Actor), cli.Ago(a.At)))
	}
	switch {
	case p.Empty:
	case p.ReplacedBy != 0:
		out = append(out, fmt.Sprintf("outdated: run %d planned it again; refline runs plan %d", p.ReplacedBy, p.ReplacedBy))
	case len(p.Approvals) == 0 && len(p.Refusals) == 0:
		for _, job := range p.DeployJobs {
			out = append(out, fmt.Sprintf("review it, then: refline runs play %d %s --digest %s", p.Run, termview.ShellWord(job), p.Digest))
		}
	}
	return out
}

// planLines lists plans below a run: stack, changes, digest.
func planLines(plans []api.Plan) []string {
	if len(plans) == 0 {
		return nil
	}
	out := []string{"plans"}
	for _, p := range plans {
		if p.Problem != "" {
			out = append(out, "  "+termview.Plain(p.Problem))
			continue
		}
		out = append(out, fmt.Sprintf("  %s: %s", termview.Plain(p.StackName), p.Summary))
		for _, r := range p.Refusals {
			out = append(out, "    refused: "+termview.Plain(r))
		}
		for _, line := range planState(p) {
			if !strings.HasPrefix(line, "review it") {
				out = append(out, "    "+line)
			}
		}
	}
	return append(out, fmt.Sprintf("  review them: refline runs plan %d", plans[0].Run))
}
