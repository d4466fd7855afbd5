package localrun

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"refline/internal/pipeline"
)

// Every job before the last writes its name into a file of its own and into one
// that all share; the last one shows what it got, and who came last.
func TestWhichArtifactsAJobTakes(t *testing.T) {
	t.Parallel()
	keep := &pipeline.Artifacts{Paths: []string{"of-*", "shared"}}
	before := func(change func(jobs []pipeline.Job), last pipeline.Job) []pipeline.Job {
		jobs := []pipeline.Job{
			{Name: "a/x", Artifacts: keep}, {Name: "a/y: [1]", Base: "y", Artifacts: keep}, {Name: "a/y: [2]", Base: "y", Artifacts: keep},
			{Name: "b/z", Artifacts: keep, Dependencies: &[]string{}}, {Name: "b/bare"},
		}
		if change != nil {
			change(jobs)
		}
		last.Name = "c/last"
		return append(jobs, last)
	}
	deps := func(names ...string) *[]string { return &names }
	tests := []struct {
		name   string
		change func(jobs []pipeline.Job)
		last   pipeline.Job
		want   string // jobs, then who wrote the shared file
	}{
		{"of all earlier stages, the later ones last", nil, pipeline.Job{}, "x y: [1] y: [2] z | z"},
		{"of dependencies, in the pipeline's order", nil, pipeline.Job{Dependencies: deps("z", "x")}, "x z | z"},
		{"of a dependency's parallel jobs", nil, pipeline.Job{Dependencies: deps("y")}, "y: [1] y: [2] | y: [2]"},
		{"of one of them", nil, pipeline.Job{Dependencies: deps("y: [1]")}, "y: [1] | y: [1]"},
		{"of none", nil, pipeline.Job{Dependencies: deps()}, " | "},
		{"of needs, in the pipeline's order", nil, pipeline.Job{Needs: needing("z", "x")}, "x z | z"},
		{"not of needs without artifacts", nil, pipeline.Job{Needs: []pipeline.Need{{Job: "z"}, {Job: "x", Artifacts: true}}}, "x | x"},
		{"of no needs", nil, pipeline.Job{DAG: true}, " | "},
		{"not of dependencies that are no needs", nil, pipeline.Job{DAG: true, Dependencies: deps("z")}, " | "},
		{"not of dependencies whose artifacts are not needed", nil, pipeline.Job{Needs: []pipeline.Need{{Job: "z"}, {Job: "x", Artifacts: true}}, Dependencies: deps("z")}, " | "},
		{"of dependencies among needs", nil, pipeline.Job{Needs: needing("z", "x"), Dependencies: deps("z")}, "z | z"},
		{"not of jobs that were not run", func(jobs []pipeline.Job) { jobs[3].When, jobs[3].AllowFailure = pipeline.WhenManual, true }, pipeline.Job{}, "x y: [1] y: [2] | y: [2]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newRun(t, before(tt.change, tt.last)...)
			h.in.Slots = make(chan struct{}, 1) // in order
			for _, j := range h.in.Pipeline.Jobs {
				h.scripts[j.Name] = func(_ context.Context, c fakeCommand) (int, error) {
					plantIn(t, c.Workspace(), files{"of-" + j.Name: "", "shared": j.Name})
					return 0, nil
				}
			}
			var got string
			h.scripts["last"] = func(_ context.Context, c fakeCommand) (int, error) {
				var names []string
				content := harvest(t, c.Workspace())
				for name := range content {
					if job, ok := strings.CutPrefix(name, "of-"); ok {
						names = append(names, job)
					}
				}
				slices.Sort(names)
				got = strings.Join(names, " ") + " | " + content["shared"]
				return 0, nil
			}
			if res := h.run(); res.Status != pipeline.StatusSuccess || got != tt.want {
				t.Errorf("%s: got %q, want %q", res.Status, got, tt.want)
			}
		})
	}
}

func TestArtifactsOfAFailedJob(t *testing.T) {
	t.Parallel()
	h := newRun(t,
		pipeline.Job{Name: "a/x", AllowFailure: true, Artifacts: &pipeline.Artifacts{Paths: []string{"f"}, When: pipeline.WhenOnFailure}},
		pipeline.Job{Name: "a/y", AllowFailure: true, Artifacts: &pipeline.Artifacts{Paths: []string{"g"}}},
		pipeline.Job{Name: "b/z"})
	for _, name := range []string{"x", "y"} {
		h.scripts[name] = func(_ context.Context, c fakeCommand) (int, error) {
			plantIn(t, c.Workspace(), files{"f": "", "g": ""})
			return 1, nil
		}
	}
	var got files
	h.scripts["z"] = func(_ context.Context, c fakeCommand) (int, error) { got = harvest(t, c.Workspace()); return 0, nil }
	res := h.run()
	same(t, got, files{"README": "of the repository", "f": ""})
	if res.Jobs[0].Artifacts == "" || res.Jobs[1].Artifacts != "" || res.Jobs[2].Artifacts != "" {
		t.Errorf("kept %q, %q, %q", res.Jobs[0].Artifacts, res.Jobs[1].Artifacts, res.Jobs[2].Artifacts)
	}
}

// By precedence: what is below the job, the job's yaml, dotenv reports of
// earlier jobs (a later job over an earlier one), what is above.
func TestPrecedenceOfVariables(t *testing.T) {
	t.Parallel()
	report := &pipeline.Artifacts{Reports: map[string][]string{"dotenv": {"out.env"}}}
	all := func(value string, names ...string) (vars []pipeline.Variable) {
		for _, n := range names {
			vars = append(vars, pipeline.Variable{Name: n, Value: value})
		}
		return vars
	}
	last := pipeline.Job{Name: "b/last", Variables: append(all("yaml", "B", "C", "D", "E"), pipeline.Variable{Name: "TEXT", Value: "c is $C"})}
	h := newRun(t, pipeline.Job{Name: "a/one", Artifacts: report}, pipeline.Job{Name: "a/two", Artifacts: report}, last,
		pipeline.Job{Name: "b/alone", Variables: last.Variables, Dependencies: &[]string{"one"}},
		pipeline.Job{Name: "b/none", Variables: last.Variables, Dependencies: &[]string{}})
	h.in.Variables = func(j *pipeline.Job) (below, above []pipeline.Variable) {
		return append(all("below", "A", "B", "C", "D", "E", "CI_JOB_STATUS"), pipeline.Variable{Name: "CI_JOB_NAME", Value: j.Name, Raw: true}),
			all("above", "E")
	}
	for name, text := range map[string]string{"one": "C=one\nD=one\nE=one\n", "two": "D=two\n"} {
		h.scripts[name] = func(_ context.Context, c fakeCommand) (int, error) {
			return 0, os.WriteFile(filepath.Join(c.Workspace(), "out.env"), []byte(text), 0o644)
		}
	}
	if res := h.run(); res.Status != pipeline.StatusSuccess {
		t.Fatal(h.statuses(res))
	}
	want := map[string]string{
		"last":  "below yaml one two above c is one below",
		"alone": "below yaml one one above c is one below",
		"none":  "below yaml yaml yaml above c is yaml below",
	}
	got := map[string]string{}
	for _, c := range h.fake.Asked() {
		if name := c.Var("CI_JOB_NAME"); want[name] != "" {
			got[name] = strings.Join([]string{c.Var("A"), c.Var("B"), c.Var("C"), c.Var("D"), c.Var("E"), c.Var("TEXT"), c.Var("CI_JOB_STATUS")}, " ")
		}
	}
	same(t, got, want)
}

func TestDotenvReportThatCannotBeRead(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/x", Artifacts: &pipeline.Artifacts{Reports: map[string][]string{"dotenv": {"out.env"}}}}, pipeline.Job{Name: "b/y"})
	h.scripts["x"] = func(_ context.Context, c fakeCommand) (int, error) {
		return 0, os.WriteFile(filepath.Join(c.Workspace(), "out.env"), []byte("A=1\n\nnonsense\n"), 0o644)
	}
	res := h.run()
	if got, want := h.statuses(res), "x=failed y=skipped → failed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	log := h.log(res, "x")
	for _, want := range []string{"out.env", "line 2", "line 3"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}
