package choice

import (
	"context"
	"errors"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
)

var errNoEngine = errs.E(errs.Unavailable, "no container engine")

// named is an executor that only has a name.
type named struct {
	executor.Executor
	name string
}

func (named) Close() error { return nil }

func options(t *testing.T, engine bool, notes *strings.Builder) Options {
	t.Helper()
	return Options{
		Named: Auto, Project: "/src/flows", State: t.TempDir(), NoEngine: errNoEngine,
		Notice: func(text string) { notes.WriteString(text + "\n") },
		Kinds: []executor.Kind{
			{Name: "process", Open: func(context.Context) (executor.Executor, error) { return named{name: "process"}, nil }},
			{Name: "docker", Isolated: true, Open: func(context.Context) (executor.Executor, error) {
				if !engine {
					return nil, errNoEngine
				}
				return named{name: "docker"}, nil
			}},
		},
	}
}

func never(string) bool { return false }

var (
	plain = pipeline.Job{Name: "plain"}
	image = pipeline.Job{Name: "image", Image: &pipeline.Image{Name: "alpine"}}
)

func TestWhereJobsRun(t *testing.T) {
	t.Parallel()
	yes := func(string) (bool, error) { return true, nil }
	no := func(string) (bool, error) { return false, nil }
	for name, tc := range map[string]struct {
		engine bool
		change func(*Options)
		jobs   []pipeline.Job
		ask    Ask
		want   string // executors of the jobs, or a part of the error
	}{
		"without an image":               {false, nil, []pipeline.Job{plain}, nil, "process"},
		"with an engine":                 {true, nil, []pipeline.Job{plain, image}, nil, "process docker"},
		"no engine and no terminal":      {false, nil, []pipeline.Job{image}, nil, "error: "},
		"no engine, yes":                 {false, nil, []pipeline.Job{image}, yes, "process"},
		"no engine, no":                  {false, nil, []pipeline.Job{image}, no, "error: "},
		"strict":                         {false, func(o *Options) { o.Strict = true }, []pipeline.Job{image}, yes, "error: "},
		"on this computer":               {true, func(o *Options) { o.Named = "process" }, []pipeline.Job{image}, nil, "process"},
		"in containers only":             {true, func(o *Options) { o.Named = "docker" }, []pipeline.Job{plain}, nil, "error: --executor docker: job plain has no image"},
		"an engine that does not answer": {false, func(o *Options) { o.Engine = "DOCKER_HOST" }, []pipeline.Job{image}, yes, "error: "},
		"a manual job decides nothing": {
			false, nil, []pipeline.Job{plain, {Name: "later", When: pipeline.WhenManual, Image: image.Image}}, nil, "process",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var notes strings.Builder
			o := options(t, tc.engine, &notes)
			if tc.change != nil {
				tc.change(&o)
			}
			x, err := Open(t.Context(), o, &pipeline.Pipeline{Jobs: tc.jobs}, never, tc.ask)
			defer x.Close() //nolint:staticcheck // what was opened is closed after an error too
			var got []string
			for i := range tc.jobs {
				if err != nil || tc.jobs[i].When == pipeline.WhenManual {
					break
				}
				var ex executor.Executor
				if ex, err = x.ForJob(t.Context(), &tc.jobs[i]); err == nil {
					got = append(got, ex.(named).name)
				}
			}
			text := strings.Join(got, " ")
			if err != nil {
				text = "error: " + err.Error()
			}
			if tc.want == "error: " && err == nil || !strings.HasPrefix(text, tc.want) {
				t.Errorf("got %q, want %q", text, tc.want)
			}
		})
	}
}

// An answer is remembered for the project, and only for it.
func TestAnswerIsRemembered(t *testing.T) {
	t.Parallel()
	var notes strings.Builder
	o := options(t, false, &notes)
	p := &pipeline.Pipeline{Jobs: []pipeline.Job{image}}
	asked := 0
	yes := func(string) (bool, error) { asked++; return true, nil }
	for range 2 {
		x, err := Open(t.Context(), o, p, never, yes)
		if err != nil {
			t.Fatal(err)
		}
		x.Close()
	}
	if asked != 1 {
		t.Errorf("asked %d times, want once", asked)
	}
	o.Project = "/src/other"
	failed := errors.New("interrupted")
	x, err := Open(t.Context(), o, p, never, func(string) (bool, error) { return false, failed })
	if !errors.Is(err, failed) {
		t.Errorf("another project: got %v, want the question's error", err)
	}
	x.Close()
}
