package engine

import (
	"context"
	"strings"
	"testing"

	"refline/internal/cache"
	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
)

func TestNamesOfImagesThatAreEmpty(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		image    string
		services []string
		start    error
		says     []string
	}{
		{name: "image of one variable", image: "$UNSET", says: []string{`job "build"`, "image", `"$UNSET"`, "UNSET is not set", "--var UNSET=VALUE"}},
		{name: "image of two variables", image: "${UNSET}$EMPTY", says: []string{`"${UNSET}$EMPTY"`, "UNSET and EMPTY"}},
		{name: "service", image: "box:1", services: []string{"db:1", " $UNSET "}, says: []string{`job "build"`, "service 2", "UNSET"}},
		{name: "a part of a name", image: "registry.example.com/$UNSET:1", start: errs.E(errs.Invalid, "invalid reference format"),
			says: []string{"invalid reference format", "registry.example.com/$UNSET:1", "UNSET is not set"}},
		{name: "a part that is of no matter", image: "box:1$UNSET", start: errs.E(errs.NotFound, "no such image"), says: []string{"no such image"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			job := pipeline.Job{Name: "build", Script: []string{"true"}, Image: &pipeline.Image{Name: c.image}}
			for _, s := range c.services {
				job.Services = append(job.Services, pipeline.Service{Image: pipeline.Image{Name: s}})
			}
			h := newJob(t, job)
			h.fake.InContainer = true
			h.fake.OnStart = func(context.Context, executor.Spec) error { return c.start }
			h.in.Variables = []pipeline.Variable{{Name: "EMPTY"}}
			res := h.run()
			if res.Status != pipeline.StatusFailed || res.Err == nil {
				t.Fatalf("got %+v", res)
			}
			for _, want := range c.says {
				if !strings.Contains(res.Err.Error(), want) {
					t.Errorf("got %v, want %q in it", res.Err, want)
				}
			}
		})
	}
}

func TestWhatIsReadAfterAJob(t *testing.T) {
	t.Parallel()
	caches := func(paths ...string) []pipeline.Cache { return []pipeline.Cache{{Paths: paths}} }
	for _, c := range []struct {
		name    string
		job     pipeline.Job
		inPlace bool
		want    []string
	}{
		{name: "nothing", want: []string{}},
		{name: "in place", inPlace: true},
		{name: "untracked", job: pipeline.Job{Artifacts: &pipeline.Artifacts{Untracked: true}}},
		{name: "all", job: pipeline.Job{Artifacts: &pipeline.Artifacts{Paths: []string{"a", "**/*.o"}}}},
		{name: "the project's folder", job: pipeline.Job{Artifacts: &pipeline.Artifacts{Paths: []string{"$CI_PROJECT_DIR"}}}},
		{name: "paths, patterns, reports", job: pipeline.Job{Artifacts: &pipeline.Artifacts{
			Paths:   []string{"out/bin/", "$CI_PROJECT_DIR/out/bin/x", "./lib/*/y", "$EXPANDED", "../outside", "outer"},
			Reports: map[string][]string{"dotenv": {"v.env"}},
		}}, want: []string{"expanded", "lib", "out/bin", "outer", "v.env"}},
		{name: "a cache", job: pipeline.Job{Caches: caches("node_modules", ".cache/**")}, want: []string{".cache", "node_modules"}},
		{name: "a cache that is only read", job: pipeline.Job{Caches: []pipeline.Cache{{Paths: []string{"c"}, Policy: "pull"}}}, want: []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newJob(t, c.job)
			h.fake.InContainer = true
			h.in.Caches = cache.NewFolder(t.TempDir(), 1<<20)
			h.in.Variables = []pipeline.Variable{{Name: "EXPANDED", Value: "expanded/*"}}
			if c.inPlace {
				h.in.InPlace = t.TempDir()
			}
			h.run()
			same(t, h.fake.Asked()[0].Spec.Mounts[0].Back, c.want)
		})
	}
}
