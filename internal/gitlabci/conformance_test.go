package gitlabci

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

// anything is a loader to which every file exists and holds a hidden job.
type anything struct{}

func (anything) Read(_ context.Context, s Source) ([]byte, Source, error) {
	if _, name, ok := strings.Cut(s.Project, "/"); s.Project != "" && s.Project != "$." && (!ok || name == "") {
		return nil, s, errs.E(errs.NotFound, "no such project")
	}
	header := ""
	if s.Path == "template.yml" {
		header = "spec: {inputs: {environment: {}, version: {}, debug: {type: boolean}, workers: {type: number}}}\n---\n"
	}
	return []byte(header + ".included:\n  script: exit 0\n"), s, nil
}

func (anything) List(context.Context, Source) ([]string, error) {
	return []string{"README.md", "template.yml"}, nil
}

func compileText(t *testing.T, text string) *Result {
	t.Helper()
	res, err := Compile(t.Context(), Input{
		Root: Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, Content: []byte(text), Loader: anything{},
		Predefined: []pipeline.Variable{{Name: "FOO", Value: "group/foo"}, {Name: "VAR", Value: "var"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

// fixture is one top-level key of a schema fixture, as a file of its own.
type fixture struct {
	file  string // path without .yml
	key   string
	text  string
	whole string // text with a script in each job that has nothing to do
}

func fixtures(t *testing.T, kind string) []fixture {
	t.Helper()
	dir := conformance(t, "gitlab/schema/"+kind)
	var all []fixture
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name = strings.TrimSuffix(filepath.ToSlash(name), ".yml")
		var doc yaml.Node
		if err := yaml.Unmarshal(content, &doc); err != nil {
			return err
		}
		for i, top := 0, doc.Content[0]; i < len(top.Content); i += 2 {
			key, value := top.Content[i], top.Content[i+1]
			root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Content: []*yaml.Node{key, value}}
			// There each key's value is a whole document.
			if strings.HasPrefix(name, "workflow/auto_cancel") || name == "job_inputs" && kind == "negative" {
				root = value
			}
			f := fixture{file: name, key: key.Value, text: marshal(t, root)}
			if key.Value == "spec" {
				f.text += "---\na job: {script: exit 0}\n"
				f.whole = f.text
			} else {
				addScripts(root)
				f.whole = marshal(t, root)
			}
			all = append(all, f)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func marshal(t *testing.T, n *yaml.Node) string {
	t.Helper()
	text, err := yaml.Marshal(n)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// addScripts gives each job that has nothing to do a script, and a file without
// a job one.
func addScripts(root *yaml.Node) {
	has := func(n *yaml.Node, key string) bool {
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				return true
			}
		}
		return false
	}
	script := func(n *yaml.Node) {
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "script"}, &yaml.Node{Kind: yaml.ScalarNode, Value: "exit 0"})
	}
	jobs := 0
	for i := 0; i < len(root.Content); i += 2 {
		job := root.Content[i+1]
		if slices.Contains(rootKeywords, root.Content[i].Value) || job.Kind != yaml.MappingNode {
			continue
		}
		jobs++
		if !has(job, "script") && !has(job, "run") && !has(job, "trigger") {
			script(job)
		}
	}
	if jobs == 0 {
		job := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		script(job)
		job.Content = append(job.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "stage"}, &yaml.Node{Kind: yaml.ScalarNode, Value: ".pre"})
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "a job"}, job)
	}
}

// positiveExceptions are fixtures that the editor's schema takes, one key by
// itself, and GitLab refuses. Each must still be needed where its fixture is
// there: newer versions of GitLab have more of them.
var positiveExceptions = []struct{ file, key, rule, reason string }{
	{"artifacts", "", "missing-script", "a job must have a script"},
	{"image", "", "missing-script", "a job must have a script"},
	{"identity_provider", "", "missing-script", "a job must have a script"},
	{"rules", "rules-null", "missing-script", "a job must have a script"},
	{"rules", "rules:exists as an array", "missing-script", "a job must have a script"},
	{"rules", "rules:exists:paths", "missing-script", "a job must have a script"},
	{"rules", "rules:exists:project", "missing-script", "a job must have a script"},
	{"rules", "rules:exists:project with ref", "missing-script", "a job must have a script"},
	{"filter", "only as null value", "extends", "the job that it extends is not in the fixture"},
	{"filter", "except as null value", "extends", "the job that it extends is not in the fixture"},
	{"filter", "only as null value", "missing-script", "the job that it extends is not in the fixture"},
	{"filter", "except as null value", "missing-script", "the job that it extends is not in the fixture"},
	{"spec_inputs", "spec", "missing-input", "inputs without a default need a value"},
	{"stages", "pytest", "stage", "its stages are another key of the fixture"},
	{"stages", "gotest", "stage", "its stages are another key of the fixture"},
	{"stages", "server", "stage", "its stages are another key of the fixture"},
	{"stages", "binaries", "stage", "its stages are another key of the fixture"},
	{"dast_configuration", "", "missing-script", "a job must have a script"},
	{"dast_configuration", "", "stage", "its stages are not in the fixture"},
	{"include", "trigger:include accepts project and file properties", "conflict", "script and trigger exclude each other"},
	{"include", "trigger:include accepts project and file properties", "stage", "its stages are another key of the fixture"},
	{"include", "trigger:include accepts optional ref property", "conflict", "script and trigger exclude each other"},
	{"include", "trigger:include accepts optional ref property", "stage", "its stages are another key of the fixture"},
	{"needs_parallel_matrix", "", "needs", "the jobs that it needs are not in the fixture"},
	{"rules_needs", "rspec_job", "needs", "the job that it needs is another key of the fixture"},
	{"rules_needs", "job", "needs", "the jobs that it needs are other keys of the fixture"},
	{"services", "valid_services_list", "missing-script", "a job must have a script"},
	{"services", "valid_services_object", "missing-script", "a job must have a script"},
	{"services", "services_with_variables", "missing-script", "a job must have a script"},
	{"trigger", "trigger-include-artifact-inputs", "needs", "the job that makes the file is not in the fixture"},
}

// TestPositiveFixtures also gives those jobs a script that have none, so that
// the missing script hides nothing.
func TestPositiveFixtures(t *testing.T) {
	t.Parallel()
	used, there := make([]bool, len(positiveExceptions)), make([]bool, len(positiveExceptions))
	for _, f := range fixtures(t, "positive") {
		for i, e := range positiveExceptions {
			there[i] = there[i] || f.file == e.file && (e.key == "" || f.key == e.key)
		}
		for _, text := range []string{f.text, f.whole} {
			for _, finding := range compileText(t, text).Findings {
				if finding.Level != diag.Error || finding.Rule == "no-jobs" && text == f.text { // one key of a file
					continue
				}
				i := slices.IndexFunc(positiveExceptions, func(e struct{ file, key, rule, reason string }) bool {
					return f.file == e.file && (e.key == "" || f.key == e.key) && finding.Rule == e.rule &&
						(e.rule != "missing-script" || text == f.text)
				})
				if i < 0 {
					t.Errorf("%s, %s: %s [%s]", f.file, f.key, finding, finding.Rule)
				} else {
					used[i] = true
				}
			}
		}
	}
	for i, e := range positiveExceptions {
		if there[i] && !used[i] {
			t.Errorf("the exception for %s %s is not needed any more", e.file, e.key)
		}
	}
}

// onlyEditor are negative fixtures that GitLab takes once they have a script;
// they must give a warning then. As they are written, most are refused there too.
var onlyEditor = map[string]string{
	"retry invalid_job_with_retry_exit_codes_duplicate":                  "GitLab takes a code twice",
	"rules rules-if-empty":                                               "an empty keyword counts as not written",
	"rules rules:exists as string":                                       "GitLab takes a string",
	"rules_needs lint_job":                                               "an empty keyword counts as not written",
	"artifacts browser_performance no paths":                             "an empty report counts as not written",
	"artifacts browser_performance list of string paths":                 "GitLab takes a list for each report",
	"artifacts browser_performance mixed list of string paths and globs": "GitLab takes a list for each report",
	"artifacts browser_performance string array":                         "GitLab takes a list for each report",
	"artifacts cyclonedx no paths":                                       "an empty report counts as not written",
	"artifacts performance string path":                                  "the older name is still a report",
	"artifacts accessibility-report-left-blank":                          "an empty report counts as not written",
	"image empty_image":                                                  "an empty keyword counts as not written",
	"image image_with_empty_executor_opts":                               "an empty keyword counts as not written",
	"image image_with_empty_executor_opts_kubernetes":                    "an empty keyword counts as not written",
	"services empty_services":                                            "an empty keyword counts as not written",
	"services empty_entrypoint":                                          "an empty list is a list of strings",
	"services empty_command":                                             "an empty list is a list of strings",
}

func TestNegativeFixtures(t *testing.T) {
	t.Parallel()
	for _, f := range fixtures(t, "negative") {
		id := f.file + " " + f.key
		if res := compileText(t, f.text); !res.Findings.HasErrors() && (onlyEditor[id] == "" || f.text != f.whole) {
			t.Errorf("%s is accepted as it is written", id)
		}
		res := compileText(t, f.whole)
		if onlyEditor[id] != "" {
			if errors, warnings := res.Findings.Count(); errors > 0 || warnings == 0 {
				t.Errorf("%s: %d errors and %d warnings, want a warning: %v", id, errors, warnings, res.Findings)
			}
			continue
		}
		if !res.Findings.HasErrors() {
			t.Errorf("%s is accepted", id)
		}
	}
}

// realExceptions are mistakes in the pipelines of real projects.
var realExceptions = []struct{ project, rule, text, reason string }{
	{"Iam-Karan-Suresh__retail-cloud-native-platform", "needs", "comes after", "GitLab refuses needs of a later stage"},
	{"Iam-Karan-Suresh__retail-cloud-native-platform", "conflict", "start_in", "GitLab refuses start_in beside rules"},
	{"NVIDIA__gpu-operator__common-ci", "needs", "image:gpu-operator", "it is a file that others include"},
}

func TestRealPipelines(t *testing.T) {
	t.Parallel()
	dir := conformance(t, "gitlab/pipelines")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	used := make([]bool, len(realExceptions))
	compiled := 0
	for _, e := range entries {
		loader := folder(filepath.Join(dir, e.Name()))
		for _, facts := range someFacts() {
			res, err := Compile(t.Context(), Input{
				Root: Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, Loader: loader, Predefined: Predefined(facts),
			})
			if err != nil {
				t.Fatal(err)
			}
			if res.Pipeline != nil {
				compiled++
			} else if !res.Findings.HasErrors() && res.NotCreated == "" {
				t.Errorf("%s (%s): no pipeline, no error, no reason", e.Name(), facts.Trigger)
			}
			for _, f := range res.Findings {
				if f.Level != diag.Error || f.Rule == "include" && strings.Contains(f.Message, "cannot be reached") {
					continue
				}
				i := slices.IndexFunc(realExceptions, func(x struct{ project, rule, text, reason string }) bool {
					return x.project == e.Name() && x.rule == f.Rule && strings.Contains(f.Message, x.text)
				})
				if i < 0 {
					t.Errorf("%s (%s): %s [%s]", e.Name(), facts.Trigger, f, f.Rule)
				} else {
					used[i] = true
				}
			}
		}
	}
	for i, x := range realExceptions {
		if !used[i] {
			t.Errorf("the exception for %s (%s) is not needed any more", x.project, x.reason)
		}
	}
	if compiled < len(entries) {
		t.Errorf("only %d pipelines of %d projects came out", compiled, len(entries))
	}
}

// someFacts are a push to the default branch, one to another branch, a tag, a
// schedule and a merge request.
func someFacts() []Facts {
	base := Facts{
		SHA: "0123456789012345678901234567890123456789", DefaultBranch: "main", Remote: "https://gitlab.com/group/project.git",
		PipelineID: 1, Trigger: pipeline.TriggerPush,
	}
	branch, tag, schedule, request, main := base, base, base, base, base
	main.Branch, schedule.Branch, branch.Branch, request.Branch = "main", "main", "topic", "topic"
	tag.Tag = "v1.2.3"
	schedule.Trigger, request.Trigger = pipeline.TriggerSchedule, pipeline.TriggerMergeRequest
	request.MergeRequest = &MergeRequest{IID: 7, SourceBranch: "topic", TargetBranch: "main"}
	return []Facts{main, branch, tag, schedule, request}
}
