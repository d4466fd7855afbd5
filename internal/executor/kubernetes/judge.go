package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"refline/internal/executor"
)

// observed is what is known of an attempt's Job and pod.
type observed struct {
	Pod      *corev1.Pod  // nil: there is none yet, or no more
	Gone     bool         // the pod was there
	Job      *batchv1.Job // read when it matters; may be nil
	Launched time.Time
	Pending  time.Duration // how long it may wait for a node
	// Since is when a state was seen first, by its name.
	Since    map[string]time.Time
	Warnings []warning // events, oldest first
}

// warning is an event of the pod or its Job.
type warning struct{ Kind, Reason, Message string }

// verdict is what that means.
type verdict struct {
	Note string              // why it does not start, "" if it does
	End  *executor.LaunchEnd // nil: it goes on
}

// How long states may last that often pass by themselves.
const (
	configTime = 30 * time.Second // a Secret that is about to be made
	pullTime   = 2 * time.Minute  // a registry that does not answer
	mountTime  = 2 * time.Minute
	createTime = 5 * time.Second // a service account that is about to be made
)

func over(cause executor.LaunchCause, format string, args ...any) verdict {
	return verdict{End: &executor.LaunchEnd{Cause: cause, Text: fmt.Sprintf(format, args...)}}
}

// judge says what the state of a Job and its pod means. It is a pure function. The
// agent is looked at first: when it fails, the job's container only follows.
func judge(o observed, now time.Time) verdict {
	p := o.Pod
	if p == nil {
		if o.Gone {
			return removed(o, nil)
		}
		return notCreated(o, now)
	}
	if v, ok := disrupted(p); ok {
		return v
	}
	if s := status(p, agentContainer); s != nil && s.State.Terminated != nil {
		return agentEnded(s.State.Terminated)
	}
	if s := status(p, jobContainer); s != nil && s.State.Terminated != nil {
		if v := jobEnded(p, s.State.Terminated); v.End != nil {
			return v
		}
	}
	if p.DeletionTimestamp != nil || o.Gone {
		return removed(o, p)
	}
	for _, name := range containerNames(p) {
		if s := status(p, name); s != nil && s.State.Waiting != nil {
			if v := waiting(o, name, s.State.Waiting, now); v != (verdict{}) {
				return v
			}
		}
	}
	return unplaced(o, p, now)
}

// containerNames are those of a pod, the agent first.
func containerNames(p *corev1.Pod) []string {
	var names []string
	for _, s := range slices.Concat(p.Status.InitContainerStatuses, p.Status.ContainerStatuses) {
		names = append(names, s.Name)
	}
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

func status(p *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{p.Status.ContainerStatuses, p.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

// disrupted is a pod that the cluster took away.
func disrupted(p *corev1.Pod) (verdict, bool) {
	if p.Status.Reason == "Evicted" {
		text := p.Status.Message
		for _, own := range []string{"emptyDir", "EmptyDir", "ephemeral local storage usage"} {
			if strings.Contains(text, own) {
				return over(executor.LaunchStorage, "the pod was evicted for its own use of disk: %s; raise its limit, or use less", text), true
			}
		}
		return over(executor.LaunchSystem, "the pod was evicted: %s", text), true
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.DisruptionTarget && c.Status == corev1.ConditionTrue {
			return over(executor.LaunchSystem, "the cluster took the pod away (%s): %s", c.Reason, c.Message), true
		}
	}
	return verdict{}, false
}

func agentEnded(t *corev1.ContainerStateTerminated) verdict {
	switch {
	case t.ExitCode == 0:
		return over(executor.LaunchDone, "")
	case t.Reason == "OOMKilled":
		return over(executor.LaunchSystem, "the agent of the pod ran out of memory; raise the limit of container refline in the runtime's template")
	case startError(t):
		return over(executor.LaunchConfiguration, "the agent's image does not start: %s; it must hold /refline (the runner's --agent-image)", t.Message)
	}
	return over(executor.LaunchSystem, "the agent of the pod ended with exit code %d (%s)%s", t.ExitCode, t.Reason, after(t.Message))
}

func startError(t *corev1.ContainerStateTerminated) bool {
	return t.ExitCode == 128 && (t.Reason == "StartError" || t.Reason == "ContainerCannotRun")
}

func after(text string) string {
	if text == "" {
		return ""
	}
	return ": " + strings.TrimSpace(text)
}

// jobEnded judges the job's container while the agent runs, which reports what a
// script did by itself.
func jobEnded(p *corev1.Pod, t *corev1.ContainerStateTerminated) verdict {
	switch {
	case t.Reason == "OOMKilled":
		text := "the job's container was killed: out of memory"
		for _, c := range p.Spec.Containers {
			if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == jobContainer {
				text += " at the limit of " + limit.String()
			}
		}
		return over(executor.LaunchMemory, "%s (OOMKilled); raise the runtime's memory limit, or use less", text)
	case startError(t):
		return over(executor.LaunchConfiguration, "the job's container does not start: %s", t.Message)
	}
	return verdict{}
}

// removed is a pod that is being deleted, or gone.
func removed(o observed, p *corev1.Pod) verdict {
	if o.Job != nil {
		if pastDeadline(o.Job, p) {
			return over(executor.LaunchDeadline, "the Job reached its deadline (activeDeadlineSeconds %s)", deadlineOf(o.Job))
		}
		for _, c := range o.Job.Status.Conditions {
			if (c.Type == batchv1.JobFailed || c.Type == batchv1.JobFailureTarget) && c.Status == corev1.ConditionTrue && c.Reason == batchv1.JobReasonDeadlineExceeded {
				return over(executor.LaunchDeadline, "the Job reached its deadline (activeDeadlineSeconds %s)", deadlineOf(o.Job))
			}
		}
	}
	return over(executor.LaunchSystem, "the pod was deleted, and not by this runner (kubectl delete, or another program)")
}

// pastDeadline reports whether a pod was deleted when its Job's time was over: the
// Job says so only after that. Times of the API are whole seconds.
func pastDeadline(j *batchv1.Job, p *corev1.Pod) bool {
	if p == nil || p.DeletionTimestamp == nil || j.Status.StartTime == nil || j.Spec.ActiveDeadlineSeconds == nil {
		return false
	}
	deleted := p.DeletionTimestamp.Time
	if p.DeletionGracePeriodSeconds != nil {
		deleted = deleted.Add(-time.Duration(*p.DeletionGracePeriodSeconds) * time.Second)
	}
	end := j.Status.StartTime.Add(time.Duration(*j.Spec.ActiveDeadlineSeconds) * time.Second)
	return !deleted.Before(end.Add(-time.Second))
}

func deadlineOf(j *batchv1.Job) string {
	if j.Spec.ActiveDeadlineSeconds == nil {
		return "not set"
	}
	return (time.Duration(*j.Spec.ActiveDeadlineSeconds) * time.Second).String()
}

// since is how long a state lasts.
func (o observed) since(name string, now time.Time) time.Duration {
	at, ok := o.Since[name]
	if !ok {
		return 0
	}
	return now.Sub(at)
}

// waiting judges a container that has not started.
func waiting(o observed, name string, w *corev1.ContainerStateWaiting, now time.Time) verdict {
	whose := "the job's image"
	if name == agentContainer {
		whose = "the agent's image (the runner's --agent-image)"
	} else if name != jobContainer {
		whose = "the image of container " + name
	}
	text := strings.TrimSpace(w.Message)
	switch w.Reason {
	case "InvalidImageName":
		return over(executor.LaunchImage, "%s has no valid name: %s", whose, text)
	case "ErrImageNeverPull":
		return over(executor.LaunchImage, "%s is not on the node, and its pull policy is never: %s", whose, text)
	case "ErrImagePull", "ImagePullBackOff":
		if refused(text) {
			return over(executor.LaunchImage, "%s cannot be pulled: %s", whose, text)
		}
		if o.since("pull "+name, now) >= pullTime {
			return over(executor.LaunchSystem, "%s cannot be pulled for %s: %s", whose, pullTime, text)
		}
		return verdict{Note: fmt.Sprintf("%s is not there yet, the cluster tries again: %s", whose, text)}
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		if o.since("config "+name, now) >= configTime {
			return over(executor.LaunchConfiguration, "container %s cannot be made: %s", name, text)
		}
		return verdict{Note: fmt.Sprintf("container %s cannot be made yet: %s", name, text)}
	}
	return verdict{}
}

// state names a waiting state for [observed.Since]; "" for those that do not count.
func state(name, reason string) string {
	switch reason {
	case "ErrImagePull", "ImagePullBackOff":
		return "pull " + name
	case "CreateContainerConfigError", "CreateContainerError", "RunContainerError":
		return "config " + name
	}
	return ""
}

// refused reports whether a registry answered that the image is not there or not for
// us: then another try does not help.
func refused(text string) bool {
	text = strings.ToLower(text)
	for _, sign := range []string{"not found", "manifest unknown", "name unknown", "unauthorized", "denied", "forbidden", "authentication required", "no such image", "does not exist"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}

// unplaced judges a pod whose containers have not been tried: it waits for a node or
// for its volumes.
func unplaced(o observed, p *corev1.Pod, now time.Time) verdict {
	for _, c := range p.Status.Conditions {
		if c.Type != corev1.PodScheduled || c.Status != corev1.ConditionFalse {
			continue
		}
		if now.Sub(o.Launched) >= o.Pending {
			return over(executor.LaunchSystem, "no node took the pod within %s: %s", o.Pending, c.Message)
		}
		return verdict{Note: fmt.Sprintf("the pod waits for a node (%s): %s", c.Reason, c.Message)}
	}
	if p.Status.Phase != corev1.PodPending {
		return verdict{}
	}
	for _, w := range slices.Backward(o.Warnings) {
		if w.Reason == "FailedMount" || w.Reason == "FailedAttachVolume" {
			if o.since("mount", now) >= mountTime {
				return over(executor.LaunchConfiguration, "a volume of the pod cannot be mounted: %s", w.Message)
			}
			return verdict{Note: "a volume of the pod cannot be mounted yet: " + w.Message}
		}
	}
	return verdict{}
}

// notCreated judges a Job without a pod. After an outage the cluster may need a
// minute, so that alone is no error.
func notCreated(o observed, now time.Time) verdict {
	for _, w := range slices.Backward(o.Warnings) {
		if w.Reason != "FailedCreate" {
			continue
		}
		if strings.Contains(w.Message, "exceeded quota") {
			if now.Sub(o.Launched) >= o.Pending {
				return over(executor.LaunchSystem, "the namespace had no quota for the pod within %s: %s", o.Pending, w.Message)
			}
			return verdict{Note: "the pod waits for quota: " + w.Message}
		}
		if o.since("create", now) >= createTime {
			return over(executor.LaunchConfiguration, "the cluster refuses the pod: %s", w.Message)
		}
		return verdict{Note: "the cluster refuses the pod so far: " + w.Message}
	}
	if now.Sub(o.Launched) >= o.Pending {
		return over(executor.LaunchSystem, "the cluster made no pod for the Job within %s", o.Pending)
	}
	return verdict{}
}
