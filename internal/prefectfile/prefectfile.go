// Package prefectfile reads the project file of Prefect, prefect.yaml, as what Refline
// registers: flows with their code, parameters, schedules and limits.
//
// It reports every mistake at its place, and lists what Refline has no place for with
// the reason. It does not know whether a repository, a ref or a file exists.
package prefectfile

import (
	"fmt"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"refline/internal/diag"
)

// maxDeployments bounds the deployments of a file.
const maxDeployments = 1000

// File is a project file.
type File struct {
	Deployments []Deployment
	// Left is what is not carried over, in the order of the file.
	Left []Left
}

// Left is a part of the file that Refline has no place for.
type Left struct {
	diag.Place
	Deployment string // "" for one of the whole file
	Text       string // what it is and why
}

// Deployment is one entry of deployments.
type Deployment struct {
	diag.Place
	Name        string
	Path        string // of the file in its repository, with slashes
	Function    string
	Code        Code
	Parameters  map[string]any
	Schedules   []Schedule
	Paused      bool
	Concurrency int
	Skip        bool // a run above the limit is left out, not queued
	Pool        string
	PoolPlace   diag.Place
}

// Code is where a pull step has the code from.
type Code struct {
	Repository     string // "" for the repository of the file
	Branch, Commit string
	Variable       string // that holds the token; "" if none is named
}

// Schedule is when a deployment runs by itself.
type Schedule struct {
	Cron       string
	Every      time.Duration
	Timezone   string
	Parameters map[string]any
}

// Parse reads a file. The error is a [diag.Failure] with all that is wrong. getenv
// gives the variables that templates such as {{ $NAME }} name.
func Parse(name string, text []byte, getenv func(string) string) (File, error) {
	r := &reader{name: name, getenv: getenv}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		r.findings = append(r.findings, diag.Finding{Place: diag.Place{File: name}, Level: diag.Error, Message: strings.TrimPrefix(err.Error(), "yaml: ")})
		return File{}, r.findings.Err()
	}
	if len(doc.Content) == 0 {
		r.fail(&yaml.Node{Line: 1, Column: 1}, "the file is empty; a project file of Prefect has deployments")
		return File{}, r.findings.Err()
	}
	r.project(doc.Content[0])
	r.uniqueNames()
	return r.file, r.findings.Err()
}

type reader struct {
	name     string
	getenv   func(string) string
	file     File
	findings diag.List
	current  string // the deployment that is read
}

func (r *reader) place(n *yaml.Node) diag.Place {
	return diag.Place{File: r.name, Line: n.Line, Column: n.Column}
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	r.findings = append(r.findings, diag.Finding{Place: r.place(n), Level: diag.Error, Message: fmt.Sprintf(format, args...)})
}

func (r *reader) leave(n *yaml.Node, format string, args ...any) {
	r.file.Left = append(r.file.Left, Left{Place: r.place(n), Deployment: r.current, Text: fmt.Sprintf(format, args...)})
}

// Reasons for keys that are not carried over.
func (r *reader) reason(key string) string {
	switch key {
	case "build", "push":
		return "nothing is built; runs take the code from git, or see refline image build"
	case "triggers":
		return "runs start by schedules, webhooks and other pipelines"
	case "sla":
		return "see refline notify for messages about late and failed runs"
	case "tags":
		return "tags of a runtime choose its runners"
	case "description":
		return "the docstring of the flow describes it"
	case "version", "version_type":
		return "the commit is the version"
	}
	return ""
}

func (r *reader) project(n *yaml.Node) {
	var pull, deployments *yaml.Node
	r.each(n, "a project file", func(key, value *yaml.Node) {
		switch key.Value {
		case "name", "prefect-version", "definitions":
		case "pull":
			pull = value
		case "deployments":
			deployments = value
		default:
			r.unknown(key, value, []string{"name", "prefect-version", "definitions", "pull", "deployments", "build", "push"})
		}
	})
	if deployments == nil || deployments.Kind != yaml.SequenceNode || len(deployments.Content) == 0 {
		if len(r.findings) == 0 {
			r.fail(n, "the file has no deployments; below deployments: is a list of them")
		}
		return
	}
	if len(deployments.Content) > maxDeployments {
		r.fail(deployments, "%d deployments are too many (at most %d)", len(deployments.Content), maxDeployments)
		return
	}
	var code Code
	if pull != nil {
		code = r.pull(pull)
	}
	for _, item := range deployments.Content {
		r.current = ""
		r.deployment(item, code)
	}
}

// unknown lists a key that is not carried over. An empty one says nothing.
func (r *reader) unknown(key, value *yaml.Node, known []string) {
	if isEmpty(value) {
		return
	}
	if why := r.reason(key.Value); why != "" {
		r.leave(key, "%s: %s", key.Value, why)
		return
	}
	r.leave(key, "%s: not known here%s", key.Value, diag.DidYouMean(key.Value, known))
}

func (r *reader) deployment(item *yaml.Node, code Code) {
	d := Deployment{Place: r.place(item), Code: code}
	item = resolve(item)
	if name := r.find(item, "name"); name != nil {
		d.Name = r.text(name, "the name of a deployment")
	}
	r.current = d.Name
	entrypoint := (*yaml.Node)(nil)
	r.each(item, "a deployment", func(key, value *yaml.Node) {
		switch key.Value {
		case "name":
		case "entrypoint":
			entrypoint = value
		case "parameters":
			d.Parameters = r.parameters(value)
		case "schedule":
			r.schedule(value, &d)
		case "schedules":
			r.schedules(value, &d)
		case "paused":
			d.Paused = r.truth(value, false)
		case "concurrency_limit":
			r.concurrency(value, &d)
		case "work_pool":
			r.pool(key, value, &d)
		case "pull":
			if !isEmpty(value) {
				d.Code = r.pull(value)
			}
		case "enforce_parameter_schema":
			if !r.truth(value, true) {
				r.leave(key, "enforce_parameter_schema: inputs are always checked")
			}
		default:
			r.unknown(key, value, []string{"name", "entrypoint", "parameters", "schedule", "schedules", "paused", "concurrency_limit", "work_pool", "pull", "description", "tags", "version", "triggers"})
		}
	})
	if item.Kind != yaml.MappingNode {
		return
	}
	if d.Name == "" && r.find(item, "name") == nil {
		r.fail(item, "the deployment has no name")
	}
	r.entrypoint(item, entrypoint, &d)
	r.file.Deployments = append(r.file.Deployments, d)
}

// entrypoint reads FILE.py:FUNCTION, or MODULE.FUNCTION.
func (r *reader) entrypoint(item, n *yaml.Node, d *Deployment) {
	if n == nil || isEmpty(n) {
		r.fail(item, "%s has no entrypoint; it is FILE.py:FUNCTION", shown(d.Name))
		return
	}
	text := r.text(n, "an entrypoint")
	if text == "" {
		return
	}
	file, function, ok := strings.Cut(text, ":")
	if !ok {
		if i := strings.LastIndexByte(text, '.'); i > 0 && !strings.ContainsAny(text, `/\`) && !strings.HasSuffix(text, ".py") {
			file, function, ok = strings.ReplaceAll(text[:i], ".", "/")+".py", text[i+1:], true
		}
	}
	file = strings.TrimPrefix(strings.ReplaceAll(file, `\`, "/"), "./")
	switch {
	case !ok || file == "" || function == "":
		r.fail(n, "entrypoint %q is not FILE.py:FUNCTION", text)
	case strings.HasPrefix(file, "/") || strings.HasPrefix(file, "../") || strings.Contains(file, "/../"):
		r.fail(n, "entrypoint %q is outside of the repository", text)
	case strings.Contains(function, "."):
		r.fail(n, "entrypoint %q names a method; a flow here is a function of the file", text)
	default:
		d.Path, d.Function = file, function
	}
}

func shown(name string) string {
	if name == "" {
		return "the deployment"
	}
	return name
}

// uniqueNames gives deployments of different flows with one name the flow's name, too,
// as Prefect shows them.
func (r *reader) uniqueNames() {
	count := map[string]int{}
	for _, d := range r.file.Deployments {
		count[d.Name]++
	}
	seen := map[string]bool{}
	for i := range r.file.Deployments {
		d := &r.file.Deployments[i]
		if d.Name == "" {
			continue
		}
		if count[d.Name] > 1 {
			d.Name = d.Function + "-" + d.Name
		}
		if seen[d.Name] {
			r.findings = append(r.findings, diag.Finding{Place: d.Place, Level: diag.Error, Message: fmt.Sprintf("deployment %q of one flow is given twice", d.Name)})
		}
		seen[d.Name] = true
	}
}
