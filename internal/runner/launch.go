package runner

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
)

// launches are the attempts that this runner has others run, such as pods. The other
// one claims its attempt from the server; from then on it has the lease, and this
// runner only says why it ended if it cannot do so itself.
type launches struct {
	r        *runner
	kind     string
	launcher executor.Launcher

	mu     sync.Mutex
	follow map[int64]chan executor.LaunchEvent // by fence
}

// openLaunches opens the launcher among the runner's kinds; nil if there is none.
func (r *runner) openLaunches(ctx context.Context) (*launches, error) {
	for _, k := range r.kinds.Kinds() {
		if k.Launcher == nil {
			continue
		}
		l, err := k.Launcher(ctx)
		if err != nil {
			return nil, fmt.Errorf("executor %s: %w", k.Name, err)
		}
		return &launches{r: r, kind: k.Name, launcher: l, follow: map[int64]chan executor.LaunchEvent{}}, nil
	}
	return nil, nil
}

const (
	keysEach  = time.Hour   // clusters change their keys now and then
	sweepEach = time.Minute // also the age from which on something is swept
)

// work watches, and keeps the server's keys and the cluster in order, until ctx is
// done.
func (l *launches) work(ctx context.Context) {
	var group sync.WaitGroup
	group.Go(func() {
		if err := l.launcher.Watch(ctx, l.report); err != nil && ctx.Err() == nil {
			l.r.o.Notice(fmt.Sprintf("executor %s: nothing is seen of what was launched any more: %v", l.kind, err))
		}
	})
	group.Go(func() { l.each(ctx, keysEach, l.sendKeys) })
	group.Go(func() { l.each(ctx, sweepEach, l.sweep) })
	group.Wait()
}

// each calls f now and then. What fails is tried again soon.
func (l *launches) each(ctx context.Context, every time.Duration, f func(context.Context) error) {
	var wait backoff
	noted := false
	for ctx.Err() == nil {
		if err := f(ctx); err != nil {
			if !noted && ctx.Err() == nil {
				noted = true
				l.r.o.Notice(fmt.Sprintf("executor %s: %v", l.kind, err))
			}
			wait.sleep(ctx)
			continue
		}
		wait, noted = backoff{}, false
		timer := time.NewTimer(every)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

// sendKeys gives the server the keys by which it knows our pods.
func (l *launches) sendKeys(ctx context.Context) error {
	keys, err := l.launcher.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read the cluster's keys: %w", err)
	}
	return l.r.client.SetKeys(ctx, keys)
}

// sweep removes what was launched for attempts that are over.
func (l *launches) sweep(ctx context.Context) error {
	fences, err := l.launcher.List(ctx, sweepEach)
	if err != nil || len(fences) == 0 {
		return err
	}
	const most = 1000
	for len(fences) > 0 {
		n := min(len(fences), most)
		closed, err := l.r.client.Closed(ctx, fences[:n])
		if err != nil {
			return err
		}
		for _, fence := range closed {
			if err := l.launcher.End(ctx, fence); err != nil {
				return err
			}
		}
		fences = fences[n:]
	}
	return nil
}

// report is news of a launch. What no attempt here follows was launched before this
// runner started: only its end matters.
func (l *launches) report(ev executor.LaunchEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to := l.follow[ev.Fence]; to != nil {
		for {
			select {
			case to <- ev:
				return
			default: // it is full of news: the newest counts
			}
			select {
			case <-to:
			default:
			}
		}
	}
	if ev.End != nil && ev.End.Cause != executor.LaunchDone {
		l.r.removeLater(func() { _ = l.end(l.r.calls, ev.Fence, *ev.End) }) // the lease ends it otherwise
	}
}

func (l *launches) events(fence int64) (events chan executor.LaunchEvent, end func()) {
	events = make(chan executor.LaunchEvent, 16)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.follow[fence] = events
	return events, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.follow, fence)
	}
}

// end says why an attempt ended without a result.
func (l *launches) end(ctx context.Context, fence int64, end executor.LaunchEnd) error {
	out := api.LaunchEnded{Text: end.Text, Reason: pipeline.ReasonRunnerSystemFailure}
	switch end.Cause {
	case executor.LaunchDone:
		return nil
	case executor.LaunchSystem:
		out.System = true
	case executor.LaunchImage:
		out.Reason = pipeline.ReasonImagePull
	case executor.LaunchConfiguration:
		out.Reason = pipeline.ReasonRunnerUnsupported
	case executor.LaunchMemory, executor.LaunchStorage:
		out.Reason = pipeline.ReasonScriptFailure
	case executor.LaunchDeadline:
		out.Reason = pipeline.ReasonJobExecutionTimeout
	}
	return l.r.retry(ctx, func() error { return l.r.client.EndLaunched(ctx, fence, out) })
}

// wants reports whether a job is launched instead of run here.
func (l *launches) wants(spec *api.LaunchSpec) bool {
	if spec.Runtime.Executor != "" {
		return spec.Runtime.Executor == l.kind
	}
	for _, k := range l.r.kinds.Kinds() {
		if k.Launcher == nil && (k.Isolated || spec.Image == nil || l.r.o.HostImages) {
			return false // it can run here, as without a cluster
		}
	}
	return true
}

// launchOf says what is launched for a job.
func launchOf(spec *api.LaunchSpec) (executor.Launch, error) {
	out := executor.Launch{
		Fence: spec.Fence, Run: spec.Run, Job: spec.Job, Project: spec.Project, Runtime: spec.Runtime.Name,
		Image: spec.Runtime.Image, Env: map[string]string{}, Timeout: spec.Timeout.D(), Config: spec.Kubernetes,
	}
	if out.Timeout <= 0 {
		out.Timeout = time.Hour
	}
	var err error
	if out.Services, err = launchServices(spec); err != nil {
		return out, err
	}
	if len(spec.Runtime.Pull) > 0 {
		out.Pull = spec.Runtime.Pull[0]
	}
	for _, v := range spec.Runtime.Env {
		out.Env[v.Name] = v.Value
	}
	if spec.Image == nil || spec.Image.Name == "" {
		return out, nil
	}
	if err := allowed(spec); err != nil {
		return out, err
	}
	out.Image = spec.Image.Name
	if len(spec.Image.PullPolicy) > 0 {
		out.Pull = spec.Image.PullPolicy[0]
	}
	out.Entrypoint = spec.Image.Entrypoint
	return out, nil
}

// allowed checks the image that a job names itself against the runtime's patterns.
// Without a runtime any is allowed.
func allowed(spec *api.LaunchSpec) error {
	name := spec.Image.Name
	if spec.Runtime.Name == "" || name == spec.Runtime.Image {
		return nil
	}
	var pods api.KubernetesRuntime
	if len(spec.Kubernetes) > 0 {
		if err := json.Unmarshal(spec.Kubernetes, &pods); err != nil {
			return errs.E(errs.Invalid, "runtime %s: %w", spec.Runtime.Name, err)
		}
	}
	for _, pattern := range pods.Images {
		if ok, err := path.Match(pattern, name); err == nil && ok {
			return nil
		}
	}
	if len(pods.Images) == 0 && spec.FlowImage {
		return nil // whoever registered the flow chose it
	}
	if len(pods.Images) == 0 {
		return errs.E(errs.Invalid, "job %q wants the image %s, and runtime %s allows its own only (%s); leave image: out of the job, or allow it: refline runtime set %s --allow-image %s",
			spec.Job, name, spec.Runtime.Name, spec.Runtime.Image, spec.Runtime.Name, name)
	}
	return errs.E(errs.Invalid, "job %q wants the image %s, which runtime %s does not allow: it allows %v", spec.Job, name, spec.Runtime.Name, pods.Images)
}
