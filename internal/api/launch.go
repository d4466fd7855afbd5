package api

import (
	"context"
	"encoding/json"
	"net/http"

	"refline/internal/pipeline"
)

// KubernetesRuntime is how a runtime makes pods. Its JSON is what the launcher reads.
type KubernetesRuntime struct {
	Namespace      string            `json:"namespace,omitempty" doc:"default: the runner's"`
	ServiceAccount string            `json:"service_account,omitempty"`
	PullSecrets    []string          `json:"pull_secrets,omitempty" doc:"names of Secrets in the namespace"`
	Entrypoint     []string          `json:"entrypoint,omitempty" doc:"program in front of the one that runs the job"`
	Requests       map[string]string `json:"requests,omitempty" doc:"of the job's container: cpu, memory, …"`
	Limits         map[string]string `json:"limits,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	NodeSelector   map[string]string `json:"node_selector,omitempty"`
	Images         []string          `json:"images,omitempty" doc:"patterns of images that a job may name itself, such as python:*; none: only the runtime's image"`
	DeadlineS      int64             `json:"deadline_s,omitempty" doc:"seconds after which the cluster ends the Job; default: the job's timeout and its grace"`
	PendingS       int64             `json:"pending_s,omitempty" doc:"seconds that a pod may wait for a node; default 600"`
	KeepS          *int64            `json:"keep_s,omitempty" doc:"seconds that an ended Job is kept; default 600"`
	Builds         string            `json:"builds,omitempty" enum:"disk,memory" doc:"where workspaces are; default disk"`
	Template       json.RawMessage   `json:"template,omitempty" doc:"a batch/v1 Job that is merged below the fields above"`
	TemplateFrom   *TemplateFrom     `json:"template_from,omitempty" doc:"the commit that the template was read from"`
}

// TemplateFrom is where the template of a runtime was read.
type TemplateFrom struct {
	Repository string `json:"repository"`
	Ref        string `json:"ref,omitempty"`
	Commit     string `json:"commit"`
	Path       string `json:"path"`
}

// LaunchSpec is what a runner needs to start another one for an attempt: POST
// attempts/FENCE/launch. It holds no secrets.
type LaunchSpec struct {
	Fence      int64             `json:"fence"`
	Run        int64             `json:"run"`
	Project    string            `json:"project"`
	Job        string            `json:"job"`
	Image      *pipeline.Image   `json:"image,omitempty"`      // that the job names
	FlowImage  bool              `json:"flow_image,omitempty"` // Image is that of the flow, not of the job
	Services   []LaunchService   `json:"services,omitempty"`
	Timeout    pipeline.Duration `json:"timeout,omitempty"`
	Runtime    JobRuntime        `json:"runtime,omitzero"`
	Kubernetes json.RawMessage   `json:"kubernetes,omitempty"` // of the runtime
}

// LaunchService is a service of the job. Its variables are those that may be shown:
// they are in the pod's manifest if the image's own entrypoint is run.
type LaunchService struct {
	pipeline.Service
	// Unshown names variables of the service whose values refer to what may not be
	// shown, or is not set.
	Unshown []string `json:"unshown,omitempty"`
	// OfImage are the entrypoint, command and ports of the image, if its registry
	// answered and the service names no entrypoint.
	OfImage *ImageConfig `json:"of_image,omitempty"`
}

// ImageConfig is what an image does by itself.
type ImageConfig struct {
	Entrypoint []string `json:"entrypoint,omitempty"`
	Command    []string `json:"command,omitempty"`
	Exposed    []string `json:"exposed,omitempty"`
}

// LaunchedRequest names what runs an attempt: POST attempts/FENCE/launched.
type LaunchedRequest struct {
	ID string `json:"id"` // the pod's UID
}

// LaunchEnded says that what was launched is over: POST attempts/FENCE/ended. It
// changes nothing if the attempt has its result.
type LaunchEnded struct {
	Reason pipeline.Reason `json:"reason"`
	Text   string          `json:"text"`
	System bool            `json:"system,omitempty"` // the job is not at fault: it is tried again if it had not begun
}

// ClaimRequest exchanges a service-account token for the token of an attempt: POST
// token.
type ClaimRequest struct {
	Fence int64  `json:"fence"`
	Token string `json:"token"`
}

// Claim is the attempt for the process that asked.
type Claim struct {
	Token   string   `json:"token"` // of the attempt
	Session int64    `json:"session"`
	Lease   int      `json:"lease_s"`
	Run     int64    `json:"run"`
	Runner  int64    `json:"runner"`
	Name    string   `json:"name,omitempty"` // of the runner
	Tags    []string `json:"tags,omitempty"`
}

// FencesRequest asks which attempts are over: POST closed.
type FencesRequest struct {
	Fences []int64 `json:"fences"`
}

// FencesAnswer names them.
type FencesAnswer struct {
	Closed []int64 `json:"closed"`
}

// KeysRequest gives the keys of a runner's cluster: POST keys.
type KeysRequest struct {
	JWKS json.RawMessage `json:"jwks"`
}

// LaunchSpec returns what an attempt of the session is launched with.
func (c *RunnerClient) LaunchSpec(ctx context.Context, session, fence int64) (spec LaunchSpec, err error) {
	err = c.call(ctx, call{method: http.MethodPost, path: attemptPath(fence) + "/launch", session: session, out: &spec})
	return spec, err
}

// Launched says what runs an attempt.
func (c *RunnerClient) Launched(ctx context.Context, session, fence int64, id string) error {
	return c.call(ctx, call{method: http.MethodPost, path: attemptPath(fence) + "/launched", session: session, in: LaunchedRequest{ID: id}})
}

// EndLaunched says why what was launched is over.
func (c *RunnerClient) EndLaunched(ctx context.Context, fence int64, end LaunchEnded) error {
	return c.call(ctx, call{method: http.MethodPost, path: attemptPath(fence) + "/ended", in: end})
}

// Closed returns those of the attempts that are over.
func (c *RunnerClient) Closed(ctx context.Context, fences []int64) ([]int64, error) {
	var out FencesAnswer
	err := c.call(ctx, call{method: http.MethodPost, path: "/closed", in: FencesRequest{Fences: fences}, out: &out})
	return out.Closed, err
}

// SetKeys gives the server the keys of the runner's cluster.
func (c *RunnerClient) SetKeys(ctx context.Context, jwks []byte) error {
	return c.call(ctx, call{method: http.MethodPost, path: "/keys", in: KeysRequest{JWKS: jwks}})
}

// Claim exchanges a service-account token.
func (c *RunnerClient) Claim(ctx context.Context, req ClaimRequest) (out Claim, err error) {
	err = c.call(ctx, call{method: http.MethodPost, path: "/token", in: req, out: &out})
	return out, err
}
