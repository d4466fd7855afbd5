package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"refline/internal/errs"
	"refline/internal/executor"
)

// Options are what a runner adds to every pod.
type Options struct {
	Runner     string // name of the runner, by which it finds its pods again
	URL        string // of the server, as pods reach it
	AgentImage string // the image with this program and git
	Namespace  string // for runtimes that name none
	AllowHTTP  bool   // pods reach repositories by http
}

// Labels of what we make.
const (
	labelManager = "app.kubernetes.io/managed-by"
	labelRunner  = "refline.dev/runner"
	labelAttempt = "refline.dev/attempt"
	manager      = "refline"
)

// Names of the two containers.
const (
	agentContainer = "refline"
	jobContainer   = "job"
)

// Paths in the pod.
const (
	sharedPath = "/shared"
	buildsPath = "/builds"
	tokenPath  = "/var/run/refline"
	// Audience is whom the pod's token is for.
	audience = "refline"
)

// Render returns the Job of an attempt. It is a pure function: default, below the
// runtime's fields, below its template, below what must be.
func Render(o Options, l executor.Launch) (*batchv1.Job, error) {
	c, err := readConfig(l.Config)
	if err != nil {
		return nil, err
	}
	job := defaultJob(o, l, c)
	if err := addFields(job, c); err != nil {
		return nil, err
	}
	services := addServices(job, l.Services)
	if len(c.Template) > 0 {
		if job, err = applyTemplate(job, c.Template); err != nil {
			return nil, err
		}
	}
	require(job, o, l, c)
	if err := requireServices(job, l.Services, services); err != nil {
		return nil, err
	}
	if main := find(job, jobContainer); main.Image == "" {
		return nil, errs.E(errs.Invalid, "job %q has no image: name one in the runtime, its template, or the job", l.Job)
	}
	return job, nil
}

func ptr[T any](v T) *T { return &v }

func defaultJob(o Options, l executor.Launch, c Config) *batchv1.Job {
	pod := corev1.PodSpec{
		TerminationGracePeriodSeconds: ptr(int64(graceTime.Seconds())),
		SecurityContext: &corev1.PodSecurityContext{
			RunAsNonRoot: ptr(true), RunAsUser: ptr(int64(1000)), RunAsGroup: ptr(int64(1000)), FSGroup: ptr(int64(1000)),
			FSGroupChangePolicy: ptr(corev1.FSGroupChangeOnRootMismatch),
			SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
		},
		NodeSelector:       map[string]string{"kubernetes.io/os": "linux"},
		EnableServiceLinks: ptr(false),
		Tolerations: []corev1.Toleration{
			{Key: "node.kubernetes.io/not-ready", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr(int64(30))},
			{Key: "node.kubernetes.io/unreachable", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: ptr(int64(30))},
		},
		Containers: []corev1.Container{
			{
				Name: agentContainer, Image: o.AgentImage,
				Resources: corev1.ResourceRequirements{
					Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m"), corev1.ResourceMemory: resource.MustParse("64Mi")},
					Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("512Mi")},
				},
				SecurityContext: restricted(true),
			},
			{Name: jobContainer, SecurityContext: restricted(false)},
		},
	}
	return &batchv1.Job{
		TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"},
		Spec: batchv1.JobSpec{
			TTLSecondsAfterFinished: ptr(int32(c.keep())), ActiveDeadlineSeconds: ptr(c.deadline(l)), //nolint:gosec // checked below 2^31 by the API
			Template: corev1.PodTemplateSpec{Spec: pod},
		},
	}
}

// restricted is what the Pod Security Standard of this name asks for.
func restricted(readOnly bool) *corev1.SecurityContext {
	s := &corev1.SecurityContext{AllowPrivilegeEscalation: ptr(false), Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}}
	if readOnly {
		s.ReadOnlyRootFilesystem = ptr(true)
	}
	return s
}

// addFields sets what the runtime says beside its template.
func addFields(job *batchv1.Job, c Config) error {
	pod := &job.Spec.Template.Spec
	pod.ServiceAccountName = c.ServiceAccount
	for _, name := range c.PullSecrets {
		pod.ImagePullSecrets = append(pod.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	for k, v := range c.NodeSelector {
		pod.NodeSelector[k] = v
	}
	job.Labels, job.Spec.Template.Labels = maps.Clone(c.Labels), maps.Clone(c.Labels)
	main := find(job, jobContainer)
	var err error
	if main.Resources.Requests, err = quantities("request", c.Requests); err != nil {
		return err
	}
	main.Resources.Limits, err = quantities("limit", c.Limits)
	return err
}

func quantities(what string, texts map[string]string) (corev1.ResourceList, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	list := corev1.ResourceList{}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		q, err := resource.ParseQuantity(texts[name])
		if err != nil {
			return nil, errs.E(errs.Invalid, "%s %s=%s is not a quantity such as 500m or 2Gi: %w", what, name, texts[name], err)
		}
		list[corev1.ResourceName(name)] = q
	}
	return list, nil
}

// require sets what the agent and the runner rely on, whatever a template says.
func require(job *batchv1.Job, o Options, l executor.Launch, c Config) {
	labels := map[string]string{labelManager: manager, labelRunner: labelValue(o.Runner), labelAttempt: strconv.FormatInt(l.Fence, 10)}
	job.Name, job.GenerateName, job.Namespace = jobName(l.Fence), "", c.namespace(o)
	job.Labels = with(job.Labels, labels)
	for name, value := range map[string]string{"refline.dev/run": strconv.FormatInt(l.Run, 10), "refline.dev/project": labelValue(l.Project), "refline.dev/runtime": labelValue(l.Runtime)} {
		if value != "" {
			job.Labels[name] = value
		}
	}
	job.Annotations = with(job.Annotations, map[string]string{"refline.dev/job": l.Job})
	job.Spec.BackoffLimit, job.Spec.Parallelism, job.Spec.Completions = ptr(int32(0)), nil, nil
	job.Spec.PodReplacementPolicy = ptr(batchv1.Failed)
	job.Spec.Template.Labels = with(job.Spec.Template.Labels, job.Labels)
	pod := &job.Spec.Template.Spec
	pod.RestartPolicy, pod.AutomountServiceAccountToken = corev1.RestartPolicyNever, ptr(false)
	requireAgent(find(job, agentContainer), o, l)
	requireJob(find(job, jobContainer), l, c)
	requireVolumes(pod, c)
	// The agent is first: the kubelet starts containers in order, and its hook holds
	// back the next.
	slices.SortStableFunc(pod.Containers, func(a, b corev1.Container) int { return rank(a.Name) - rank(b.Name) })
}

func rank(name string) int {
	switch name {
	case agentContainer:
		return 0
	case jobContainer:
		return 1
	}
	return 2
}

func with(m, more map[string]string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, m)
	maps.Copy(out, more)
	return out
}

func (c Config) namespace(o Options) string {
	if c.Namespace != "" {
		return c.Namespace
	}
	return o.Namespace
}

func requireAgent(agent *corev1.Container, o Options, l executor.Launch) {
	agent.Command, agent.Args = []string{"/refline", "pod-agent"}, nil
	setEnv(agent, map[string]string{"REFLINE_URL": o.URL, "REFLINE_POD_FENCE": strconv.FormatInt(l.Fence, 10)})
	if o.AllowHTTP {
		setEnv(agent, map[string]string{"REFLINE_POD_ALLOW_HTTP": "1"})
	}
	agent.Lifecycle = &corev1.Lifecycle{PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/refline", "pod-ready"}}}}
	mount(agent, corev1.VolumeMount{Name: "refline-shared", MountPath: sharedPath})
	mount(agent, corev1.VolumeMount{Name: "refline-builds", MountPath: buildsPath})
	mount(agent, corev1.VolumeMount{Name: "refline-tmp", MountPath: "/tmp"})
	mount(agent, corev1.VolumeMount{Name: "refline-token", MountPath: tokenPath, ReadOnly: true})
}

func requireJob(main *corev1.Container, l executor.Launch, c Config) {
	if l.Image != "" {
		main.Image = l.Image
	}
	if p := pullPolicy(l.Pull); p != "" {
		main.ImagePullPolicy = p
	}
	entrypoint := c.Entrypoint
	if len(l.Entrypoint) > 0 && l.Entrypoint[0] != "" {
		entrypoint = l.Entrypoint
	}
	main.Command, main.Args = append(slices.Clone(entrypoint), sharedPath+"/refline", "pod-exec"), nil
	setEnv(main, l.Env)
	mount(main, corev1.VolumeMount{Name: "refline-shared", MountPath: sharedPath, ReadOnly: true})
	mount(main, corev1.VolumeMount{Name: "refline-builds", MountPath: buildsPath})
}

func pullPolicy(name string) corev1.PullPolicy {
	switch name {
	case "always":
		return corev1.PullAlways
	case "if-not-present":
		return corev1.PullIfNotPresent
	case "never":
		return corev1.PullNever
	}
	return ""
}

func requireVolumes(pod *corev1.PodSpec, c Config) {
	empty := func() corev1.VolumeSource { return corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}} }
	builds := empty()
	if c.Builds == "memory" {
		builds.EmptyDir.Medium = corev1.StorageMediumMemory
	}
	token := corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{DefaultMode: ptr(int32(0o440)), Sources: []corev1.VolumeProjection{
		{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Audience: audience, Path: "token", ExpirationSeconds: ptr(int64(600))}},
	}}}
	for _, v := range []corev1.Volume{
		{Name: "refline-shared", VolumeSource: empty()}, {Name: "refline-builds", VolumeSource: builds},
		{Name: "refline-tmp", VolumeSource: empty()}, {Name: "refline-token", VolumeSource: token},
	} {
		i := slices.IndexFunc(pod.Volumes, func(have corev1.Volume) bool { return have.Name == v.Name })
		switch {
		case i < 0:
			pod.Volumes = append(pod.Volumes, v)
		case v.Name == "refline-builds": // a template may put them on a volume of its own
		default:
			pod.Volumes[i] = v
		}
	}
}

// find returns a container of the Job; it makes one that a template removed.
func find(job *batchv1.Job, name string) *corev1.Container {
	return findIn(&job.Spec.Template.Spec.Containers, name)
}

func setEnv(c *corev1.Container, values map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		c.Env = slices.DeleteFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == name })
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: values[name]})
	}
}

func mount(c *corev1.Container, m corev1.VolumeMount) {
	c.VolumeMounts = slices.DeleteFunc(c.VolumeMounts, func(have corev1.VolumeMount) bool { return have.MountPath == m.MountPath })
	c.VolumeMounts = append(c.VolumeMounts, m)
}

// applyTemplate merges a template into a Job.
func applyTemplate(job *batchv1.Job, template json.RawMessage) (*batchv1.Job, error) {
	base, err := toMap(job)
	if err != nil {
		return nil, err
	}
	var patch map[string]any
	if err := json.Unmarshal(template, &patch); err != nil {
		return nil, errs.E(errs.Invalid, "the job template is not a JSON object: %w", err)
	}
	if kind, ok := patch["kind"]; ok && kind != "Job" {
		return nil, errs.E(errs.Invalid, "the job template is a %v, not a Job of batch/v1", kind)
	}
	merged, err := merge(base, patch, jobType(), "")
	if err != nil {
		return nil, fmt.Errorf("the job template: %w", err)
	}
	text, err := json.Marshal(merged)
	if err != nil {
		return nil, err
	}
	out := &batchv1.Job{}
	if err := json.Unmarshal(text, out); err != nil {
		return nil, errs.E(errs.Invalid, "the job template: %w", err)
	}
	return out, nil
}

func toMap(v any) (map[string]any, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fmt.Errorf("a Job as JSON: %w", err)
	}
	return m, nil
}
