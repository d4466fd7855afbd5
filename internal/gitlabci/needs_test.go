package gitlabci

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/pipeline"
)

const needsBase = `
stages: [build, test, deploy]
a: {stage: build, script: x}
b: {stage: build, script: x, parallel: 2}
m: {stage: build, script: x, parallel: {matrix: [{OS: [linux, mac], V: [1, 2]}, {OS: bsd, V: 3}]}}
gone: {stage: build, script: x, rules: [{when: never}]}
later: {stage: deploy, script: x}
`

func TestNeeds(t *testing.T) {
	t.Parallel()
	need := func(names ...string) []pipeline.Need {
		var list []pipeline.Need
		for _, n := range names {
			list = append(list, pipeline.Need{Job: n, Artifacts: true})
		}
		return list
	}
	tests := map[string]struct {
		needs string
		want  []pipeline.Need
	}{
		"a job":              {"[a]", need("a")},
		"none":               {"[]", nil},
		"lists in the list":  {"[[a], [[later2]]]", need("a", "later2")},
		"one map":            {"{job: a}", need("a")},
		"no artifacts":       {"[{job: a, artifacts: false}]", []pipeline.Need{{Job: "a"}}},
		"all of a parallel":  {"[b]", need("b 1/2", "b 2/2")},
		"one of a parallel":  {"['b 2/2']", need("b 2/2")},
		"all of a matrix":    {"[m]", need("m: [linux, 1]", "m: [linux, 2]", "m: [mac, 1]", "m: [mac, 2]", "m: [bsd, 3]")},
		"one of a matrix":    {"['m: [mac, 1]']", need("m: [mac, 1]")},
		"some of a matrix":   {"[{job: m, parallel: {matrix: [{OS: [linux, mac], V: 2}, {OS: bsd, V: 3}]}}]", need("m: [linux, 2]", "m: [mac, 2]", "m: [bsd, 3]")},
		"same stage":         {"[later2]", need("later2")},
		"optional, there":    {"[{job: a, optional: true}]", []pipeline.Need{{Job: "a", Artifacts: true, Optional: true}}},
		"optional, left out": {"[{job: gone, optional: true}]", nil},
		"optional, nowhere":  {"[{job: nowhere, optional: true}]", nil},
		"another project": {
			"[{project: g/p, job: j, ref: main, artifacts: true}]",
			[]pipeline.Need{{Project: "g/p", Job: "j", Ref: "main", Artifacts: true}},
		},
		"another pipeline": {
			"[{pipeline: $PARENT_PIPELINE_ID, job: j}]",
			[]pipeline.Need{{Pipeline: "$PARENT_PIPELINE_ID", Job: "j", Artifacts: true}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := mustCompile(t, needsBase+"later2: {stage: test, script: x}\njob: {stage: test, script: x, needs: "+tt.needs+"}")
			job := p.Job("job")
			if diff := cmp.Diff(tt.want, job.Needs); diff != "" || !job.DAG {
				t.Errorf("DAG %v, -want +got:\n%s", job.DAG, diff)
			}
		})
	}
}

func TestNeedsThatAreWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"no such job":      {"job: {stage: test, script: x, needs: [aa]}", `9:39: error: job "job" needs "aa", which is not a job; did you mean "a"?`},
		"the job itself":   {"job: {stage: test, script: x, needs: [job]}", `9:39: error: job "job": needs names the job itself`},
		"twice":            {"job: {stage: test, script: x, needs: [a, a]}", `9:42: error: job "job": needs names "a" twice`},
		"twice by matrix":  {"job: {stage: test, script: x, needs: [b, 'b 1/2']}", `9:42: error: job "job": needs names "b 1/2" twice`},
		"a later stage":    {"job: {stage: test, script: x, needs: [later]}", `9:39: error: job "job": needs names "later", whose stage "deploy" comes after "test"`},
		"left out":         {"job: {stage: test, script: x, needs: [gone]}", `9:39: error: job "job" needs "gone", which is not in this pipeline; its rules leave it out; add optional: true to the need, or give both the same rules`},
		"not in a matrix":  {"job: {stage: test, script: x, needs: [{job: m, parallel: {matrix: [{OS: mac, V: 7}]}}]}", `9:39: error: job "job" needs "m: [mac, 7]", which is not a job`},
		"order of keys":    {"job: {stage: test, script: x, needs: [{job: m, parallel: {matrix: [{V: 1, OS: mac}]}}]}", `9:39: error: job "job" needs "m: [1, mac]", which is not a job`},
		"a string":         {"job: {stage: test, script: x, needs: a}", `9:38: error: job "job": needs must be a list, not the string "a"; write ["a"]`},
		"no ref":           {"job: {stage: test, script: x, needs: [{project: g/p, job: j}]}", `9:39: error: job "job": needs:ref is missing`},
		"a pipeline alone": {"job: {stage: test, script: x, needs: [{pipeline: g/p}]}", `9:39: error: job "job": needs names a pipeline without a job, which is allowed only in a job without a script`},
		"in rules":         {"job: {stage: test, script: x, rules: [{if: $X, needs: [aaa]}]}", `9:56: error: job "job" needs "aaa", which is not a job`},
		"a circle":         {"job: {stage: test, script: x, needs: [two]}\ntwo: {stage: test, script: x, needs: [three]}\nthree: {stage: test, script: x, needs: [job]}", `11:40: error: job "three": needs form a cycle: job needs two needs three needs job`},
		"not among needs":  {"job: {stage: test, script: x, needs: [a], dependencies: [b]}", `9:58: error: job "job": dependencies names "b", which is not among its needs; add it to needs, or leave it out here`},
		"no dependency":    {"job: {stage: test, script: x, dependencies: [latr]}", `9:46: error: job "job" depends on "latr", which is not a job; did you mean "later"?`},
		"a later one":      {"job: {stage: test, script: x, dependencies: [later]}", `9:46: error: job "job": dependencies names "later", whose stage "deploy" comes after "test"`},
		"of a matrix":      {"job: {stage: test, script: x, needs: [{job: a, parallel: {matrix: [{OS: ['$[[ matrix.NOPE ]]']}]}}, '$[[ matrix.NOPE ]]']}", `9:101: error: job "job": needs names matrix.NOPE, which its matrix does not have` + "\n" + `9:101: error: job "job" needs "$[[ matrix.NOPE ]]", which is not a job`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := said(compiled(t, needsBase+"\n"+tt.text)); got != tt.want {
				t.Errorf("said\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestMatrixExpressionsMapJobsToJobs(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
build: {stage: build, script: x, parallel: {matrix: [{OS: [a, b], V: [1, 2]}]}}
test:
  stage: test
  script: x
  parallel: {matrix: [{OS: [a, b], V: [1, 2]}]}
  needs:
    - job: build
      parallel: {matrix: [{OS: ['$[[ matrix.OS ]]'], V: '$[[ matrix.V ]]'}]}
`)
	for _, j := range p.Jobs[4:] {
		want := []pipeline.Need{{Job: strings.Replace(j.Name, "test", "build", 1), Artifacts: true}}
		if diff := cmp.Diff(want, j.Needs); diff != "" {
			t.Errorf("%s: %s", j.Name, diff)
		}
	}
}

func TestNeedsAreLimited(t *testing.T) {
	t.Parallel()
	text := "a: {stage: build, script: x, parallel: 51}\njob: {stage: test, script: x, needs: [a]}"
	want := `2:39: error: job "job": needs may name at most 50 jobs`
	if got := said(compiled(t, text)); got != want {
		t.Errorf("said %s, want %s", got, want)
	}
	if got := said(compiled(t, strings.Replace(text, "51", "50", 1))); got != "" {
		t.Errorf("50 needs: %s", got)
	}
}

func TestDependencies(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, needsBase+`
none: {stage: test, script: x, dependencies: []}
some: {stage: test, script: x, dependencies: [a, b, gone]}
all: {stage: test, script: x}
`)
	if d := p.Job("all").Dependencies; d != nil {
		t.Errorf("all: %v, want nil", *d)
	}
	if d := p.Job("none").Dependencies; d == nil || len(*d) != 0 {
		t.Errorf("none: %v, want an empty list", d)
	}
	if diff := cmp.Diff(&[]string{"a", "b 1/2", "b 2/2"}, p.Job("some").Dependencies); diff != "" {
		t.Error(diff)
	}
}

func TestUpstreamStatus(t *testing.T) {
	t.Parallel()
	res := compiled(t, "mirror: {needs: {pipeline: group/other}}")
	wantSaid := `1:17: warning: job "mirror" mirrors the pipeline of project "group/other", which needs a server: it fails when it is run here`
	if got := said(res); got != wantSaid || res.Pipeline == nil {
		t.Fatalf("said %s\nwant %s", got, wantSaid)
	}
	p := res.Pipeline
	if got := p.Job("mirror").Downstream; got == nil || got.Project != "group/other" || got.Strategy != "mirror" {
		t.Errorf("the trigger is %+v: as a job without commands it would pass", got)
	}
	want := []pipeline.Need{{Pipeline: "group/other", Artifacts: true}}
	if diff := cmp.Diff(want, p.Job("mirror").Needs); diff != "" || p.Job("mirror").DAG {
		t.Errorf("DAG %v %s", p.Job("mirror").DAG, diff)
	}
}

func TestParallel(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
n: {script: x, parallel: 3}
m: {script: x, variables: {OS: none, KEEP: k}, parallel: {matrix: [{OS: [linux, mac], V: [1, two]}, {ONLY: 7}]}}
one: {script: x, parallel: 1}
same: {script: x, parallel: {matrix: [{A: x, B: z}, {A: x, B: z}, {A: y, B: z}]}}
`)
	type row struct {
		Name, Base   string
		Index, Total int
		Variables    string
	}
	var got []row
	for _, j := range p.Jobs {
		var vars []string
		for _, v := range j.Variables {
			vars = append(vars, v.Name+"="+v.Value)
		}
		got = append(got, row{j.Name, j.Base, j.Index, j.Total, strings.Join(vars, " ")})
	}
	want := []row{
		{"n 1/3", "n", 1, 3, ""}, {"n 2/3", "n", 2, 3, ""}, {"n 3/3", "n", 3, 3, ""},
		{"m: [linux, 1]", "m", 1, 5, "OS=linux KEEP=k V=1"},
		{"m: [linux, two]", "m", 2, 5, "OS=linux KEEP=k V=two"},
		{"m: [mac, 1]", "m", 3, 5, "OS=mac KEEP=k V=1"},
		{"m: [mac, two]", "m", 4, 5, "OS=mac KEEP=k V=two"},
		{"m: [7]", "m", 5, 5, "OS=none KEEP=k ONLY=7"},
		{"one 1/1", "one", 1, 1, ""},
		{"same: [x, z]", "same", 2, 3, "A=x B=z"},
		{"same: [y, z]", "same", 3, 3, "A=y B=z"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestParallelIsLimited(t *testing.T) {
	t.Parallel()
	list := "[" + strings.TrimSuffix(strings.Repeat("x,", 15), ",") + "]"
	for text, want := range map[string]string{
		"j: {script: x, parallel: 201}":                                                `1:26: error: job "j": parallel must be a number from 1 to 200, not 201`,
		"j: {script: x, parallel: {matrix: [{A: " + list + ", B: " + list + "}]}}":     `1:35: error: job "j": parallel:matrix makes more than 200 jobs`,
		"j: {script: x, parallel: {matrix: [{A: [1.5]}]}}":                             `1:41: error: job "j": parallel:matrix:A must be a string, a whole number or a list of them, not the number 1.5; put it in quotes: "1.5"`,
		"j: {script: x, parallel: {matrix: [{A: []}]}}":                                `1:40: error: job "j": parallel:matrix:A must not be empty`,
		"j: {script: x, parallel: {matrx: [{A: [1]}]}}":                                `1:26: error: job "j": parallel:matrix is missing` + "\n" + `1:27: error: "matrx" is not a keyword of parallel in job "j"; did you mean "matrix"?`,
		"j: {trigger: g/p, parallel: 2}":                                               `1:29: error: job "j": parallel must be a matrix in a trigger job`,
		"j: {script: x, parallel: {matrix: [" + strings.Repeat("{A: 1},", 201) + "]}}": `1:35: error: job "j": parallel:matrix makes more than 200 jobs`,
	} {
		t.Run(strconv.Itoa(len(text)), func(t *testing.T) {
			t.Parallel()
			if got := said(compiled(t, text)); got != want {
				t.Errorf("said\n%s\nwant\n%s", got, want)
			}
		})
	}
}
