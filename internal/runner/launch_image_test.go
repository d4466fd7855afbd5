package runner

import (
	"encoding/json"
	"strings"
	"testing"

	"refline/internal/api"
	"refline/internal/pipeline"
)

// A runtime with an image of its own takes that of a flow which was registered from
// an image, unless it says which images it allows; a job's own is another matter.
func TestLaunchOfAFlowInAnImage(t *testing.T) {
	t.Parallel()
	const name = "registry.example.com/data/flows@sha256:1"
	for _, c := range []struct {
		ofFlow   bool
		patterns []string
		want     string // in the error, "" for none
	}{
		{true, nil, ""},
		{false, nil, "allows its own only"},
		{true, []string{"registry.example.com/data/*"}, ""},
		{true, []string{"python:*"}, "does not allow"},
	} {
		pods, err := json.Marshal(api.KubernetesRuntime{Images: c.patterns})
		if err != nil {
			t.Fatal(err)
		}
		got, err := launchOf(&api.LaunchSpec{
			Job: "hello", FlowImage: c.ofFlow, Image: &pipeline.Image{Name: name, Entrypoint: []string{""}},
			Runtime: api.JobRuntime{Name: "python", Executor: "kubernetes", Image: "python:3.12"}, Kubernetes: pods,
		})
		switch {
		case c.want == "" && (err != nil || got.Image != name):
			t.Errorf("%+v: image %q, %v", c, got.Image, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v, want %q", c, err, c.want)
		}
	}
}
