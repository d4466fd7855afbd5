package remote

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/termview"
)

type flowRunOptions struct {
	flowOptions
	inputs, variables []string
	branch, tag       string
	commit            string
	watch             bool
}

func newFlowRunCmd(e *cli.Env) *cobra.Command {
	o := &flowRunOptions{}
	cmd := &cobra.Command{
		Use: "run NAME", Short: "Run a flow on the server", Args: cobra.ExactArgs(1),
		Long: `Run a flow on the server, at the newest commit of its branch or at its pinned
commit. With --watch the logs are shown until it ends.

Exit codes: 0 started, or with --watch green; 1 error, 2 usage, 3 the run is red.`,
		Example: `  refline flow run hello --watch
  refline flow run etl --input day=2026-11-22
  refline flow run etl --branch fix/dates`,
		RunE: func(cmd *cobra.Command, args []string) error { return runFlowRun(cmd.Context(), e, o, args[0]) },
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.inputs, "input", nil, "NAME=VALUE for this run; repeatable")
	f.StringArrayVar(&o.variables, "var", nil, "NAME=VALUE, a variable of this run, not a secret; repeatable")
	f.StringVar(&o.branch, "branch", "", "run this branch instead of the flow's ref")
	f.StringVar(&o.tag, "tag", "", "run this tag")
	f.StringVar(&o.commit, "commit", "", "run this commit")
	f.BoolVarP(&o.watch, "watch", "w", false, "show the logs until it ends")
	cmd.MarkFlagsMutuallyExclusive("branch", "tag", "commit")
	return cmd
}

func runFlowRun(ctx context.Context, e *cli.Env, o *flowRunOptions, name string) error {
	client, f, err := o.find(ctx, e, name)
	if err != nil {
		return err
	}
	in := api.RunInput{Project: f.Project, Flow: f.Name}
	if in.Inputs, err = ParseInputs(o.inputs); err != nil {
		return err
	}
	for _, text := range o.variables {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return cli.Usagef("--var %q is not NAME=VALUE", text)
		}
		if in.Variables == nil {
			in.Variables = map[string]string{}
		}
		in.Variables[name] = value
	}
	for kind, ref := range map[string]string{"branch": o.branch, "tag": o.tag, "commit": o.commit} {
		if ref != "" {
			in.RefKind, in.Ref = kind, ref
		}
	}
	r, err := client.StartRun(ctx, in)
	if err != nil {
		return err
	}
	if o.JSON && !o.watch {
		return e.PrintJSON(r)
	}
	header := fmt.Sprintf("run %d of %s · %s at %.7s", r.ID, termview.Plain(f.Name), termview.Plain(r.Ref), r.Commit)
	if !o.watch {
		fmt.Fprintf(e.Stdout, "%s\n  watch it: refline runs log -f %d --server\n", header, r.ID)
		return nil
	}
	e.Notef("%s", header)
	return WatchRun(ctx, e, client, r.ID, o.JSON)
}

// WatchRun shows the logs of a run's jobs until it ends, and returns errRed if it
// did so red.
func WatchRun(ctx context.Context, e *cli.Env, client *api.Client, id int64, asJSON bool) error {
	w := &watcher{e: e, client: client, id: id, seen: map[string]int{}, states: map[string]pipeline.Status{}}
	defer w.logs.Wait()
	var version int64
	for {
		r, err := client.WaitRun(ctx, id, version)
		if err != nil {
			return err
		}
		version = r.Version
		if !asJSON {
			w.show(ctx, r)
		}
		if !r.Finished.IsZero() || r.Result == pipeline.ResultWaiting {
			w.logs.Wait()
			return w.end(r, asJSON)
		}
	}
}

// watcher prints the lines of jobs as they come, each with its job's name.
type watcher struct {
	e      *cli.Env
	client *api.Client
	id     int64
	seen   map[string]int // attempts whose log is shown
	states map[string]pipeline.Status
	logs   sync.WaitGroup
	mu     sync.Mutex // of the output
}

func (w *watcher) show(ctx context.Context, r api.Run) {
	for _, j := range r.Jobs {
		if j.Attempt > w.seen[j.Name] {
			w.seen[j.Name] = j.Attempt
			prefix := ""
			if len(r.Jobs) > 1 {
				prefix = termview.Plain(j.Name) + " | "
			}
			w.logs.Go(func() { w.follow(ctx, j.Name, j.Attempt, prefix) })
		}
	}
}

func (w *watcher) follow(ctx context.Context, job string, attempt int, prefix string) {
	offset := int64(0)
	for tries := 0; ; tries++ {
		log, err := w.client.Log(ctx, w.id, job, attempt, offset, true)
		if err == nil {
			var n int64
			n, err = w.copy(log, prefix)
			offset += n
			_ = log.Close()
		}
		if err == nil || ctx.Err() != nil || !errs.Is(err, errs.Unavailable) || tries == 10 {
			return
		}
		time.Sleep(time.Second) // the server restarts; the log goes on where it was
	}
}

// copy writes whole lines, so that those of several jobs do not mix.
func (w *watcher) copy(log io.Reader, prefix string) (read int64, err error) {
	lines := &termview.LogLines{Plain: !w.e.Color(), Line: func(line string) {
		w.mu.Lock()
		defer w.mu.Unlock()
		fmt.Fprintf(w.e.Stdout, "%s%s\n", prefix, line)
	}}
	read, err = io.Copy(lines, log)
	lines.Flush()
	if err != nil {
		err = errs.E(errs.Unavailable, "%w", err)
	}
	return read, err
}

// end prints how the run ended.
func (w *watcher) end(r api.Run, asJSON bool) error {
	if asJSON {
		if err := w.e.PrintJSON(r); err != nil {
			return err
		}
	} else {
		for _, line := range runLines(r) {
			fmt.Fprintln(w.e.Stdout, line)
		}
	}
	if r.Result == pipeline.ResultFailed || r.Result == pipeline.ResultCanceled {
		return cli.ErrRed
	}
	return nil
}

// runLines show a run: a line for each job, then what became of it.
func runLines(r api.Run) []string {
	var rows [][]string
	for _, j := range r.Jobs {
		detail := termview.Plain(j.Why)
		switch {
		case j.Error != "":
			detail = termview.Plain(j.Error)
		case j.Status == pipeline.StatusFailed && j.ExitCode != 0:
			detail = fmt.Sprintf("exit %d", j.ExitCode)
		case j.Status == pipeline.StatusFailed:
			detail = string(j.Reason)
		case j.Status == pipeline.StatusManual:
			detail = fmt.Sprintf("to run it: refline runs play %d %s", r.ID, termview.ShellWord(j.Name))
		}
		rows = append(rows, []string{"  " + string(j.Status), termview.Plain(j.Name), cli.Took(j.Started, j.Finished), detail})
	}
	lines := termview.Align(rows)
	return append(lines, fmt.Sprintf("run %d: %s in %s", r.ID, cli.StateText(r), cli.Took(r.Created, r.Finished)))
}
