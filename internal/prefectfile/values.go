package prefectfile

import (
	"fmt"
	"math"
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// parameters reads names and values. One with a template that only Prefect can fill in
// is left out.
func (r *reader) parameters(n *yaml.Node) map[string]any {
	if isEmpty(n) {
		return nil
	}
	out := map[string]any{}
	r.each(n, "parameters", func(key, value *yaml.Node) {
		var v any
		if err := value.Decode(&v); err != nil {
			r.fail(value, "parameter %s: %s", key.Value, strings.TrimPrefix(err.Error(), "yaml: "))
			return
		}
		var left []string
		v = r.expandAll(v, &left)
		if len(left) > 0 {
			r.leave(value, "parameter %s: the template {{ %s }} cannot be filled in here; give the value with refline flow set --input", key.Value, left[0])
			return
		}
		out[key.Value] = v
	})
	return out
}

func (r *reader) expandAll(v any, left *[]string) any {
	switch v := v.(type) {
	case string:
		text, more := r.expand(v)
		*left = append(*left, more...)
		return text
	case []any:
		for i := range v {
			v[i] = r.expandAll(v[i], left)
		}
	case map[string]any:
		for k := range v {
			v[k] = r.expandAll(v[k], left)
		}
	case time.Time:
		if v.Equal(v.Truncate(24*time.Hour)) && v.Location() == time.UTC {
			return v.Format(time.DateOnly)
		}
		return v.Format(time.RFC3339)
	}
	return v
}

func (r *reader) schedules(n *yaml.Node, d *Deployment) {
	if isEmpty(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "schedules is a list")
		return
	}
	for _, item := range n.Content {
		r.schedule(resolve(item), d)
	}
}

func (r *reader) schedule(n *yaml.Node, d *Deployment) {
	if isEmpty(n) {
		return
	}
	if n.Kind == yaml.SequenceNode {
		r.schedules(n, d)
		return
	}
	var s Schedule
	var left []string
	both := true
	r.each(n, "a schedule", func(key, value *yaml.Node) {
		if isEmpty(value) {
			return
		}
		switch key.Value {
		case "cron":
			s.Cron = r.text(value, "cron")
		case "interval":
			s.Every = r.interval(value)
		case "timezone":
			s.Timezone = r.text(value, "a time zone")
		case "parameters":
			s.Parameters = r.parameters(value)
		case "day_or":
			both = r.truth(value, true)
		case "active":
			if !r.truth(value, true) {
				left = append(left, "it is not active")
			}
		case "rrule":
			left = append(left, "rrule has no counterpart; write it as cron or interval")
		case "anchor_date":
			r.leave(value, "anchor_date: an interval counts from midnight")
		case "slug", "max_scheduled_runs", "max_active_runs", "catchup":
			r.leave(key, "%s: schedules do not have it", key.Value)
		default:
			r.unknown(key, value, []string{"cron", "interval", "timezone", "rrule", "active", "parameters", "anchor_date", "day_or"})
		}
	})
	if n.Kind != yaml.MappingNode {
		return
	}
	if fields := strings.Fields(s.Cron); !both && len(fields) == 5 && fields[2] != "*" && fields[4] != "*" {
		left = append(left, "day_or: false has no counterpart; a day matches by either field")
	}
	switch {
	case len(left) > 0:
		r.leave(n, "schedule: %s", strings.Join(left, "; "))
	case s.Cron != "" && s.Every != 0:
		r.fail(n, "a schedule has cron or interval, not both")
	case s.Cron == "" && s.Every == 0:
		if len(r.findings) == 0 {
			r.fail(n, "a schedule has cron, interval or rrule")
		}
	default:
		d.Schedules = append(d.Schedules, s)
	}
}

// interval reads seconds.
func (r *reader) interval(n *yaml.Node) time.Duration {
	var seconds float64
	if err := n.Decode(&seconds); err != nil || n.Kind != yaml.ScalarNode || math.IsNaN(seconds) {
		r.fail(n, "interval %q is not a number of seconds", n.Value)
		return 0
	}
	if seconds < 60 || seconds > 10*366*86400 || seconds != math.Trunc(seconds) {
		r.fail(n, "interval %s: want whole seconds from 60 to ten years", n.Value)
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func (r *reader) concurrency(n *yaml.Node, d *Deployment) {
	if isEmpty(n) {
		return
	}
	if n.Kind == yaml.ScalarNode {
		d.Concurrency = r.count(n, "concurrency_limit")
		return
	}
	r.each(n, "concurrency_limit", func(key, value *yaml.Node) {
		switch key.Value {
		case "limit":
			d.Concurrency = r.count(value, "limit")
		case "collision_strategy":
			switch strings.ToUpper(value.Value) {
			case "ENQUEUE", "":
			case "CANCEL_NEW":
				d.Skip = true
			default:
				r.fail(value, "collision_strategy %q is neither ENQUEUE nor CANCEL_NEW", value.Value)
			}
		case "grace_period_seconds":
			r.leave(key, "grace_period_seconds: a lost run frees its place by itself")
		default:
			r.unknown(key, value, []string{"limit", "collision_strategy"})
		}
	})
}

func (r *reader) count(n *yaml.Node, what string) int {
	var limit int
	if n.Decode(&limit) != nil || n.Kind != yaml.ScalarNode || limit < 1 || limit > 1000 {
		r.fail(n, "%s %q is not a number from 1 to 1000", what, n.Value)
	}
	return limit
}

func (r *reader) pool(key, n *yaml.Node, d *Deployment) {
	if isEmpty(n) {
		return
	}
	d.PoolPlace = r.place(key)
	r.each(n, "work_pool", func(key, value *yaml.Node) {
		switch {
		case isEmpty(value):
		case key.Value == "name":
			d.Pool, d.PoolPlace = r.text(value, "the name of a work pool"), r.place(value)
		case key.Value == "work_queue_name":
			if value.Value != "default" {
				r.leave(value, "work queue %s: give the flow a priority: refline flow set --priority", value.Value)
			}
		case key.Value == "job_variables":
			r.jobVariables(value)
		default:
			r.unknown(key, value, []string{"name", "work_queue_name", "job_variables"})
		}
	})
}

func (r *reader) jobVariables(n *yaml.Node) {
	r.each(n, "job_variables", func(key, _ *yaml.Node) {
		r.leave(key, "job variable %s: set it at the runtime: refline runtime set --help", key.Value)
	})
}

// pull reads the steps that bring the code. What is not a clone is listed.
func (r *reader) pull(n *yaml.Node) Code {
	var code Code
	if isEmpty(n) {
		return code
	}
	if n = resolve(n); n.Kind != yaml.SequenceNode {
		r.fail(n, "pull is a list of steps")
		return code
	}
	cloned := false
	for _, item := range n.Content {
		r.each(item, "a step", func(key, value *yaml.Node) {
			_, step, _ := cutLast(key.Value, ".")
			switch step {
			case "git_clone", "git_clone_project":
				if cloned {
					r.leave(key, "%s: a flow has one repository", step)
					return
				}
				cloned = true
				code = r.clone(key, value)
			case "pip_install_requirements":
				r.requirements(key, value)
			case "set_working_directory":
				r.leave(key, "set_working_directory: a job works at the root of its checkout")
			default:
				r.leave(key, "step %s: put it into before_script of a pipeline", key.Value)
			}
		})
	}
	return code
}

// requirements reads a step that installs packages, which a run does by itself.
func (r *reader) requirements(key, n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		return
	}
	if file := r.find(n, "requirements_file"); file != nil && !isEmpty(file) && file.Value != "requirements.txt" {
		r.leave(key, "pip_install_requirements: a run installs requirements.txt beside the flow or at the root, not %s", file.Value)
	}
}

func (r *reader) clone(key, n *yaml.Node) Code {
	var code Code
	r.each(n, "git_clone", func(key, value *yaml.Node) {
		if isEmpty(value) {
			return
		}
		switch key.Value {
		case "repository":
			code.Repository = r.repository(value)
		case "branch":
			code.Branch = r.ref(value, "branch")
		case "commit_sha":
			code.Commit = r.ref(value, "commit_sha")
		case "access_token", "credentials":
			code.Variable = r.credential(key.Value, value)
		case "include_submodules":
			if r.truth(value, false) {
				r.leave(key, "include_submodules: set GIT_SUBMODULE_STRATEGY to recursive for the project")
			}
		case "directories":
			r.leave(key, "directories: runs take the whole repository from a mirror")
		case "id", "requires", "clone_directory_name":
		default:
			r.unknown(key, value, []string{"repository", "branch", "commit_sha", "access_token", "credentials", "include_submodules", "directories"})
		}
	})
	if code.Branch != "" && code.Commit != "" {
		r.fail(key, "git_clone has both branch and commit_sha")
	}
	if code.Repository == "" && n.Kind == yaml.MappingNode && r.find(n, "repository") == nil {
		r.fail(key, "git_clone has no repository")
	}
	return code
}

func (r *reader) repository(n *yaml.Node) string {
	text := r.text(n, "a repository")
	if u, err := url.Parse(text); err == nil && u.User != nil {
		if _, secret := u.User.Password(); secret || u.Scheme != "ssh" && u.User.Username() != "" && u.Scheme != "" {
			r.fail(n, "the address of the repository holds a secret; store it as a variable: refline var set --help")
			return ""
		}
	}
	return text
}

// ref reads a branch or a commit. One that only a step of Prefect knows is that of the
// checkout.
func (r *reader) ref(n *yaml.Node, what string) string {
	text, left := r.expand(n.Value)
	if n.Kind != yaml.ScalarNode {
		r.fail(n, "%s is a text", what)
		return ""
	}
	if len(left) > 0 {
		r.leave(n, "%s: the template {{ %s }} cannot be filled in here; the branch is the one that is checked out, or --branch", what, left[0])
		return ""
	}
	return text
}

// credential gives the variable for the token that a block of Prefect holds.
func (r *reader) credential(key string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode {
		r.leave(n, "%s: store the token as a variable: refline var set --help", key)
		return ""
	}
	inner, ok := template(n.Value)
	if !ok {
		r.fail(n, "%s holds a secret in the file; store it as a variable, remove it here and make it invalid", key)
		return ""
	}
	name := strings.TrimPrefix(inner, "$")
	if _, last, found := cutLast(name, "."); found {
		name = last
	}
	return variableName(name)
}

// variableName makes the name of a variable.
func variableName(text string) string {
	var b strings.Builder
	for _, c := range strings.ToUpper(text) {
		if c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' && b.Len() > 0 {
			b.WriteRune(c)
		} else {
			b.WriteByte('_')
		}
	}
	return b.String()
}

func cutLast(text, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(text, sep); i >= 0 {
		return text[:i], text[i+len(sep):], true
	}
	return "", text, false
}

func (l Left) String() string {
	who := ""
	if l.Deployment != "" {
		who = l.Deployment + ": "
	}
	return fmt.Sprintf("%s:%d:%d: %s%s", l.File, l.Line, l.Column, who, l.Text)
}
