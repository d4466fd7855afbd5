package graphview_test

import (
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"refline/internal/errs"
	"refline/internal/graphview"
	"refline/internal/pipeline"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// build returns a pipeline of jobs named "stage/name", in the order given.
func build(jobs ...pipeline.Job) *pipeline.Pipeline {
	p := &pipeline.Pipeline{}
	for _, j := range jobs {
		j.Stage, j.Name, _ = strings.Cut(j.Name, "/")
		j.DAG = j.DAG || len(j.Needs) > 0
		if len(p.Stages) == 0 || p.Stages[len(p.Stages)-1] != j.Stage {
			p.Stages = append(p.Stages, j.Stage)
		}
		p.Jobs = append(p.Jobs, j)
	}
	return p
}

func needs(names ...string) []pipeline.Need {
	var list []pipeline.Need
	for _, n := range names {
		list = append(list, pipeline.Need{Job: n})
	}
	return list
}

// showcase is a pipeline that has everything a drawing can show.
func showcase() (*pipeline.Pipeline, pipeline.State) {
	p := build(
		pipeline.Job{Name: "build/compile: [linux, amd64]"},
		pipeline.Job{Name: "build/compile: [darwin, arm64]"},
		pipeline.Job{Name: "build/docs", DAG: true},
		pipeline.Job{Name: "test/unit", Needs: needs("compile: [linux, amd64]")},
		pipeline.Job{Name: "test/integration", Retry: pipeline.Retry{Max: 1}},
		pipeline.Job{Name: "test/lint", AllowFailure: true, Needs: needs("compile: [linux, amd64]")},
		pipeline.Job{Name: "test/report", Needs: needs("unit", "lint"), When: pipeline.WhenAlways},
		pipeline.Job{Name: "test/bench", ResourceGroup: "machine", DAG: true},
		pipeline.Job{Name: "test/soak", ResourceGroup: "machine", DAG: true},
		pipeline.Job{Name: "package/image", Needs: needs("compile: [linux, amd64]", "compile: [darwin, arm64]")},
		pipeline.Job{Name: "package/child", Downstream: &pipeline.Downstream{}, DAG: true},
		pipeline.Job{Name: "deploy/staging", Needs: needs("image", "unit"), Environment: &pipeline.Environment{Name: "staging"}},
		pipeline.Job{Name: "deploy/production", When: pipeline.WhenManual, Needs: needs("unit"), Environment: &pipeline.Environment{Name: "production"}},
		pipeline.Job{Name: "deploy/site", Needs: needs("docs"), When: pipeline.WhenDelayed, StartIn: pipeline.Duration(90 * time.Minute)},
		pipeline.Job{Name: "cleanup/page & <b>\"notify\"</b> everybody", When: pipeline.WhenOnFailure, Needs: needs("lint")},
		pipeline.Job{Name: "cleanup/sweep", When: pipeline.WhenAlways},
	)
	p.Name = "release & <ship>"
	s := pipeline.State{Status: pipeline.StatusRunning}
	for _, status := range strings.Fields("success success success success running failed running running waiting_for_resource success pending failed manual scheduled skipped created") {
		s.Jobs = append(s.Jobs, pipeline.JobState{Status: pipeline.Status(status), Attempt: 1})
	}
	s.Jobs[4].Attempt = 2
	s.Jobs[5].AllowFailure, s.Jobs[5].ExitCode = true, 1
	s.Jobs[11].ExitCode = 137
	s.Stages = []pipeline.Status{"success", "running", "pending", "failed", "created"}
	return p, s
}

func TestDrawings(t *testing.T) {
	t.Parallel()
	p, s := showcase()
	svg, err := graphview.SVG(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	withState, err := graphview.SVG(p, &s)
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]string{
		"showcase.mmd": graphview.Mermaid(p), "showcase.dot": graphview.DOT(p),
		"showcase.svg": svg, "showcase-state.svg": withState,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", name)
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), got); d != "" {
				t.Errorf("differs from %s; if intended, run with -update and look at it: %s", file, d)
			}
		})
	}
}

// drawPipeline returns a random pipeline. Names try to break out of the drawing.
func drawPipeline(t *rapid.T) *pipeline.Pipeline {
	name := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{
		`"]`, `</text><script>`, "`x`", "a\\", "]]>", "\x00\n\t", "end", "&amp;", strings.Repeat("長い名前", 40),
	}))
	when := rapid.SampledFrom([]pipeline.When{"on_success", "on_failure", "always", "manual", "delayed"})
	p := &pipeline.Pipeline{}
	for k := range rapid.IntRange(1, 4).Draw(t, "stages") {
		stage := name.Draw(t, "stage") + fmt.Sprint(k)
		p.Stages = append(p.Stages, stage)
		for range rapid.IntRange(1, 4).Draw(t, "jobs") {
			job := pipeline.Job{
				Name: name.Draw(t, "name") + fmt.Sprint(len(p.Jobs)), Stage: stage,
				When: when.Draw(t, "when"), AllowFailure: rapid.Bool().Draw(t, "allow_failure"), DAG: rapid.Bool().Draw(t, "dag"),
			}
			for _, other := range p.Jobs {
				if job.DAG && rapid.IntRange(0, 2).Draw(t, "need") == 0 {
					job.Needs = append(job.Needs, pipeline.Need{Job: other.Name})
				}
			}
			p.Jobs = append(p.Jobs, job)
		}
	}
	return p
}

func TestNamesStayInTheirPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPipeline(t)
		g, err := pipeline.NewGraph(p)
		if err != nil {
			t.Fatal(err)
		}
		s, _, err := g.Advance(pipeline.State{}, pipeline.Event{Kind: pipeline.EventCreate})
		if err != nil {
			t.Fatal(err)
		}
		for _, state := range []*pipeline.State{nil, &s} {
			svg, err := graphview.SVG(p, state)
			if err != nil {
				t.Fatal(err)
			}
			wellFormed(t, svg, len(p.Jobs))
		}
		lines := strings.Split(graphview.Mermaid(p), "\n")
		for _, line := range lines {
			if strings.Count(line, `"`)%2 != 0 || strings.Contains(line, "\\") {
				t.Fatalf("mermaid: %s", line)
			}
		}
		if dot := graphview.DOT(p); strings.Count(strings.ReplaceAll(strings.ReplaceAll(dot, `\\`, ""), `\"`, ""), `"`)%2 != 0 {
			t.Fatalf("dot: %s", dot)
		}
	})
}

// wellFormed reads the SVG as XML and counts the jobs.
func wellFormed(t *rapid.T, svg string, jobs int) {
	found := 0
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			if e.Name.Local == "script" {
				t.Fatal("a script in the drawing")
			}
			for _, a := range e.Attr {
				if a.Name.Local == "class" && strings.HasPrefix(a.Value, "job ") {
					found++
				}
				if strings.Contains(a.Value, "NaN") {
					t.Fatalf("%s=%q", a.Name.Local, a.Value)
				}
			}
		}
	}
	if found != jobs {
		t.Fatalf("%d jobs drawn, want %d", found, jobs)
	}
}

// Every look has a shape of its own: colours are not needed to tell them apart.
func TestMarksDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, look := range graphview.Looks() {
		shape := graphview.Mark(look)
		if other := seen[shape]; other != "" && !(look == "preparing" && other == "pending") {
			t.Errorf("%s and %s have the same mark", look, other)
		}
		seen[shape] = look
		ended := look == "success" || look == "failed" || look == "warned" || look == "canceled"
		if full := strings.Contains(shape, `class="cut"`); full != ended {
			t.Errorf("%s: full is %t, want %t", look, full, ended)
		}
	}
	if strings.Contains(graphview.Mark("failed"), "<circle") {
		t.Error("failed has the outline of success")
	}
}

// In a page the jobs are links, and a policy without inline styles holds.
func TestPageSVG(t *testing.T) {
	t.Parallel()
	p, s := showcase()
	svg, err := graphview.PageSVG(p, &s, func(i int) string { return fmt.Sprintf("/jobs/%d?a=1&b=2", i) })
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(svg, "<style") || strings.Contains(svg, "style=") || strings.Contains(svg, "xmlns") {
		t.Errorf("the drawing for a page has a style of its own: %s", svg)
	}
	if n := strings.Count(svg, "<a class=\"job "); n != len(p.Jobs) {
		t.Errorf("%d links, want %d", n, len(p.Jobs))
	}
	if !strings.Contains(svg, `href="/jobs/3?a=1&amp;b=2" aria-label="unit, success"`) {
		t.Errorf("no link with a name: %s", svg)
	}
}

func TestSVGRefusesInvalidPipelines(t *testing.T) {
	t.Parallel()
	if _, err := graphview.SVG(build(pipeline.Job{Name: "a/x", Needs: needs("x")}), nil); !errs.Is(err, errs.Invalid) {
		t.Errorf("got %v, want an Invalid error", err)
	}
	if svg, err := graphview.SVG(&pipeline.Pipeline{}, nil); err != nil || !strings.HasPrefix(svg, "<svg") {
		t.Errorf("an empty pipeline gives %q, %v", svg, err)
	}
}

// A pipeline of 10,000 jobs is drawn as a few, of which each knows which it stands for.
func TestFold(t *testing.T) {
	t.Parallel()
	p := &pipeline.Pipeline{Stages: []string{"a", "b"}}
	s := &pipeline.State{Status: "running", Stages: []pipeline.Status{"success", "running"}}
	add := func(stage, name string, status pipeline.Status, needs ...string) {
		j := pipeline.Job{Name: name, Stage: stage, DAG: len(needs) > 0}
		for _, n := range needs {
			j.Needs = append(j.Needs, pipeline.Need{Job: n})
		}
		p.Jobs, s.Jobs = append(p.Jobs, j), append(s.Jobs, pipeline.JobState{Status: status})
	}
	for i := range 5000 {
		add("a", fmt.Sprint("a", i), "success")
	}
	for i := range 4998 {
		add("b", fmt.Sprint("b", i), "success", fmt.Sprint("a", i), "broken")
	}
	add("b", "broken", "failed", "b1")
	add("b", "after", "created", "broken")
	name := func(look string) string { return look }
	got := graphview.Fold(p, s, 150, name)
	var names []string
	members := 0
	for i, j := range got.Pipeline.Jobs {
		names = append(names, strings.TrimRight(j.Name, "\u200b"))
		members += len(got.Jobs[i])
	}
	if d := cmp.Diff([]string{"5000 success", "4998 success", "broken", "after"}, names); d != "" || members != len(p.Jobs) {
		t.Errorf("%d members, %s", members, d)
	}
	if _, err := graphview.PageSVG(got.Pipeline, got.State, func(int) string { return "" }); err != nil {
		t.Error(err)
	}
	if few := graphview.Fold(p, s, 20000, name); few.Pipeline != p || len(few.Jobs) != len(p.Jobs) {
		t.Error("few jobs are folded")
	}
}
