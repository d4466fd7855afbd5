// Package podagent is the runner of one attempt inside of a pod: it claims the attempt
// that the pod was made for, and runs it in the pod's other container.
//
// It promises that nothing secret is in the pod's manifest: who it is says a token that
// the cluster gives it, and what the job needs comes from the server. The job's
// container gets a socket and the folders of the job. It does not know who made the pod.
package podagent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/podsandbox"
	"refline/internal/pipeline"
	"refline/internal/runner"
)

// Options are what the pod's manifest says.
type Options struct {
	URL       string // of the server
	Fence     int64  // of the attempt
	TokenFile string // with the token of the pod's service account
	Shared    string // folder that the job's container has too, read-only
	Builds    string // folder that both write in, at the same path
	Binary    string // this program, for the job's container; "" if that has it
	Services  []podsandbox.Service
	Version   string
	AllowHTTP bool // reach repositories by http
	Transport http.RoundTripper
	Notice    func(text string)
}

// Names in the shared folder.
const (
	socketName = "agent.sock"
	binaryName = "refline"
)

// Socket is where the agent listens for the job's container.
func Socket(shared string) string { return filepath.Join(shared, socketName) }

// settleTime is how long the agent waits, after the job's container has vanished, for
// those who see why.
const settleTime = 3 * time.Second

// Run runs the attempt and returns the exit code for the job's container. Errors:
// Denied if the server does not know the pod, Conflict if another pod has the attempt.
func Run(ctx context.Context, o Options) (exitCode int, err error) {
	if o.Notice == nil {
		o.Notice = func(string) {}
	}
	sandbox, err := podsandbox.Listen(Socket(o.Shared))
	if err != nil {
		return 1, err
	}
	defer sandbox.Close()
	if err := sandbox.ListenServices(o.Shared, o.Services); err != nil {
		return 1, err
	}
	var claim api.Claim
	var claimErr error
	var claiming sync.WaitGroup
	claiming.Go(func() { claim, claimErr = claimAttempt(ctx, o) })
	err = copyBinary(o)
	claiming.Wait()
	if err = errors.Join(claimErr, err); err != nil {
		return 1, err
	}
	result, err := runner.RunAttempt(ctx, runner.Options{
		URL: o.URL, Token: func() string { return claim.Token }, Transport: o.Transport, Version: o.Version, Dir: o.Builds,
		Kinds: []executor.Kind{{Name: "kubernetes", Open: func(context.Context) (executor.Executor, error) { return kept{sandbox}, nil }}},
		// The environment is that of the job's image.
		HostImages: true, Environ: []string{}, AllowHTTP: o.AllowHTTP, Settle: settle, Notice: o.Notice,
	}, claim, o.Fence)
	code := exitCodeOf(result)
	sandbox.Finish(code)
	return code, err
}

// kept is the sandbox, which is closed after the runner has said how it ends.
type kept struct{ *podsandbox.Executor }

func (kept) Close() error { return nil }

// settle waits when the job's container is gone: the runner that made the pod sees
// whether its memory or its node was at fault.
func settle(ctx context.Context, err error) {
	if !errors.Is(err, podsandbox.ErrGone) {
		return
	}
	timer := time.NewTimer(settleTime)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

func exitCodeOf(r api.JobResult) int {
	switch {
	case r.Status == pipeline.StatusSuccess:
		return 0
	case r.ExitCode > 0 && r.ExitCode < 256:
		return r.ExitCode
	}
	return 1
}

// copyBinary gives the job's container this program.
func copyBinary(o Options) error {
	if o.Binary == "" {
		return nil
	}
	in, err := os.Open(o.Binary)
	if err != nil {
		return errs.E(errs.Unavailable, "copy the program for the job's container: %w", err)
	}
	defer in.Close()
	path := filepath.Join(o.Shared, binaryName)
	out, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o755)
	if err == nil {
		_, err = io.Copy(out, in)
		err = errors.Join(err, out.Close())
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return errs.E(errs.Unavailable, "copy the program for the job's container: %w", err)
	}
	return nil
}

// Ready waits until the job's container can start. It is for a hook that holds that
// back.
func Ready(ctx context.Context, shared string) error {
	for {
		_, serr := os.Lstat(Socket(shared))
		_, berr := os.Lstat(filepath.Join(shared, binaryName))
		if serr == nil && berr == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

const (
	firstWait = 20 * time.Millisecond
	mostWait  = 2 * time.Second
)

// claimAttempt exchanges the token of the pod. The server may hear of the pod a moment
// later from the runner that made it.
func claimAttempt(ctx context.Context, o Options) (api.Claim, error) {
	client := &api.RunnerClient{URL: o.URL, HTTP: &http.Client{
		Transport:     o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this server
	}}
	defer client.HTTP.CloseIdleConnections()
	noted := false
	for wait := firstWait; ; wait = min(2*wait, mostWait) {
		text, err := os.ReadFile(o.TokenFile)
		if err != nil {
			return api.Claim{}, errs.E(errs.Invalid, "the token of the pod's service account: %w", err)
		}
		c, err := client.Claim(ctx, api.ClaimRequest{Fence: o.Fence, Token: strings.TrimSpace(string(text))})
		kind := errs.KindOf(err)
		if err == nil || kind != errs.Unavailable && kind != errs.Internal || ctx.Err() != nil {
			if err != nil {
				err = fmt.Errorf("claim attempt %d at %s: %w", o.Fence, o.URL, err)
			}
			return c, err
		}
		if !noted && wait >= mostWait {
			noted = true
			o.Notice(fmt.Sprintf("waiting for the server: %v", err))
		}
		select {
		case <-ctx.Done():
			return c, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
