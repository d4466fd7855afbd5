package kubernetes

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/podsandbox"
)

// Services of a job are containers of its pod, so all have one network. If it is known
// which program a service starts, our wrapper is its first process: then the variables
// come over a socket, and the log and the end are the agent's to see. Otherwise it is a
// sidecar of the cluster, which runs the image's own entrypoint, with the variables that
// may be shown.

// serviceName is the name of a service's container. A template may refer to it.
func serviceName(s executor.LaunchService, number int, taken []string) string {
	names := s.HostNames()
	name := strings.Trim(labelValue(strings.ToLower(names[len(names)-1])), "-._")
	name = strings.NewReplacer("_", "-", ".", "-").Replace(name)
	name = "service-" + strings.Trim(name[:min(len(name), 50)], "-")
	if name == "service-" || slices.Contains(taken, name) {
		name = fmt.Sprintf("service-%d", number)
	}
	return name
}

// wrapped reports whether our program starts the service's.
func wrapped(s executor.LaunchService) bool { return len(s.Entrypoint) > 0 && s.Entrypoint[0] != "" }

// addServices adds the containers that a template may change.
func addServices(job *batchv1.Job, services []executor.LaunchService) []string {
	pod := &job.Spec.Template.Spec
	var names []string
	for i, s := range services {
		name := serviceName(s, i, names)
		names = append(names, name)
		c := corev1.Container{Name: name, SecurityContext: restricted(false)}
		if wrapped(s) {
			pod.Containers = append(pod.Containers, c)
			continue
		}
		pod.InitContainers = append(pod.InitContainers, c)
	}
	return names
}

// requireServices sets what the services rely on, whatever a template says.
func requireServices(job *batchv1.Job, services []executor.LaunchService, names []string) error {
	pod := &job.Spec.Template.Spec
	pod.Containers = slices.DeleteFunc(pod.Containers, func(c corev1.Container) bool { return strayService(c, names) })
	pod.InitContainers = slices.DeleteFunc(pod.InitContainers, func(c corev1.Container) bool { return strayService(c, names) })
	if len(services) == 0 {
		return nil
	}
	if err := checkPorts(services); err != nil {
		return err
	}
	var hosts []string
	var about []podsandbox.Service
	for i, s := range services {
		hosts = append(hosts, s.HostNames()...)
		one := podsandbox.Service{Started: !wrapped(s), Exposed: s.Exposed}
		if s.OfImage {
			one.Entrypoint, one.Command = s.Entrypoint, s.Command
		}
		about = append(about, one)
		var c *corev1.Container
		if wrapped(s) {
			c = findIn(&pod.Containers, names[i])
			c.Command, c.Args = []string{sharedPath + "/refline", "pod-service"}, nil
			setEnv(c, map[string]string{"REFLINE_POD_SERVICE": strconv.Itoa(i)})
			mount(c, corev1.VolumeMount{Name: "refline-shared", MountPath: sharedPath, ReadOnly: true})
		} else {
			c = findIn(&pod.InitContainers, names[i])
			c.RestartPolicy = ptr(corev1.ContainerRestartPolicyAlways)
			c.Args = s.Command
			setEnv(c, envMap(s.Env))
		}
		mount(c, corev1.VolumeMount{Name: "refline-builds", MountPath: buildsPath}) // as on GitLab: it can read the job's files
		c.Image = s.Name
		if len(s.PullPolicy) > 0 {
			c.ImagePullPolicy = pullPolicy(s.PullPolicy[0])
		}
	}
	text, err := json.Marshal(about)
	if err != nil {
		return err
	}
	setEnv(find(job, agentContainer), map[string]string{"REFLINE_POD_SERVICES": string(text)})
	pod.HostAliases = append(pod.HostAliases, hostAlias(hosts)...)
	return nil
}

// strayService is a container that a template has for a service that this job lacks.
func strayService(c corev1.Container, names []string) bool {
	return strings.HasPrefix(c.Name, "service-") && c.Image == "" && !slices.Contains(names, c.Name)
}

func findIn(list *[]corev1.Container, name string) *corev1.Container {
	for i := range *list {
		if (*list)[i].Name == name {
			return &(*list)[i]
		}
	}
	*list = append(*list, corev1.Container{Name: name, SecurityContext: restricted(false)})
	return &(*list)[len(*list)-1]
}

func envMap(env []string) map[string]string {
	out := map[string]string{}
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		out[name] = value
	}
	return out
}

var hostName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
})

// hostAlias makes names mean this pod. Kubernetes allows no underscores in them.
func hostAlias(names []string) []corev1.HostAlias {
	var good []string
	for _, n := range names {
		if n = strings.ToLower(n); len(n) <= 253 && hostName().MatchString(n) && !slices.Contains(good, n) {
			good = append(good, n)
		}
	}
	if len(good) == 0 {
		return nil
	}
	return []corev1.HostAlias{{IP: "127.0.0.1", Hostnames: good}}
}

// checkPorts refuses two services that are known to want the same port.
func checkPorts(services []executor.LaunchService) error {
	owner := map[int]string{}
	for _, s := range services {
		ports := executor.ServicePorts(s.Variable("HEALTHCHECK_TCP_PORT"), s.Exposed)
		for _, p := range ports {
			if first, ok := owner[p]; ok && len(ports) == 1 {
				return errs.E(errs.Invalid, "services %s and %s both listen on port %d, and the containers of a pod have one network: give one of them another port, or the job a runtime with docker", first, s.Name, p)
			}
			if _, ok := owner[p]; !ok {
				owner[p] = s.Name
			}
		}
	}
	return nil
}
