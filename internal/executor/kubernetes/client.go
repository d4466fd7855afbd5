package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/flowcontrol"

	"refline/internal/errs"
)

// Cluster is the API of a cluster. Its requests are bounded in rate and time.
type Cluster struct {
	base      string
	http      *http.Client
	limit     flowcontrol.RateLimiter
	namespace string // of the configuration
}

const (
	requestsPerSecond = 50 // client-go's 5 needs 10 s for 60 Jobs
	requestBurst      = 100
	callTime          = 30 * time.Second
	mostAnswer        = 64 << 20
)

// Connect finds a cluster: by a kubeconfig file, else as a pod of it, else by the
// user's own kubeconfig. context may be "".
func Connect(kubeconfig, kubeContext string) (*Cluster, error) {
	config, namespace, err := load(kubeconfig, kubeContext)
	if err != nil {
		return nil, errs.E(errs.Invalid, "find the cluster: %w; give --kubeconfig FILE, or run in a pod with a service account", err)
	}
	config.UserAgent = "refline"
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, errs.E(errs.Invalid, "connect to the cluster %s: %w", config.Host, err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the address of the cluster: %w", err)
	}
	return &Cluster{
		base: strings.TrimSuffix(base.String(), "/"), http: client, namespace: namespace,
		limit: flowcontrol.NewTokenBucketRateLimiter(requestsPerSecond, requestBurst),
	}, nil
}

const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func load(kubeconfig, kubeContext string) (*rest.Config, string, error) {
	if kubeconfig == "" && kubeContext == "" {
		if config, err := rest.InClusterConfig(); err == nil {
			text, err := os.ReadFile(podNamespace)
			return config, strings.TrimSpace(string(text)), err
		}
	}
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	c := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: kubeContext})
	config, err := c.ClientConfig()
	if err != nil {
		return nil, "", err
	}
	namespace, _, err := c.Namespace()
	return config, namespace, err
}

// Namespace is that of the configuration.
func (c *Cluster) Namespace() string { return c.namespace }

// call is one request; its answer is decoded into out, if that is not nil.
func (c *Cluster) call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callTime, errs.E(errs.Unavailable, "the cluster does not answer within %s", callTime))
	defer cancel()
	if err := c.limit.Wait(ctx); err != nil {
		return errs.E(errs.Unavailable, "the cluster: %w", err)
	}
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	res, err := c.do(ctx, method, path, query, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer))
	if err != nil {
		return errs.E(errs.Unavailable, "read the answer of the cluster: %w", err)
	}
	if raw, ok := out.(*[]byte); ok {
		*raw = text
		return nil
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return errs.E(errs.Unavailable, "the answer of the cluster to %s %s: %w", method, path, err)
	}
	return nil
}

// do sends a request and returns its answer if that is a good one.
func (c *Cluster) do(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Response, error) {
	address := c.base + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, body)
	if err != nil {
		return nil, errs.E(errs.Invalid, "a request to the cluster: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if strings.HasPrefix(path, "/openid/") {
		req.Header.Set("Accept", "application/jwk-set+json")
	} else {
		req.Header.Set("Accept", "application/json")
	}
	res, err := c.http.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, errs.E(errs.Unavailable, "the cluster cannot be reached: %w", err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	return nil, refusal(res, text)
}

// statusError is an answer of the API server that is an error.
type statusError struct {
	code int
	text string
}

func (e *statusError) Error() string { return e.text }

func refusal(res *http.Response, body []byte) error {
	var s metav1.Status
	e := &statusError{code: res.StatusCode, text: fmt.Sprintf("the cluster answers %s", res.Status)}
	if json.Unmarshal(body, &s) == nil && s.Message != "" {
		e.text = "the cluster refuses it: " + s.Message
	}
	kind := errs.Invalid
	switch code := res.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden && !strings.Contains(e.text, "exceeded quota"):
		kind = errs.Denied
	case code == http.StatusNotFound, code == http.StatusGone:
		kind = errs.NotFound
	case code == http.StatusConflict:
		kind = errs.Conflict
	case code == http.StatusTooManyRequests, code >= 500, code == http.StatusForbidden:
		kind = errs.Unavailable
	}
	return errs.E(kind, "%w", e)
}

func jobsPath(namespace, name string) string {
	p := "/apis/batch/v1/namespaces/" + url.PathEscape(namespace) + "/jobs"
	if name != "" {
		p += "/" + url.PathEscape(name)
	}
	return p
}

func corePath(namespace, kind string) string {
	return "/api/v1/namespaces/" + url.PathEscape(namespace) + "/" + kind
}

func seconds(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
