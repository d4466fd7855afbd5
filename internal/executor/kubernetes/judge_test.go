package kubernetes

import (
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"refline/internal/executor"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func running(name string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}}
}

func waits(name, reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}
}

func endedWith(name string, code int32, reason, message string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, Message: message}}}
}

func podOf(phase corev1.PodPhase, statuses ...corev1.ContainerStatus) *corev1.Pod {
	p := &corev1.Pod{Status: corev1.PodStatus{Phase: phase, ContainerStatuses: statuses}}
	p.Spec.Containers = []corev1.Container{{Name: "refline"}, {Name: "job", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("128Mi")}}}}
	return p
}

func condition(p *corev1.Pod, kind corev1.PodConditionType, status corev1.ConditionStatus, reason, message string) *corev1.Pod {
	p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: kind, Status: status, Reason: reason, Message: message})
	return p
}

func deleting(p *corev1.Pod) *corev1.Pod {
	p.DeletionTimestamp = &metav1.Time{Time: start}
	return p
}

// deletedAt is a pod that somebody deleted then; the API shows the end of its grace.
func deletedAt(at time.Time, p *corev1.Pod) *corev1.Pod {
	p.DeletionGracePeriodSeconds = ptr(int64(330))
	p.DeletionTimestamp = &metav1.Time{Time: at.Add(330 * time.Second)}
	return p
}

func startedAt(at time.Time) *batchv1.Job {
	return &batchv1.Job{Spec: batchv1.JobSpec{ActiveDeadlineSeconds: ptr(int64(90))}, Status: batchv1.JobStatus{StartTime: &metav1.Time{Time: at}}}
}

func evicted(message string) *corev1.Pod {
	p := podOf(corev1.PodFailed)
	p.Status.Reason, p.Status.Message = "Evicted", message
	return p
}

func TestJudge(t *testing.T) {
	t.Parallel()
	const mib = "at the limit of 128Mi"
	pending := func(s ...corev1.ContainerStatus) *corev1.Pod { return podOf(corev1.PodPending, s...) }
	run := func(s ...corev1.ContainerStatus) *corev1.Pod { return podOf(corev1.PodRunning, s...) }
	deadline := &batchv1.Job{Spec: batchv1.JobSpec{ActiveDeadlineSeconds: ptr(int64(90))}, Status: batchv1.JobStatus{Conditions: []batchv1.JobCondition{
		{Type: batchv1.JobFailed, Status: corev1.ConditionTrue, Reason: batchv1.JobReasonDeadlineExceeded},
	}}}
	warn := func(reason, message string) []warning { return []warning{{"Pod", reason, message}} }
	ago := func(d time.Duration) map[string]time.Time {
		return map[string]time.Time{"pull job": start.Add(-d), "config job": start.Add(-d), "mount": start.Add(-d), "create": start.Add(-d)}
	}
	for _, c := range []struct {
		name string
		o    observed
		age  time.Duration // since the launch
		end  executor.LaunchCause
		says string // in the end's text, or the note
	}{
		{"no pod yet", observed{}, time.Minute, "", ""},
		{"no pod for long", observed{}, 11 * time.Minute, executor.LaunchSystem, "made no pod"},
		{"runs", observed{Pod: run(running("refline"), running("job"))}, 0, "", ""},
		{"succeeded", observed{Pod: podOf(corev1.PodSucceeded, endedWith("refline", 0, "Completed", ""), endedWith("job", 0, "Completed", ""))}, 0, executor.LaunchDone, ""},
		{"script failed", observed{Pod: podOf(corev1.PodFailed, endedWith("refline", 0, "Completed", ""), endedWith("job", 7, "Error", ""))}, 0, executor.LaunchDone, ""},
		{"script failed, the agent sends on", observed{Pod: run(running("refline"), endedWith("job", 7, "Error", ""))}, 0, "", ""},
		{"child killed for memory, script went on", observed{Pod: podOf(corev1.PodSucceeded, endedWith("refline", 0, "Completed", ""), endedWith("job", 0, "OOMKilled", ""))}, 0, executor.LaunchDone, ""},
		{"job's container killed for memory", observed{Pod: run(running("refline"), endedWith("job", 137, "OOMKilled", ""))}, 0, executor.LaunchMemory, mib},
		{"agent killed for memory", observed{Pod: run(endedWith("refline", 137, "OOMKilled", ""), running("job"))}, 0, executor.LaunchSystem, "agent of the pod ran out of memory"},
		{"agent killed", observed{Pod: run(endedWith("refline", 137, "Error", ""), running("job"))}, 0, executor.LaunchSystem, "exit code 137"},
		{"agent's program missing: the job follows", observed{Pod: run(endedWith("refline", 128, "StartError", "exec /refline: no such file"), endedWith("job", 128, "StartError", "x"))}, 0, executor.LaunchConfiguration, "agent's image does not start"},
		{"command missing", observed{Pod: run(running("refline"), endedWith("job", 128, "StartError", `exec: "tini": not found`))}, 0, executor.LaunchConfiguration, `"tini"`},

		{"invalid name", observed{Pod: pending(running("refline"), waits("job", "InvalidImageName", "couldn't parse"))}, 0, executor.LaunchImage, "no valid name: couldn't parse"},
		{"never pulled", observed{Pod: pending(running("refline"), waits("job", "ErrImageNeverPull", "not present"))}, 0, executor.LaunchImage, "pull policy is never"},
		{"image not found", observed{Pod: pending(running("refline"), waits("job", "ErrImagePull", "registry/x:1: not found"))}, 0, executor.LaunchImage, "registry/x:1: not found"},
		{"image denied, in back-off", observed{Pod: pending(running("refline"), waits("job", "ImagePullBackOff", "pull access denied"))}, 0, executor.LaunchImage, "denied"},
		{"registry does not answer", observed{Pod: pending(running("refline"), waits("job", "ErrImagePull", "dial tcp: i/o timeout")), Since: ago(time.Minute)}, 0, "", "tries again: dial tcp"},
		{"registry does not answer for long", observed{Pod: pending(running("refline"), waits("job", "ImagePullBackOff", "dial tcp: i/o timeout")), Since: ago(2 * time.Minute)}, 0, executor.LaunchSystem, "i/o timeout"},
		{"agent's image not found", observed{Pod: pending(waits("refline", "ErrImagePull", "not found"), waits("job", "ContainerCreating", ""))}, 0, executor.LaunchImage, "--agent-image"},
		{"Secret missing", observed{Pod: pending(running("refline"), waits("job", "CreateContainerConfigError", `secret "s" not found`)), Since: ago(time.Second)}, 0, "", `secret "s" not found`},
		{"Secret missing for long", observed{Pod: pending(running("refline"), waits("job", "CreateContainerConfigError", `secret "s" not found`)), Since: ago(30 * time.Second)}, 0, executor.LaunchConfiguration, `secret "s" not found`},

		{"unschedulable", observed{Pod: condition(pending(), corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/1 nodes: insufficient cpu")}, time.Minute, "", "insufficient cpu"},
		{"unschedulable for long", observed{Pod: condition(pending(), corev1.PodScheduled, corev1.ConditionFalse, "Unschedulable", "0/1 nodes: insufficient cpu")}, 10 * time.Minute, executor.LaunchSystem, "insufficient cpu"},
		{"volume missing", observed{Pod: pending(), Warnings: warn("FailedMount", `configmap "c" not found`), Since: ago(time.Second)}, 0, "", `configmap "c"`},
		{"volume missing for long", observed{Pod: pending(), Warnings: warn("FailedMount", `configmap "c" not found`), Since: ago(2 * time.Minute)}, 0, executor.LaunchConfiguration, `configmap "c"`},
		{"volume came", observed{Pod: run(running("refline"), running("job")), Warnings: warn("FailedMount", "x"), Since: ago(3 * time.Minute)}, 0, "", ""},
		{"quota", observed{Warnings: warn("FailedCreate", "exceeded quota: q")}, time.Minute, "", "waits for quota"},
		{"quota for long", observed{Warnings: warn("FailedCreate", "exceeded quota: q")}, 10 * time.Minute, executor.LaunchSystem, "exceeded quota"},
		{"pod security", observed{Warnings: warn("FailedCreate", "violates PodSecurity"), Since: ago(5 * time.Second)}, 0, executor.LaunchConfiguration, "violates PodSecurity"},
		{"service account, just made", observed{Warnings: warn("FailedCreate", "serviceaccount not found"), Since: ago(time.Second)}, 0, "", "refuses the pod so far"},

		{"deleted by hand", observed{Pod: deleting(run(running("refline"), running("job")))}, 0, executor.LaunchSystem, "not by this runner"},
		{"deleted by force", observed{Gone: true, Pod: run(running("refline"), running("job"))}, 0, executor.LaunchSystem, "not by this runner"},
		{"deadline", observed{Pod: deleting(run(running("refline"), running("job"))), Job: deadline}, 0, executor.LaunchDeadline, "1m30s"},
		{"deadline, before the Job says so", observed{Pod: deletedAt(start.Add(-time.Second), run(running("refline"), running("job"))), Job: startedAt(start.Add(-91 * time.Second))}, 0, executor.LaunchDeadline, "1m30s"},
		{"deleted long before the deadline", observed{Pod: deletedAt(start, run(running("refline"), running("job"))), Job: startedAt(start.Add(-60 * time.Second))}, 0, executor.LaunchSystem, "not by this runner"},
		{"drained", observed{Pod: condition(deleting(run(running("refline"))), corev1.DisruptionTarget, corev1.ConditionTrue, "EvictionByEvictionAPI", "Eviction API: evicting")}, 0, executor.LaunchSystem, "EvictionByEvictionAPI"},
		{"preempted", observed{Pod: condition(run(running("refline")), corev1.DisruptionTarget, corev1.ConditionTrue, "PreemptionByScheduler", "preempting")}, 0, executor.LaunchSystem, "PreemptionByScheduler"},
		{"node lost", observed{Pod: condition(run(running("refline"), running("job")), corev1.DisruptionTarget, corev1.ConditionTrue, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")}, 0, executor.LaunchSystem, "DeletionByTaintManager"},
		{"own disk", observed{Pod: evicted(`Usage of EmptyDir volume "refline-builds" exceeds the limit "1Gi". `)}, 0, executor.LaunchStorage, "refline-builds"},
		{"the node's disk", observed{Pod: evicted("The node was low on resource: memory.")}, 0, executor.LaunchSystem, "low on resource"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.o.Launched, c.o.Pending = start.Add(-c.age), pendingTime
			got := judge(c.o, start)
			switch {
			case c.end == "" && got.End != nil:
				t.Fatalf("it ended: %+v", *got.End)
			case c.end != "" && (got.End == nil || got.End.Cause != c.end):
				t.Fatalf("got %+v, want the end %s", got.End, c.end)
			}
			text := got.Note
			if got.End != nil {
				text = got.End.Text
			}
			if !strings.Contains(text, c.says) || c.says == "" && c.end != executor.LaunchDone && text != "" {
				t.Errorf("got %q, want %q in it", text, c.says)
			}
		})
	}
}
