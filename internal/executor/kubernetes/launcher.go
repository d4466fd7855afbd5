// Package kubernetes starts a pod for each attempt: as a Job of batch/v1 whose first
// container is our agent and whose second runs in the runtime's image.
//
// What a Job looks like and what a pod's state means are pure functions. It promises
// that nothing secret is in what it sends to the cluster, that an end is reported in
// words, and that what it made is found again by labels. It does not know what the
// agent does, and never looks into a pod.
package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"refline/internal/errs"
	"refline/internal/executor"
)

var _ executor.Launcher = (*Launcher)(nil)

// Launcher makes and watches the pods of one runner.
type Launcher struct {
	cluster *Cluster
	options Options
	notice  func(string)
	now     func() time.Time

	mu         sync.Mutex
	attempts   map[int64]*tracked
	namespaces map[string]bool
	watching   context.Context // of Watch; nil before
	report     func(executor.LaunchEvent)
	group      sync.WaitGroup
}

// tracked is an attempt with what was seen of it.
type tracked struct {
	observed
	namespace string
	note      string // reported last
	id        string
	ended     bool
}

// New makes a Launcher. notice gets what an operator wants to know.
func New(c *Cluster, o Options, notice func(string)) *Launcher {
	if o.Namespace == "" {
		o.Namespace = c.Namespace()
	}
	l := &Launcher{cluster: c, options: o, notice: notice, now: time.Now, attempts: map[int64]*tracked{}, namespaces: map[string]bool{}}
	l.namespaces[o.Namespace] = false
	return l
}

// Launch makes the Job of an attempt.
func (l *Launcher) Launch(ctx context.Context, a executor.Launch) error {
	job, err := Render(l.options, a)
	if err != nil {
		return err
	}
	c, err := readConfig(a.Config)
	if err != nil {
		return err
	}
	l.track(a.Fence, job.Namespace, c.pending())
	l.watchNamespace(job.Namespace)
	err = l.cluster.call(ctx, http.MethodPost, jobsPath(job.Namespace, ""), nil, job, nil)
	if errs.Is(err, errs.Conflict) {
		err = nil // an answer was lost, or the runner restarted
	}
	if err != nil {
		return fmt.Errorf("make the Job %s in namespace %s: %w", job.Name, job.Namespace, err)
	}
	return nil
}

// Check asks the API server whether it would take the Job of an attempt.
func (c *Cluster) Check(ctx context.Context, job *batchv1.Job) error {
	return c.call(ctx, http.MethodPost, jobsPath(job.Namespace, ""), url.Values{"dryRun": {"All"}, "fieldValidation": {"Strict"}}, job, nil)
}

func (l *Launcher) track(fence int64, namespace string, pending time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.attempts[fence] == nil {
		l.attempts[fence] = &tracked{namespace: namespace, observed: observed{Launched: l.now(), Pending: pending, Since: map[string]time.Time{}}}
	}
}

// End deletes the Job with its pod.
func (l *Launcher) End(ctx context.Context, fence int64) error {
	l.mu.Lock()
	namespace := l.options.Namespace
	if t := l.attempts[fence]; t != nil {
		namespace, t.ended = t.namespace, true
	}
	l.mu.Unlock()
	err := l.cluster.call(ctx, http.MethodDelete, jobsPath(namespace, jobName(fence)), nil, metav1.DeleteOptions{PropagationPolicy: ptr(metav1.DeletePropagationBackground)}, nil)
	if errs.Is(err, errs.NotFound) {
		err = nil
	}
	return err
}

// selector finds what this runner made.
func (l *Launcher) selector() url.Values {
	return url.Values{"labelSelector": {labelManager + "=" + manager + "," + labelRunner + "=" + labelValue(l.options.Runner)}}
}

// List returns the fences of our Jobs that are at least this old.
func (l *Launcher) List(ctx context.Context, age time.Duration) ([]int64, error) {
	l.mu.Lock()
	var namespaces []string
	for name := range l.namespaces {
		namespaces = append(namespaces, name)
	}
	l.mu.Unlock()
	var fences []int64
	for _, namespace := range namespaces {
		var jobs batchv1.JobList
		if err := l.cluster.call(ctx, http.MethodGet, jobsPath(namespace, ""), l.selector(), nil, &jobs); err != nil {
			return nil, fmt.Errorf("list the Jobs of namespace %s: %w", namespace, err)
		}
		for _, j := range jobs.Items {
			fence, ok := fenceOf(j.Labels)
			if !ok || l.now().Sub(j.CreationTimestamp.Time) < age || j.DeletionTimestamp != nil || ended(&j) {
				continue // its time to live removes one that has ended
			}
			l.track(fence, namespace, pendingTime)
			fences = append(fences, fence)
		}
	}
	return fences, nil
}

func ended(j *batchv1.Job) bool {
	for _, c := range j.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func fenceOf(labels map[string]string) (int64, bool) {
	fence, err := strconv.ParseInt(labels[labelAttempt], 10, 64)
	return fence, err == nil && fence > 0
}

// Keys returns the keys by which the cluster signs the tokens of pods.
func (l *Launcher) Keys(ctx context.Context) ([]byte, error) {
	var keys []byte
	err := l.cluster.call(ctx, http.MethodGet, "/openid/v1/jwks", nil, nil, &keys)
	if err == nil && !json.Valid(keys) {
		err = errs.E(errs.Unavailable, "the cluster's answer is not JSON")
	}
	return keys, err
}

// tickTime is how often states are judged that end by time.
const tickTime = time.Second

// Watch follows pods and warnings of all namespaces that Jobs are made in.
func (l *Launcher) Watch(ctx context.Context, report func(executor.LaunchEvent)) error {
	l.mu.Lock()
	l.watching, l.report = ctx, report
	var names []string
	for name, on := range l.namespaces {
		if !on {
			names = append(names, name)
		}
	}
	l.mu.Unlock()
	for _, name := range names {
		l.watchNamespace(name)
	}
	tick := time.NewTicker(tickTime)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
			l.judgeAll(ctx)
		}
	}
	l.group.Wait()
	return nil
}

// watchNamespace begins to follow a namespace, once.
func (l *Launcher) watchNamespace(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.namespaces[name] || l.watching == nil || l.watching.Err() != nil {
		if !l.namespaces[name] {
			l.namespaces[name] = false
		}
		return
	}
	l.namespaces[name] = true
	ctx := l.watching
	pods := &watcher{
		cluster: l.cluster, path: corePath(name, "pods"), query: l.selector(),
		found:   func(o json.RawMessage) { l.takePod(ctx, name, o, false) },
		deleted: func(o json.RawMessage) { l.takePod(ctx, name, o, true) },
		listed:  func(list []json.RawMessage) { l.takePods(ctx, name, list) },
	}
	warnings := &watcher{
		cluster: l.cluster, path: corePath(name, "events"), query: url.Values{"fieldSelector": {"type=Warning"}},
		found:   func(o json.RawMessage) { l.takeWarning(ctx, o) },
		deleted: func(json.RawMessage) {},
		listed: func(list []json.RawMessage) {
			for _, o := range list {
				l.takeWarning(ctx, o)
			}
		},
	}
	for what, w := range map[string]*watcher{"pods": pods, "events": warnings} {
		l.group.Go(func() { w.run(ctx, l.failed(what, name)) })
	}
}

// failed notes a watch that does not work, once.
func (l *Launcher) failed(what, namespace string) func(error) {
	noted := false
	return func(err error) {
		switch {
		case err != nil && !noted:
			l.notice(fmt.Sprintf("watch the %s of namespace %s: %v", what, namespace, err))
		case err == nil && noted:
			l.notice(fmt.Sprintf("the %s of namespace %s are watched again", what, namespace))
		}
		noted = err != nil
	}
}

// takePod takes the state of a pod.
func (l *Launcher) takePod(ctx context.Context, namespace string, object json.RawMessage, deleted bool) {
	p := &corev1.Pod{}
	if json.Unmarshal(object, p) != nil {
		return
	}
	fence, ok := fenceOf(p.Labels)
	if !ok {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.attempts[fence]
	if t == nil {
		t = &tracked{namespace: namespace, observed: observed{Launched: p.CreationTimestamp.Time, Pending: pendingTime, Since: map[string]time.Time{}}}
		l.attempts[fence] = t
	}
	t.Pod, t.Gone = p, deleted
	l.note(ctx, fence, t)
}

// takePods takes a list: pods that are not in it were deleted.
func (l *Launcher) takePods(ctx context.Context, namespace string, list []json.RawMessage) {
	there := map[int64]bool{}
	for _, o := range list {
		var meta struct {
			metav1.ObjectMeta `json:"metadata"`
		}
		if json.Unmarshal(o, &meta) == nil {
			if fence, ok := fenceOf(meta.Labels); ok {
				there[fence] = true
			}
		}
		l.takePod(ctx, namespace, o, false)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for fence, t := range l.attempts {
		if t.namespace == namespace && t.Pod != nil && !there[fence] {
			t.Gone = true
			l.note(ctx, fence, t)
		}
	}
}

// mostWarnings bounds what is kept of one attempt.
const mostWarnings = 20

func (l *Launcher) takeWarning(ctx context.Context, object json.RawMessage) {
	e := &corev1.Event{}
	if json.Unmarshal(object, e) != nil {
		return
	}
	var fence int64
	if n, err := fmt.Sscanf(e.InvolvedObject.Name, "refline-%d", &fence); n != 1 || err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.attempts[fence]
	if t == nil || t.ended || e.LastTimestamp.Time.Before(t.Launched.Add(-time.Minute)) && !e.LastTimestamp.IsZero() {
		return // of an older Job of this name
	}
	t.Warnings = append(t.Warnings, warning{Kind: e.InvolvedObject.Kind, Reason: e.Reason, Message: e.Message})
	if len(t.Warnings) > mostWarnings {
		t.Warnings = t.Warnings[1:]
	}
	l.note(ctx, fence, t)
}

// judgeAll judges what ends by time, and forgets what has ended.
func (l *Launcher) judgeAll(ctx context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for fence, t := range l.attempts {
		if t.ended && (t.Pod == nil || t.Gone) {
			delete(l.attempts, fence)
			continue
		}
		l.note(ctx, fence, t)
	}
}

// note judges an attempt and reports what is new. The mu is held.
func (l *Launcher) note(ctx context.Context, fence int64, t *tracked) {
	if t.ended || l.report == nil {
		return
	}
	now := l.now()
	t.remember(now)
	v := judge(t.observed, now)
	if v.End != nil && v.End.Cause == executor.LaunchSystem && t.Job == nil && (t.Gone || t.Pod != nil && t.Pod.DeletionTimestamp != nil) {
		t.Job = &batchv1.Job{}
		l.group.Go(func() { l.readJob(ctx, fence, t) })
		return
	}
	if t.Job != nil && t.Job.Name == "" && v.End != nil {
		return // it is being read
	}
	ev := executor.LaunchEvent{Fence: fence, End: v.End}
	if t.Pod != nil {
		ev.ID = string(t.Pod.UID)
	}
	if v.Note != t.note {
		t.note, ev.Note = v.Note, v.Note
	}
	if ev.ID != t.id || ev.Note != "" || ev.End != nil {
		t.id, t.ended = ev.ID, ev.End != nil
		l.report(ev)
	}
}

// readJob finds out whether the cluster ended a pod for its Job's deadline.
func (l *Launcher) readJob(ctx context.Context, fence int64, t *tracked) {
	job := &batchv1.Job{}
	err := l.cluster.call(ctx, http.MethodGet, jobsPath(t.namespace, jobName(fence)), nil, nil, job)
	if err != nil || job.Name == "" {
		job = &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: jobName(fence)}} // gone too
	}
	if err != nil && !errs.Is(err, errs.NotFound) && !errors.Is(err, context.Canceled) {
		l.notice(fmt.Sprintf("read the Job of attempt %d: %v", fence, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Job = job
	l.note(ctx, fence, t)
}

// remember notes since when the attempt is in states that end by time.
func (t *tracked) remember(now time.Time) {
	current := map[string]bool{}
	if t.Pod != nil {
		for _, s := range t.Pod.Status.ContainerStatuses {
			if s.State.Waiting != nil {
				current[state(s.Name, s.State.Waiting.Reason)] = true
			}
		}
	}
	for _, w := range t.Warnings {
		switch w.Reason {
		case "FailedMount", "FailedAttachVolume":
			current["mount"] = true
		case "FailedCreate":
			current["create"] = true
		}
	}
	for name := range current {
		if _, ok := t.Since[name]; !ok && name != "" {
			t.Since[name] = now
		}
	}
	for name := range t.Since {
		if !current[name] {
			delete(t.Since, name)
		}
	}
}
