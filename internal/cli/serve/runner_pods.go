package serve

import (
	"cmp"
	"context"
	"os"

	"github.com/spf13/pflag"

	"refline/internal/cli"
	"refline/internal/executor"
	"refline/internal/executor/kubernetes"
)

// podOptions say how a runner makes pods.
type podOptions struct {
	kubeconfig, context string
	namespace           string
	agentImage          string
	url                 string // of the server, as pods reach it
}

// Bind adds its flags.
func (o *podOptions) Bind(e *cli.Env, f *pflag.FlagSet) {
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "with kubernetes: file that says which cluster (default: that of the pod this runs in, else KUBECONFIG)")
	f.StringVar(&o.context, "kube-context", "", "with kubernetes: context of the kubeconfig")
	f.StringVar(&o.namespace, "namespace", "", "with kubernetes: namespace of pods whose runtime names none (default: that of the kubeconfig or pod)")
	f.StringVar(&o.agentImage, "agent-image", e.Setting("REFLINE_AGENT_IMAGE", ""), "with kubernetes: image with this program and git for the first container of pods (REFLINE_AGENT_IMAGE)")
	f.StringVar(&o.url, "pod-url", "", "with kubernetes: address of the server as pods reach it (default --url)")
}

// Kind is the executor that makes pods for the runner of this name, default the
// computer's; url is how runners reach the server.
func (o *podOptions) Kind(e *cli.Env, name, url string, allowHTTP bool) (executor.Kind, error) {
	if o.agentImage == "" {
		return executor.Kind{}, cli.Usagef("--executor kubernetes: which image has refline and git? --agent-image IMAGE, or REFLINE_AGENT_IMAGE")
	}
	if name == "" {
		name, _ = os.Hostname()
	}
	return executor.Kind{
		Name: "kubernetes", Summary: "in pods of a cluster", Isolated: true,
		Launcher: func(context.Context) (executor.Launcher, error) {
			cluster, err := kubernetes.Connect(o.kubeconfig, o.context)
			if err != nil {
				return nil, err
			}
			return kubernetes.New(cluster, kubernetes.Options{
				Runner: name, URL: cmp.Or(o.url, url), AgentImage: o.agentImage, Namespace: o.namespace, AllowHTTP: allowHTTP,
			}, func(text string) { e.Notef("runner: %s", text) }), nil
		},
	}, nil
}
