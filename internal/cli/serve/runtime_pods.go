package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/executor/kubernetes"
)

// runtimepodOptions are the settings of a runtime with the executor kubernetes.
type runtimepodOptions struct {
	requests, limits, labels, nodes map[string]string
	template                        jobTemplate
	deadline, pending, keep         time.Duration
	pods                            api.KubernetesRuntime
}

func (o *runtimepodOptions) bind(f *pflag.FlagSet) {
	f.StringVar(&o.pods.Namespace, "namespace", "", "kubernetes: namespace of its pods (default: the runner's)")
	f.StringVar(&o.pods.ServiceAccount, "service-account", "", "kubernetes: service account of its pods")
	f.StringSliceVar(&o.pods.PullSecrets, "pull-secret", nil, "kubernetes: Secret with the log-in to the image's registry")
	f.StringSliceVar(&o.pods.Entrypoint, "entrypoint", nil, "kubernetes: program in front of the one that runs the job, as tini,--")
	f.StringToStringVar(&o.requests, "request", nil, "kubernetes: requests of the job's container, as cpu=500m,memory=1Gi")
	f.StringToStringVar(&o.limits, "limit", nil, "kubernetes: limits of the job's container, as memory=2Gi")
	f.StringToStringVar(&o.labels, "label", nil, "kubernetes: labels of its pods")
	f.StringToStringVar(&o.nodes, "node-selector", nil, "kubernetes: labels of the nodes that take its pods")
	f.StringSliceVar(&o.pods.Images, "allow-image", nil, "kubernetes: patterns of images that jobs may name themselves, as python:*")
	f.DurationVar(&o.deadline, "deadline", 0, "kubernetes: when the cluster ends a Job (default: its timeout with all graces)")
	f.DurationVar(&o.pending, "pending", 0, "kubernetes: how long a pod may wait for a node (default 10m)")
	f.DurationVar(&o.keep, "keep", -1, "kubernetes: how long an ended Job is kept (default 10m)")
	f.StringVar(&o.pods.Builds, "builds", "", "kubernetes: where workspaces are: disk or memory (default disk)")
	o.template.bind(f)
	_ = cobra.MarkFlagFilename(f, "template")
}

// config is what the flags say, nil for another executor.
func (o *runtimepodOptions) config(ctx context.Context, e *cli.Env, executor string) (*api.KubernetesRuntime, error) {
	if executor != "kubernetes" {
		if o.given() {
			return nil, cli.Usagef("settings of pods (--request, --template and such) are for --executor kubernetes")
		}
		return nil, nil
	}
	out := o.pods
	out.Requests, out.Limits, out.Labels, out.NodeSelector = o.requests, o.limits, o.labels, o.nodes
	out.DeadlineS, out.PendingS = int64(o.deadline/time.Second), int64(o.pending/time.Second)
	if o.keep >= 0 {
		seconds := int64(o.keep / time.Second)
		out.KeepS = &seconds
	}
	if !o.template.given() {
		return &out, nil
	}
	text, err := o.template.read(ctx, e)
	out.Template = text
	if o.template.from.Commit != "" {
		out.TemplateFrom = &o.template.from
	}
	return &out, err
}

func (o *runtimepodOptions) given() bool {
	p := &o.pods
	return p.Namespace != "" || p.ServiceAccount != "" || p.Builds != "" || o.template.given() || o.deadline != 0 || o.pending != 0 || o.keep >= 0 ||
		len(p.PullSecrets)+len(p.Entrypoint)+len(p.Images)+len(o.requests)+len(o.limits)+len(o.labels)+len(o.nodes) > 0
}

// sampleLaunch is an attempt as a runtime would have it.
func sampleLaunch(r api.Runtime) (executor.Launch, error) {
	config, err := json.Marshal(r.Kubernetes)
	return executor.Launch{
		Fence: 1, Run: 1, Job: "job", Project: "project", Runtime: r.Name, Image: r.Image, Pull: r.Pull, Env: r.Env, Timeout: time.Hour, Config: config,
	}, err
}

// checkPods renders a runtime, so that a mistake is found where it is made.
func checkPods(r api.Runtime) error {
	if r.Executor != "kubernetes" {
		return nil
	}
	l, err := sampleLaunch(r)
	if err == nil {
		_, err = kubernetes.Render(kubernetes.Options{Runner: "runner", URL: "https://refline", AgentImage: "refline"}, l)
	}
	return err
}

// podFields are what runtime show prints of pods.
func podFields(r api.Runtime) [][2]string {
	k := r.Kubernetes
	if k == nil {
		return nil
	}
	pairs := func(m map[string]string) string {
		var list []string
		for _, name := range slices.Sorted(maps.Keys(m)) {
			list = append(list, name+"="+m[name])
		}
		return strings.Join(list, ",")
	}
	template := ""
	if len(k.Template) > 0 {
		template = fmt.Sprintf("%d bytes; see refline runtime check %s", len(k.Template), r.Name)
		if f := k.TemplateFrom; f != nil {
			template = fmt.Sprintf("%s of %s at %.7s (%s)", f.Path, f.Repository, f.Commit, cmp.Or(f.Ref, "HEAD"))
		}
	}
	return [][2]string{
		{"namespace", k.Namespace}, {"service account", k.ServiceAccount}, {"pull secrets", strings.Join(k.PullSecrets, ",")},
		{"requests", pairs(k.Requests)}, {"limits", pairs(k.Limits)}, {"labels", pairs(k.Labels)}, {"node selector", pairs(k.NodeSelector)},
		{"allowed images", strings.Join(k.Images, ",")}, {"builds", k.Builds}, {"template", template},
	}
}

type runtimeCheckOptions struct {
	cli.ConnectOptions
	pods podOptions
}

func newRuntimeCheckCmd(e *cli.Env) *cobra.Command {
	o := &runtimeCheckOptions{}
	cmd := &cobra.Command{
		Use: "check NAME", Short: "Print the manifest of a runtime's pods, and ask a cluster whether it takes it", Args: cobra.ExactArgs(1),
		Long: `Print the Job that a runner would make for a runtime with the executor kubernetes. With
--kubeconfig or --kube-context the cluster's API server says whether it would take it
(a dry run: nothing is made).

Exit codes: 0 good, 1 refused or no such runtime, 2 usage.`,
		Example: "  refline runtime check python312\n  refline runtime check python312 --kubeconfig ~/.kube/config",
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := o.Connect(e)
			if err != nil {
				return err
			}
			r, err := client.Runtime(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if r.Executor != "kubernetes" {
				return errs.E(errs.Invalid, "runtime %s has the executor %s, which makes no pods", r.Name, r.Executor)
			}
			return o.check(cmd, e, r)
		},
	}
	o.ConnectOptions.Bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.pods.kubeconfig, "kubeconfig", "", "file that says which cluster to ask")
	f.StringVar(&o.pods.context, "kube-context", "", "context of the kubeconfig")
	f.StringVar(&o.pods.namespace, "namespace", "", "namespace of a runtime that names none (default: that of the kubeconfig)")
	f.StringVar(&o.pods.agentImage, "agent-image", e.Setting("REFLINE_AGENT_IMAGE", "refline"), "the runner's image for the first container")
	_ = cmd.MarkFlagFilename("kubeconfig")
	return cmd
}

func (o *runtimeCheckOptions) check(cmd *cobra.Command, e *cli.Env, r api.Runtime) error {
	l, err := sampleLaunch(r)
	if err != nil {
		return err
	}
	options := kubernetes.Options{Runner: "check", URL: cmp.Or(o.pods.url, "https://refline.example.com"), AgentImage: o.pods.agentImage, Namespace: o.pods.namespace}
	var cluster *kubernetes.Cluster
	if o.pods.kubeconfig != "" || o.pods.context != "" {
		if cluster, err = kubernetes.Connect(o.pods.kubeconfig, o.pods.context); err != nil {
			return err
		}
		options.Namespace = cmp.Or(options.Namespace, cluster.Namespace())
	}
	job, err := kubernetes.Render(options, l)
	if err != nil {
		return err
	}
	text, err := kubernetes.YAML(job)
	if err != nil {
		return err
	}
	if _, err := e.Stdout.Write(text); err != nil || cluster == nil {
		return err
	}
	if err := cluster.Check(cmd.Context(), job); err != nil {
		return fmt.Errorf("runtime %s: %w", r.Name, err)
	}
	e.Notef("the cluster takes it")
	return nil
}
