package kubernetes

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
)

// Config is how a runtime makes pods: the JSON of executor.Launch.Config.
type Config struct {
	Namespace      string            `json:"namespace,omitempty"`
	ServiceAccount string            `json:"service_account,omitempty"`
	PullSecrets    []string          `json:"pull_secrets,omitempty"`
	Entrypoint     []string          `json:"entrypoint,omitempty"`
	Requests       map[string]string `json:"requests,omitempty"`
	Limits         map[string]string `json:"limits,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	NodeSelector   map[string]string `json:"node_selector,omitempty"`
	Images         []string          `json:"images,omitempty"` // what a job may name; the runner checks
	DeadlineS      int64             `json:"deadline_s,omitempty"`
	PendingS       int64             `json:"pending_s,omitempty"`
	KeepS          *int64            `json:"keep_s,omitempty"`
	Builds         string            `json:"builds,omitempty"` // disk or memory
	Template       json.RawMessage   `json:"template,omitempty"`
	TemplateFrom   json.RawMessage   `json:"template_from,omitempty"` // for people
}

func readConfig(text json.RawMessage) (Config, error) {
	var c Config
	if len(bytes.TrimSpace(text)) == 0 {
		return c, nil
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, errs.E(errs.Invalid, "the configuration of pods: %w", err)
	}
	switch {
	case c.Builds != "" && c.Builds != "disk" && c.Builds != "memory":
		return c, errs.E(errs.Invalid, "builds are on disk or in memory, not %q", c.Builds)
	case c.DeadlineS < 0 || c.PendingS < 0 || c.KeepS != nil && *c.KeepS < 0:
		return c, errs.E(errs.Invalid, "deadline, pending and keep are seconds from 0 on")
	}
	return c, nil
}

const (
	keepTime    = 10 * time.Minute // of a Job that has ended
	graceTime   = 330 * time.Second
	pendingTime = 10 * time.Minute
)

// pending is how long a pod of a launch may wait for a node.
func (c Config) pending() time.Duration {
	if c.PendingS > 0 {
		return time.Duration(c.PendingS) * time.Second
	}
	return pendingTime
}

// deadline is when the cluster ends a Job whatever its agent does.
func (c Config) deadline(l executor.Launch) int64 {
	if c.DeadlineS > 0 {
		return c.DeadlineS
	}
	return int64((l.Timeout + c.pending() + graceTime) / time.Second)
}

func (c Config) keep() int64 {
	if c.KeepS != nil {
		return *c.KeepS
	}
	return int64(keepTime / time.Second)
}

// labelValue makes text fit for a label: letters, digits and -_. inside, at most 63.
func labelValue(text string) string {
	ok := func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' }
	value := strings.Map(func(r rune) rune {
		if ok(r) || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '-'
	}, text)
	value = value[:min(len(value), 63)]
	return strings.TrimFunc(value, func(r rune) bool { return !ok(r) })
}

// jobName is the name of an attempt's Job.
func jobName(fence int64) string { return "refline-" + strconv.FormatInt(fence, 10) }
