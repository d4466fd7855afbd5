// Package helm_test renders the Helm chart and reads what it makes by the types of the
// Kubernetes API, which finds unknown fields and wrong types without a cluster.
package helm_test

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"
)

// helm runs helm, which `make chart` builds.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path := os.Getenv("REFLINE_HELM")
	if path == "" {
		t.Skip("no helm: make chart builds it and sets REFLINE_HELM")
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	return string(out), err
}

// render gives the objects of a release by kind.
func render(t *testing.T, sets ...string) map[string][]any {
	t.Helper()
	args := []string{"template", "release", "refline", "--namespace", "ci", "--kube-version", "1.29.0"}
	for _, s := range sets {
		args = append(args, "--set", s)
	}
	text, err := helm(t, args...)
	if err != nil {
		t.Fatalf("helm %v: %v\n%s", args, err, text)
	}
	objects := map[string][]any{}
	for part := range strings.SplitSeq("\n"+text, "\n---\n") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal([]byte(part), &head); err != nil {
			t.Fatalf("%v\n%s", err, part)
		}
		if head.Kind == "" {
			continue // only comments
		}
		var object any
		switch head.APIVersion + " " + head.Kind {
		case "apps/v1 StatefulSet":
			object = &appsv1.StatefulSet{}
		case "v1 Service":
			object = &corev1.Service{}
		case "v1 ServiceAccount":
			object = &corev1.ServiceAccount{}
		case "rbac.authorization.k8s.io/v1 Role":
			object = &rbacv1.Role{}
		case "rbac.authorization.k8s.io/v1 RoleBinding":
			object = &rbacv1.RoleBinding{}
		case "networking.k8s.io/v1 NetworkPolicy":
			object = &networkingv1.NetworkPolicy{}
		case "networking.k8s.io/v1 Ingress":
			object = &networkingv1.Ingress{}
		case "policy/v1 PodDisruptionBudget":
			object = &policyv1.PodDisruptionBudget{}
		default:
			t.Fatalf("the chart makes a %s of %s, which this test does not know", head.Kind, head.APIVersion)
		}
		if err := yaml.UnmarshalStrict([]byte(part), object); err != nil {
			t.Fatalf("%s: %v\n%s", head.Kind, err, part)
		}
		objects[head.Kind] = append(objects[head.Kind], object)
	}
	return objects
}

// settings are releases that the chart is for.
var settings = map[string][]string{
	"small":  {"server.insecure=true"},
	"runner": {"server.insecure=true", "runner.enabled=true", "runner.tags={docker,gpu}", "runner.namespace=jobs", "networkPolicy.enabled=true"},
	"whole": {
		"server.replicas=3", "server.tls.secretName=tls", "server.database.existingSecret=db", "server.blobs.url=s3://bucket/refline?region=eu-central-1",
		"server.blobs.existingSecret=s3", "server.key.existingSecret=keys", "server.allowNet={10.0.0.0/8}", "server.persistence.storageClassName=fast",
		"server.settings.smtp-host=mail.example.com", "server.serviceAccount.annotations.role=arn", "server.nodeSelector.disk=ssd", "imagePullSecrets={pull}",
		"image.digest=sha256:" + strings.Repeat("a", 64), "service.port=443", "ingress.enabled=true", "ingress.host=refline.example.com", "ingress.className=nginx",
		"ingress.tls.secretName=public", "runner.enabled=true", "runner.allowHTTP=true", "runner.podURL=https://refline.example.com", "networkPolicy.enabled=true",
		"networkPolicy.ingressFrom[0].namespaceSelector.matchLabels.name=ingress",
	},
	"elsewhere": {"server.enabled=false", "runner.enabled=true", "runner.url=https://refline.example.com"},
	"volatile":  {"server.proxies={10.1.0.0/16}", "server.persistence.enabled=false", "ingress.enabled=true", "ingress.host=refline.example.com"},
}

func TestChart(t *testing.T) {
	t.Parallel()
	for name, sets := range settings {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			objects := render(t, sets...)
			if len(objects["StatefulSet"]) == 0 {
				t.Error("nothing runs")
			}
			for _, o := range objects["StatefulSet"] {
				checkPod(t, o.(*appsv1.StatefulSet))
			}
			for _, o := range objects["Role"] {
				for _, rule := range o.(*rbacv1.Role).Rules {
					for _, forbidden := range []string{"secrets", "pods/exec", "configmaps", "*"} {
						if slices.Contains(rule.Resources, forbidden) || slices.Contains(rule.Verbs, "*") {
							t.Errorf("the runner may do too much: %+v", rule)
						}
					}
				}
			}
		})
	}
}

// checkPod compares a pod with the restricted level of Pod Security, and wants no
// password in its manifest.
func checkPod(t *testing.T, s *appsv1.StatefulSet) {
	t.Helper()
	pod := s.Spec.Template.Spec
	security := pod.SecurityContext
	if security == nil || security.RunAsNonRoot == nil || !*security.RunAsNonRoot || security.SeccompProfile == nil || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("%s: security %+v", s.Name, security)
	}
	for name, value := range s.Spec.Selector.MatchLabels {
		if s.Spec.Template.Labels[name] != value {
			t.Errorf("%s: its selector %s=%s does not find its pods", s.Name, name, value)
		}
	}
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
		if v.HostPath != nil {
			t.Errorf("%s: a folder of the node", s.Name)
		}
	}
	for _, claim := range s.Spec.VolumeClaimTemplates {
		volumes[claim.Name] = true
	}
	for _, c := range pod.Containers {
		security := c.SecurityContext
		if security == nil || security.AllowPrivilegeEscalation == nil || *security.AllowPrivilegeEscalation || security.ReadOnlyRootFilesystem == nil ||
			!*security.ReadOnlyRootFilesystem || security.Capabilities == nil || !slices.Contains(security.Capabilities.Drop, "ALL") {
			t.Errorf("%s: security of %s: %+v", s.Name, c.Name, security)
		}
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s: no volume %s", s.Name, m.Name)
			}
		}
		for _, e := range c.Env {
			if (e.Name == "REFLINE_DATABASE" || strings.HasPrefix(e.Name, "AWS_")) && e.ValueFrom == nil {
				t.Errorf("%s: %s is in the manifest", s.Name, e.Name)
			}
		}
		if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
			t.Errorf("%s: no resources", s.Name)
		}
	}
}

// What makes no sense is refused with what to set, before anything is installed.
func TestChartRefuses(t *testing.T) {
	t.Parallel()
	for want, sets := range map[string][]string{
		"tokens would travel in clear":           nil,
		"server.replicas above 1 needs":          {"server.insecure=true", "server.replicas=2"},
		"ingress.enabled needs ingress.host":     {"server.insecure=true", "ingress.enabled=true"},
		"a runner without a server here needs r": {"server.enabled=false", "runner.enabled=true"},
	} {
		args := []string{"template", "release", "refline", "--kube-version", "1.29.0"}
		for _, s := range sets {
			args = append(args, "--set", s)
		}
		if out, err := helm(t, args...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%v: %v, %s; want %q", sets, err, out, want)
		}
	}
}

func TestChartLint(t *testing.T) {
	t.Parallel()
	for name, sets := range settings {
		args := []string{"lint", "--strict", "--quiet", "refline", "--kube-version", "1.29.0"}
		for _, s := range sets {
			args = append(args, "--set", s)
		}
		if out, err := helm(t, args...); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}
