package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/store/storetest"
)

// million measures triggers, the API and the page beside many generated runs, on
// SQLite or on PostgreSQL.
func million(program, postgres string, runs int) (err error) {
	dir, err := os.MkdirTemp("", "refline-million-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	b := &bench{dir: dir, flows: map[string]api.Flow{}}
	address := filepath.Join(dir, "data", "refline.db")
	if postgres != "" {
		var drop func() error
		if b.database, drop, err = storetest.NewPostgres(postgres); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, drop()) }()
		address = b.database
	}
	kind := map[bool]string{true: "PostgreSQL", false: "SQLite"}[postgres != ""]
	if err := b.repository("small", map[string]string{"one.yml": "variables: {GIT_STRATEGY: none}\none: {script: ['echo a line']}\ntwo: {script: ['echo a line']}\n"}); err != nil {
		return err
	}
	// few and many are how many runs there are beside.
	var few, many time.Duration
	template := int64(0)
	for _, step := range []struct {
		first, end int
		took       *time.Duration
	}{{0, 1000, &few}, {1000, runs, &many}} {
		if template == 0 {
			if template, err = b.template(program); err != nil {
				return err
			}
		}
		took, err := timed(func() error {
			return storetest.Generate(context.Background(), address, storetest.Generated{First: step.first, Runs: step.end, Projects: 50, Flows: 20, Template: template})
		})
		if err != nil {
			return err
		}
		fmt.Printf("%s: %d runs, %d jobs generated in %s, %d MiB\n", kind, step.end-step.first, 2*(step.end-step.first), took.Round(time.Second), size(dir)>>20)
		if err := b.restart(program); err != nil {
			return err
		}
		if *step.took, err = b.triggers(); err != nil {
			return err
		}
		if step.end < runs {
			b.stop()
		}
	}
	defer b.stop()
	row(fmt.Sprintf("%s: a trigger beside %d runs, beside 1,000", kind, runs), many, few, "≤ 1.2×")
	return b.queries(kind, runs)
}

// template runs the flow once and ends the server.
func (b *bench) template(program string) (int64, error) {
	if _, err := b.start(program); err != nil {
		return 0, err
	}
	defer b.stop()
	if err := b.register("one"); err != nil {
		return 0, err
	}
	r, err := b.client.StartRun(context.Background(), api.RunInput{Project: b.flows["one"].Project, Flow: "one"})
	if err == nil {
		r, err = b.wait(r)
	}
	return r.ID, err
}

func (b *bench) restart(program string) error {
	_ = os.Remove(filepath.Join(b.dir, "data", "server.json"))
	_, err := b.start(program)
	return err
}

// triggers is the median time until a run is acknowledged.
func (b *bench) triggers() (time.Duration, error) {
	var all []time.Duration
	for range 60 {
		var r api.Run
		took, err := timed(func() (err error) {
			r, err = b.client.StartRun(context.Background(), api.RunInput{Project: b.flows["one"].Project, Flow: "one"})
			return err
		})
		if err != nil {
			return 0, err
		}
		all = append(all, took)
		if _, err := b.wait(r); err != nil {
			return 0, err
		}
	}
	return middle(all), nil
}

// queries measures each list of the API and each page with values at random.
func (b *bench) queries(kind string, runs int) error {
	token, err := os.ReadFile(filepath.Join(b.dir, "data", "owner-token"))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(1, 2))
	run := func() int64 { return 100_000 + random.Int64N(int64(runs)) }
	project := func() string { return fmt.Sprintf("group/project-%d", random.IntN(50)) }
	flow := func() url.Values {
		return url.Values{"project": {project()}, "flow": {fmt.Sprintf("flow-%d", random.IntN(20))}}
	}
	with := func(v url.Values, more ...string) url.Values {
		for i := 0; i < len(more); i += 2 {
			v.Set(more[i], more[i+1])
		}
		return v
	}
	ref := func() string { return fmt.Sprintf("feature-%d", random.IntN(97)) }
	in := func() url.Values { return url.Values{"project": {project()}} }
	lists := []struct {
		name string
		path func() string
	}{
		{"all", func() string { return "" }},
		{"project", func() string { return in().Encode() }},
		{"project, ref", func() string { return with(in(), "ref", ref()).Encode() }},
		{"project, rare status", func() string { return with(in(), "status", "manual").Encode() }},
		{"project, three statuses", func() string { return with(in(), "status", "failed,canceled,manual").Encode() }},
		{"project, ref, rare status", func() string { return with(in(), "ref", ref(), "status", "manual").Encode() }},
		{"project, ref, status that none has", func() string { return with(in(), "ref", "main", "status", "running").Encode() }},
		{"flow", func() string { return flow().Encode() }},
		{"flow, status", func() string { return with(flow(), "status", "failed").Encode() }},
		{"flow, ref", func() string { return with(flow(), "ref", "main").Encode() }},
		{"flow, ref that none has", func() string { return with(flow(), "ref", "none").Encode() }},
		{"ref alone", func() string { return with(url.Values{}, "ref", ref()).Encode() }},
		{"ref alone that none has", func() string { return with(url.Values{}, "ref", "none").Encode() }},
		{"ref alone, rare status", func() string { return with(url.Values{}, "ref", ref(), "status", "canceled").Encode() }},
		{"status", func() string { return with(url.Values{}, "status", "failed").Encode() }},
	}
	measure := func(name string, next func() string) error {
		const times = 200
		all := make([]time.Duration, 0, times)
		var worst string
		for range times {
			path := next()
			took, err := timed(func() error { return b.get(path, strings.TrimSpace(string(token))) })
			if err != nil {
				return err
			}
			if all = append(all, took); took == slices.Max(all) {
				worst = path
			}
		}
		slices.Sort(all)
		mark := ""
		if all[times*99/100] >= 50*time.Millisecond {
			mark = " !  slowest: " + worst
		}
		fmt.Printf("%-10s %-48s %8.1f %8.1f   < 50 ms%s\n", kind, name, ms(all[times/2]), ms(all[times*99/100]), mark)
		return nil
	}
	fmt.Printf("%-10s %-48s %8s %8s   aim of p99\n", "", "query", "p50 ms", "p99 ms")
	for _, l := range lists {
		for prefix, name := range map[string]string{"/api/v1/runs?": "API, runs: ", "/runs?": "page, runs: "} {
			if err := measure(name+l.name, func() string { return prefix + l.path() }); err != nil {
				return err
			}
		}
	}
	escaped := func() string { return url.PathEscape(project()) }
	for _, q := range []struct {
		name string
		path func() string
	}{
		{"API, run", func() string { return fmt.Sprintf("/api/v1/runs/%d", run()) }},
		{"API, details of a run", func() string { return fmt.Sprintf("/api/v1/runs/%d/detail", run()) }},
		{"API, overview", func() string { return "/api/v1/overview" }},
		{"API, overview of a project", func() string { return "/api/v1/overview?" + in().Encode() }},
		{"API, what waits", func() string { return "/api/v1/waiting" }},
		{"API, status", func() string { return "/api/v1/status" }},
		{"API, flows", func() string { return "/api/v1/flows" }},
		{"API, flows of a project", func() string { return "/api/v1/flows?" + in().Encode() }},
		{"API, projects", func() string { return "/api/v1/projects" }},
		{"API, environments", func() string { return "/api/v1/environments" }},
		{"metrics", func() string { return "/metrics" }},
		{"page, overview", func() string { return "/" }},
		{"page, overview of a project", func() string { return "/?" + in().Encode() }},
		{"page, run", func() string { return fmt.Sprintf("/runs/%d", run()) }},
		{"page, log of a job", func() string { return fmt.Sprintf("/runs/%d/jobs/one", run()) }},
		{"page, flows", func() string { return "/flows" }},
		{"page, flow", func() string { return fmt.Sprintf("/p/%s/-/flows/flow-%d", escaped(), random.IntN(20)) }},
		{"page, projects", func() string { return "/projects" }},
		{"page, project", func() string { return "/p/" + escaped() }},
		{"page, environments", func() string { return "/environments" }},
		{"page, runners", func() string { return "/runners" }},
	} {
		if err := measure(q.name, q.path); err != nil {
			return err
		}
	}
	return nil
}

// get reads an answer.
func (b *bench) get(path, token string) error {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, b.client.URL()+path, nil)
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if !strings.HasPrefix(path, "/api/") {
		r.Header.Set("Accept", "text/html")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", path, res.Status, text)
	}
	return err
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// size is how many bytes the files of a folder have.
func size(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}
