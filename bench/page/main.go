// Page measures the web page with much to show: 100,000 runs in the list, a run of 10,000
// jobs, and a log of 1 GiB with colours and a line of 10 MiB. It prints how long the server
// takes, how many bytes it sends, and when Chromium paints first.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/executor"
	"refline/internal/executor/process"
	"refline/internal/logfile"
	"refline/internal/runner"
	"refline/internal/server"
	"refline/internal/store/storetest"
)

func main() {
	runs := flag.Int("runs", 100_000, "runs in the list")
	jobs := flag.Int("jobs", 10_000, "jobs of one run, in steps of 200")
	size := flag.Int64("log", 1<<30-32<<20, "bytes of the log")
	flag.Parse()
	if err := measure(*runs, *jobs, *size); err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

const pipelineOf = `
small: {script: [echo a line]}
`

// wide has jobs that wait for a person, so that nothing has to run.
func wide(jobs int) string {
	var out strings.Builder
	for n := range jobs / 200 {
		fmt.Fprintf(&out, "job%d: {script: [echo], when: manual, parallel: 200}\n", n)
	}
	return out.String()
}

type bench struct {
	dir, repo string
	url       string
	client    *api.Client
	token     string
	end       func()
}

func measure(runs, jobs int, size int64) (err error) {
	b := &bench{}
	if b.dir, err = os.MkdirTemp("", "refline-page-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	if err := b.repository(map[string]string{"small.yml": pipelineOf, "wide.yml": wide(jobs)}); err != nil {
		return err
	}
	if err := b.open(); err != nil {
		return err
	}
	defer func() { b.end() }()
	small, err := b.run("small.yml")
	if err != nil {
		return err
	}
	many, err := b.run("wide.yml")
	if err != nil {
		return err
	}
	if err := b.print(small, jobs, size); err != nil {
		return err
	}
	b.end()
	if err := storetest.Generate(context.Background(), filepath.Join(b.dir, "data", "refline.db"), storetest.Generated{Runs: runs, Projects: 50, Flows: 20, Template: small.ID}); err != nil {
		return err
	}
	if err := b.open(); err != nil {
		return err
	}
	log := fmt.Sprintf("/runs/%d/jobs/small", small.ID)
	fmt.Printf("%d runs, a run of %d jobs, a log of %d MiB with a line of 10 MiB\n", runs, jobs, size>>20)
	fmt.Printf("%-34s %10s %10s %12s\n", "", "server", "KB", "first paint")
	for _, p := range []struct{ name, path string }{
		{"overview", "/"}, {"runs", "/runs"}, {"runs, failed", "/runs?q=status:failed"}, {"run of many jobs", fmt.Sprintf("/runs/%d", many.ID)},
		{"log, its end", log}, {"log, from the middle", log + "?from=4000000"}, {"log, a search without a match", log + "?q=nothing-like-this"}, {"log, errors", log + "?marks=1"},
	} {
		if err := b.page(p.name, p.path); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (b *bench) repository(files map[string]string) error {
	b.repo = filepath.Join(b.dir, "repo")
	if err := os.MkdirAll(b.repo, 0o700); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(b.repo, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "one"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = b.repo
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

// open starts the server, with a runner.
func (b *bench) open() error {
	ctx, cancel := context.WithCancel(context.Background())
	data := filepath.Join(b.dir, "data")
	s, err := server.Open(ctx, server.Options{Data: data, Version: "bench", AllowFile: true, Log: slog.New(slog.DiscardHandler), Environ: os.Environ()})
	if err != nil {
		cancel()
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return errors.Join(err, s.Close())
	}
	var work sync.WaitGroup
	work.Go(func() { _ = s.Run(ctx, l) })
	token, err := s.LocalRunner(ctx)
	if err == nil {
		work.Go(func() {
			_ = runner.Run(ctx, runner.Options{
				URL: "http://server", Token: func() string { return token }, Transport: s.Transport(), Embedded: true, Name: "local", Slots: 2,
				Dir: filepath.Join(b.dir, "runner"), AllowFile: true, AllowHTTP: true, Grace: time.Second, Notice: func(string) {},
				Kinds:   []executor.Kind{{Name: "process", Open: func(context.Context) (executor.Executor, error) { return process.New(), nil }}},
				Environ: []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir},
			})
		})
	}
	b.url = "http://" + l.Addr().String()
	b.end = sync.OnceFunc(func() { cancel(); work.Wait(); _ = s.Close() })
	owner, readErr := os.ReadFile(filepath.Join(data, server.OwnerTokenFile))
	b.token = strings.TrimSpace(string(owner))
	var clientErr error
	b.client, clientErr = api.NewClient(b.url, b.token, http.DefaultTransport)
	return errors.Join(err, readErr, clientErr)
}

// run runs a file, until it ends or waits for a person.
func (b *bench) run(file string) (api.Run, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	f, err := b.client.RegisterFlow(ctx, api.FlowInput{Repository: "file://" + b.repo, Path: file, Ref: "main", RefKind: "branch"})
	if err != nil {
		return api.Run{}, err
	}
	r, err := b.client.StartRun(ctx, api.RunInput{Project: f.Flow.Project, Flow: f.Flow.Name})
	for err == nil && r.Finished.IsZero() && r.Status != "manual" {
		r, err = b.client.WaitRunEnd(ctx, r.ID)
	}
	return r, err
}

// print replaces the log of a run's job by a large one.
func (b *bench) print(r api.Run, jobs int, size int64) error {
	b.end()
	logs, err := logfile.Open(server.LogFolder(filepath.Join(b.dir, "data")), size+64<<20, time.Now)
	if err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(server.LogFolder(filepath.Join(b.dir, "data")), fmt.Sprint(r.ID), "*"))
	if err != nil || len(found) == 0 {
		return fmt.Errorf("run %d of %d jobs has no log: %w", r.ID, jobs, err)
	}
	id := logfile.ID{Run: r.ID}
	if _, err := fmt.Sscanf(filepath.Base(found[0]), "%d", &id.Attempt); err != nil {
		return err
	}
	for _, path := range found {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	var at int64
	out := bufio.NewWriterSize(writer(func(p []byte) (int, error) {
		_, err := logs.Append(id, at, p)
		at += int64(len(p))
		return len(p), err
	}), 1<<20)
	for n := 0; at < size; n++ {
		fmt.Fprintf(out, "\x1b[32m%08d\x1b[0m copied a part of the table\rcopied %d rows of it, and then another line of the usual length\n", n, n*100)
		if n == 1_000_000 {
			fmt.Fprintln(out, strings.Repeat("x", 10<<20))
		}
	}
	fmt.Fprintln(out, "\x1b[31merror: the last line\x1b[0m")
	return errors.Join(out.Flush(), logs.Finish(id), logs.Close(), b.open())
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// page prints what one page costs: the middle of five times, after one more.
func (b *bench) page(name, path string) error {
	var times []time.Duration
	bytes := int64(0)
	for range 6 {
		req, err := http.NewRequest(http.MethodGet, b.url+path, nil)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+b.token)
		req.Header.Set("Accept-Encoding", "gzip")
		began := time.Now()
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			return err
		}
		bytes, err = io.Copy(io.Discard, resp.Body)
		if err = errors.Join(err, resp.Body.Close()); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("the server answered %s", resp.Status)
		}
		times = append(times, time.Since(began))
	}
	paint, err := b.paint(path)
	if err != nil {
		return err
	}
	fmt.Printf("%-34s %7d ms %10.1f %12s\n", name, middle(times[1:]).Milliseconds(), float64(bytes)/1000, paint)
	return nil
}
