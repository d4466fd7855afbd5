package pipeline_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.yaml.in/yaml/v4"

	"refline/internal/pipeline"
	"refline/internal/pipelinetest"
)

// TestGitLabStateCases plays the state cases that GitLab publishes.
func TestGitLabStateCases(t *testing.T) {
	t.Parallel()
	files := stateCases(t)
	if len(files) < 38 {
		t.Fatalf("%d state cases, want at least 38", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			p, c := readStateCase(t, file)
			if len(c.Init.Expect.Jobs) == 0 {
				t.Fatal("a case without jobs tests nothing")
			}
			for _, d := range c.Check(p) {
				t.Error(d)
			}
		})
	}
}

// TestGitLabStateCasesCanFail makes sure that the test above compares statuses:
// each case with one wrong expectation must report exactly that one.
func TestGitLabStateCasesCanFail(t *testing.T) {
	t.Parallel()
	for _, file := range stateCases(t) {
		p, c := readStateCase(t, file)
		c.Init.Expect.Pipeline = "no such status"
		if got := c.Check(p); len(got) != 1 || got[0].Kind != "pipeline" {
			t.Errorf("%s: got %v, want one difference of the pipeline", filepath.Base(file), got)
		}
	}
}

func stateCases(t *testing.T) []string {
	t.Helper()
	root := os.Getenv("REFLINE_CONFORMANCE")
	if root == "" {
		t.Skip("REFLINE_CONFORMANCE is not set; it is the folder with gitlab/pipeline_processing/*.yml")
	}
	files, err := filepath.Glob(filepath.Join(root, "gitlab", "pipeline_processing", "*.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// readStateCase reads a case and compiles the part of the dialect that the cases use.
func readStateCase(t *testing.T, file string) (*pipeline.Pipeline, pipelinetest.Case) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var doc struct {
		Config            yaml.Node
		pipelinetest.Case `yaml:",inline"`
	}
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	p := &pipeline.Pipeline{}
	stages := []string{".pre", "build", "test", "deploy", ".post"}
	for i := 0; i < len(doc.Config.Content); i += 2 {
		name, value := doc.Config.Content[i].Value, doc.Config.Content[i+1]
		switch name {
		case "stages":
			decode(t, value, &stages)
		case "workflow":
			var w struct {
				AutoCancel struct {
					OnJobFailure string `yaml:"on_job_failure"`
				} `yaml:"auto_cancel"`
			}
			decode(t, value, &w)
			p.AutoCancel.OnJobFailure = w.AutoCancel.OnJobFailure
		default:
			if job, ok := readJob(t, name, value); ok {
				p.Jobs = append(p.Jobs, job)
			}
		}
	}
	for _, s := range stages {
		if slices.ContainsFunc(p.Jobs, func(j pipeline.Job) bool { return j.Stage == s }) {
			p.Stages = append(p.Stages, s)
		}
	}
	return p, doc.Case
}

func readJob(t *testing.T, name string, value *yaml.Node) (pipeline.Job, bool) {
	t.Helper()
	raw := struct {
		Stage        string
		When         pipeline.When
		AllowFailure *bool `yaml:"allow_failure"`
		Needs        *[]yaml.Node
		Rules        []struct{ If string }
	}{Stage: "test", When: pipeline.WhenOnSuccess}
	decode(t, value, &raw)
	if len(raw.Rules) > 0 {
		return pipeline.Job{}, false // the cases have rules that never match
	}
	job := pipeline.Job{Name: name, Stage: raw.Stage, When: raw.When, AllowFailure: raw.When == pipeline.WhenManual}
	if raw.AllowFailure != nil {
		job.AllowFailure = *raw.AllowFailure
	}
	if raw.Needs != nil {
		job.DAG = true
		for _, n := range *raw.Needs {
			need := pipeline.Need{Job: n.Value}
			if n.Kind == yaml.MappingNode {
				decode(t, &n, &need)
			}
			job.Needs = append(job.Needs, need)
		}
	}
	return job, true
}

func decode(t *testing.T, n *yaml.Node, to any) {
	t.Helper()
	if err := n.Decode(to); err != nil {
		t.Fatal(err)
	}
}
