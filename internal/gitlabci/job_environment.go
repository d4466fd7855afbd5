package gitlabci

import (
	"strings"

	"refline/internal/pipeline"
)

// readEnvironment decodes environment: a name, or a map with it.
func (r reader) readEnvironment(n *node) *pipeline.Environment {
	e := &pipeline.Environment{Action: "start"}
	switch n.kind {
	case stringNode:
		e.Name = r.filled(n, n, "environment")
		r.environmentName(n, e.Name, "environment")
		return e
	case mapNode:
	default:
		r.wrong(n, "environment", "a string or a map")
		return nil
	}
	r.mapping(n, "environment", "name", "url", "on_stop", "action", "auto_stop_in", "deployment_tier", "kubernetes")
	e.Name = r.filled(n, n.get("name"), "environment:name")
	if name := n.get("name"); !absent(name) {
		r.environmentName(name, e.Name, "environment:name")
	}
	e.URL = r.text(n.get("url"), "environment:url")
	if len(e.URL) > 255 {
		r.errorf(n.get("url"), "limit", "environment:url", "may have at most 255 characters")
	}
	if e.URL != "" && !strings.Contains(e.URL, "$") && !strings.HasPrefix(e.URL, "http://") && !strings.HasPrefix(e.URL, "https://") {
		r.editor(n.get("url"), "environment:url", "should begin with http:// or https://")
	}
	e.OnStop = r.text(n.get("on_stop"), "environment:on_stop")
	if action := r.choice(n.get("action"), "environment:action", "start", "stop", "prepare", "verify", "access"); action != "" {
		e.Action = action
	}
	e.AutoStopIn = r.text(n.get("auto_stop_in"), "environment:auto_stop_in")
	if auto := n.get("auto_stop_in"); auto != nil && auto.kind == stringNode && !strings.Contains(auto.text, "$") {
		r.expiry(auto, "environment:auto_stop_in")
	}
	e.DeploymentTier = r.deploymentTier(n.get("deployment_tier"))
	if k := n.get("kubernetes"); !absent(k) && r.readKubernetes(k) {
		e.Kubernetes = plainMap(k)
	}
	return e
}

// readKubernetes checks environment:kubernetes, which is kept as written.
func (r reader) readKubernetes(n *node) bool {
	const path = "environment:kubernetes"
	if !r.mapping(n, path, "agent", "namespace", "flux_resource_path", "managed_resources", "dashboard") {
		return false
	}
	if len(n.keys) == 0 {
		r.errorf(n, "value", path, "must not be empty")
	}
	r.text(n.get("agent"), path+":agent")
	r.text(n.get("namespace"), path+":namespace")
	flux := r.text(n.get("flux_resource_path"), path+":flux_resource_path")
	managed, dashboard := n.get("managed_resources"), n.get("dashboard")
	manages := false
	if !absent(managed) && r.mapping(managed, path+":managed_resources", "enabled") {
		manages, _ = r.flag(managed.get("enabled"), path+":managed_resources:enabled")
	}
	if !absent(dashboard) && r.mapping(dashboard, path+":dashboard", "namespace", "flux_resource_path") {
		for _, key := range []string{"namespace", "flux_resource_path"} {
			if r.text(dashboard.get(key), path+":dashboard:"+key) != "" && !absent(n.get(key)) {
				r.errorf(n.get(key), "conflict", path+":"+key, "is set in dashboard too")
			}
		}
	}
	if absent(n.get("agent")) && (flux != "" || manages || !absent(dashboard) && len(dashboard.keys) > 0) {
		r.errorf(n, "value", path+":agent", "is missing")
	}
	if flux != "" && absent(n.get("namespace")) && r.partial == nil {
		r.errorf(n.get("flux_resource_path"), "value", path+":flux_resource_path", "needs namespace")
	}
	return true
}

// environmentName checks the characters of a name, which may have variables.
func (r reader) environmentName(n *node, name, path string) {
	valid := !strings.HasPrefix(name, "/") && !strings.HasSuffix(name, "/")
	for i := range len(name) {
		valid = valid && (isIdentifierByte(name[i]) || strings.IndexByte("/${}. -", name[i]) >= 0)
	}
	if !valid {
		r.errorf(n, "value", path, "may only have letters, digits, spaces and - _ / $ { } . and must not begin or end with /")
	}
}

func (r reader) deploymentTier(n *node) string {
	if n != nil && n.kind == stringNode && strings.Contains(n.text, "$") {
		return n.text
	}
	return r.open(n, "environment:deployment_tier", "deployment tier", "production", "staging", "testing", "development", "other")
}

// checkOnStop checks the jobs that environment:on_stop names.
func (c *compiler) checkOnStop() {
	if !c.complete {
		return
	}
	for _, w := range c.jobs {
		e := w.job.Environment
		if e == nil || e.OnStop == "" {
			continue
		}
		at := w.node.get("environment").get("on_stop")
		stop := c.instanceNamed(e.OnStop)
		fault := func(format string, args ...any) bool {
			return w.r.errorf(at, "environment", "environment:on_stop", format, args...)
		}
		switch {
		case stop == nil:
			if fault("names %s, which is not a job", quote(e.OnStop)) {
				c.f.hint(didYouMean(e.OnStop, c.jobNames()))
			}
		case stop.of.job.Environment == nil:
			fault("names %s, which has no environment", quote(e.OnStop))
		case stop.of.job.Environment.Name != e.Name:
			fault("names %s, whose environment is %s and not %s", quote(e.OnStop),
				quote(stop.of.job.Environment.Name), quote(e.Name))
		case stop.of.job.Environment.Action != "stop":
			if fault("names %s, which does not stop its environment", quote(e.OnStop)) {
				c.f.hint("it needs environment:action: stop")
			}
		}
	}
}

// guessTier is GitLab's guess for an environment without deployment_tier.
func guessTier(name string) string {
	name = strings.ToLower(name)
	for _, tier := range []struct {
		name  string
		parts []string
	}{
		{"development", []string{"dev", "review", "trunk"}},
		{"testing", []string{"test", "tst", "int", "acpt", "accept", "qa", "qc", "control", "quality"}},
		{"staging", []string{"stg", "stag", "mod", "pre", "demo", "non"}},
		{"production", []string{"prd", "prod", "live"}},
	} {
		for _, part := range tier.parts {
			if strings.Contains(name, part) {
				return tier.name
			}
		}
	}
	return "other"
}
