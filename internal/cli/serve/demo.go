package serve

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/cli/remote"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

func newDemoCmd(e *cli.Env) *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: cli.OfServer["demo"],
		Long: `Show what a server does, in a temporary folder that is removed at the end: make a
repository with a flow, start a server, register the flow by branch and run it,
commit a change and run again, register it by tag, move the tag and see the refusal.
On a terminal the server then goes on until Ctrl-C.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline demo\n  refline demo --once",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDemo(cmd.Context(), e, once) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after the last step, also on a terminal")
	return cmd
}

// demo is the repository and the server of a demonstration.
type demo struct {
	e      *cli.Env
	dir    string
	repo   string
	client *api.Client
}

func runDemo(ctx context.Context, e *cli.Env, once bool) (err error) {
	d := &demo{e: e}
	if d.dir, err = os.MkdirTemp("", "refline-demo-"); err != nil {
		return errs.E(errs.Unavailable, "a folder for the demonstration: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	d.repo = filepath.Join(d.dir, "example")
	s, err := openServer(ctx, e, &serverOptions{data: filepath.Join(d.dir, "data"), listen: "127.0.0.1:0", minFree: defaultMinFree})
	if err != nil {
		return err
	}
	work, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.run(work, e) }()
	defer func() {
		cancel()
		if rerr := <-ended; err == nil {
			err = rerr
		}
	}()
	if d.client, err = cli.OwnerClient(s.data, cli.RunningServer{URL: s.url}); err != nil {
		return err
	}
	if err := d.story(ctx); err != nil {
		return err
	}
	if once || !e.Terminal {
		return nil
	}
	fmt.Fprintf(e.Stdout, "\nThe server goes on at %s until Ctrl-C. In another terminal:\n  export REFLINE_DATA=%s\n  refline flow list\n", s.url, s.data)
	select {
	case <-e.Stop.Done():
		return nil
	case err := <-ended:
		ended <- nil
		return err
	}
}

const demoFlow = `#!/bin/sh
# A flow is any script or pipeline in a repository.
echo "hello from commit $CI_COMMIT_SHORT_SHA"
`

func (d *demo) story(ctx context.Context) error {
	d.say("An example repository with one flow, flows/hello.sh")
	if err := d.commit(ctx, demoFlow, "a flow"); err != nil {
		return err
	}
	d.say("Registered by branch: each run takes the newest commit\n  refline flow register flows/hello.sh --branch main")
	if err := d.register(ctx, "hello", "branch", "main"); err != nil {
		return err
	}
	if err := d.run(ctx, "hello"); err != nil {
		return err
	}
	d.say("A commit changes the flow; nothing is built, pushed or registered again")
	if err := d.commit(ctx, demoFlow+"echo \"and now with a second line\"\n", "a second line"); err != nil {
		return err
	}
	if err := d.run(ctx, "hello"); err != nil {
		return err
	}
	d.say("Registered by tag: runs take the commit that the tag has now\n  refline flow register flows/hello.sh --tag v1 --name hello-v1")
	if err := d.git(ctx, "tag", "-a", "-m", "version 1", "v1"); err != nil {
		return err
	}
	if err := d.register(ctx, "hello-v1", "tag", "v1"); err != nil {
		return err
	}
	if err := d.run(ctx, "hello-v1"); err != nil {
		return err
	}
	d.say("Someone moves the tag: the next run is refused")
	if err := d.commit(ctx, demoFlow+"echo \"not what was reviewed\"\n", "something else"); err != nil {
		return err
	}
	if err := d.git(ctx, "tag", "-f", "-a", "-m", "version 1?", "v1"); err != nil {
		return err
	}
	err := d.run(ctx, "hello-v1")
	if err == nil {
		return errs.E(errs.Internal, "the run at a moved tag was not refused")
	}
	if !errs.Is(err, errs.Conflict) {
		return err
	}
	fmt.Fprintf(d.e.Stdout, "  refused: %v\n", err)
	return nil
}

func (d *demo) say(text string) { fmt.Fprintf(d.e.Stdout, "\n%s\n", text) }

func (d *demo) register(ctx context.Context, name, kind, ref string) error {
	r, err := d.client.RegisterFlow(ctx, api.FlowInput{Repository: d.repo, Path: "flows/hello.sh", Name: name, RefKind: kind, Ref: ref})
	if err != nil {
		return err
	}
	fmt.Fprintf(d.e.Stdout, "  registered %s: %s of %s, %s\n", r.Flow.Name, r.Flow.Path, r.Flow.Project, cli.RefText(r.Flow))
	return nil
}

func (d *demo) run(ctx context.Context, name string) error {
	fmt.Fprintf(d.e.Stdout, "  refline flow run %s --watch\n", name)
	r, err := d.client.StartRun(ctx, api.RunInput{Project: "example", Flow: name})
	if err != nil {
		return err
	}
	out := *d.e
	out.Stdout = &indented{to: d.e.Stdout}
	err = remote.WatchRun(ctx, &out, d.client, r.ID, false)
	if errors.Is(err, cli.ErrRed) {
		return errs.E(errs.Internal, "run %d ended %s", r.ID, pipeline.ResultFailed)
	}
	return err
}

// commit writes the flow and commits it.
func (d *demo) commit(ctx context.Context, flow, message string) error {
	if _, err := os.Stat(d.repo); err != nil {
		if err := os.MkdirAll(filepath.Join(d.repo, "flows"), 0o755); err != nil {
			return err
		}
		if err := d.git(ctx, "init", "-q", "-b", "main"); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(d.repo, "flows", "hello.sh"), []byte(flow), 0o755); err != nil {
		return err
	}
	if err := d.git(ctx, "add", "."); err != nil {
		return err
	}
	return d.git(ctx, "commit", "-q", "-m", message)
}

func (d *demo) git(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = d.repo
	cmd.Env = append(d.e.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR=", "GIT_WORK_TREE=",
		"GIT_AUTHOR_NAME=Example", "GIT_AUTHOR_EMAIL=example@example.com", "GIT_COMMITTER_NAME=Example", "GIT_COMMITTER_EMAIL=example@example.com")
	cmd.Env = withoutEmpty(cmd.Env)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errs.E(errs.Unavailable, "git %s: %w: %s; the demonstration needs git 2.28 or newer", args[0], err, strings.TrimSpace(string(out)))
	}
	return nil
}

// withoutEmpty drops the variables that a later KEY= empties.
func withoutEmpty(environ []string) []string {
	gone := map[string]bool{}
	for _, kv := range environ {
		if name, value, _ := strings.Cut(kv, "="); value == "" {
			gone[name] = true
		}
	}
	var kept []string
	for _, kv := range environ {
		if name, _, _ := strings.Cut(kv, "="); !gone[name] {
			kept = append(kept, kv)
		}
	}
	return kept
}

// indented puts "  | " before each line.
type indented struct {
	to interface{ Write([]byte) (int, error) }
	in bool // in a line
}

func (w *indented) Write(p []byte) (int, error) {
	for line := range strings.Lines(string(p)) {
		if !w.in {
			line = "  | " + line
		}
		w.in = !strings.HasSuffix(line, "\n")
		if _, err := w.to.Write([]byte(line)); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}
