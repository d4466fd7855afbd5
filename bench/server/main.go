// Command server measures a server with its embedded runner beside bash alone: how
// long it takes to start, from a trigger to the end of a run, chains, parallel jobs,
// many small runs, and a flow by branch with its checkout. Absolute times say
// little; the ratios are taken in one run.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

func main() {
	refline := flag.String("refline", "bin/refline", "the program")
	rounds := flag.Int("rounds", 15, "rounds of the small measurements; the median counts")
	files := flag.Int("files", 10000, "files of the large repository")
	runs := flag.Int("million", 0, "instead measure beside this many generated runs, such as 1000000")
	postgres := flag.String("postgres", "", "URL of a PostgreSQL whose user may create databases; with -million it is measured instead of SQLite")
	flag.Parse()
	var err error
	if *runs > 0 {
		err = million(*refline, *postgres, *runs)
	} else {
		err = measure(*refline, *postgres, *rounds, *files)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// bench is a server at work and the repositories of its flows.
type bench struct {
	dir      string
	rounds   int
	database string // "" for SQLite
	client   *api.Client
	server   *exec.Cmd
	flows    map[string]api.Flow
}

const chainJobs = 100

func measure(program, postgres string, rounds, files int) error {
	dir, err := os.MkdirTemp("", "refline-server-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if program, err = filepath.Abs(program); err != nil {
		return err
	}
	b := &bench{dir: dir, rounds: rounds, flows: map[string]api.Flow{}}
	if err := b.repositories(files); err != nil {
		return err
	}
	ready, err := b.start(program)
	if err != nil {
		return err
	}
	defer b.stop()
	fmt.Printf("%-58s %10s %10s %8s   %s\n", "work", "refline", "beside", "ratio", "aim")
	row("start of the server until it answers", ready, 0, "≤ 0.1 s")
	time.Sleep(time.Second)
	fmt.Printf("%-58s %6d MiB %28s\n", "memory, idle", b.memory()>>20, "≤ 40 MiB")
	for _, f := range []string{"one", "chain", "parallel", "branch", "large"} {
		if err := b.register(f); err != nil {
			return err
		}
	}
	if err := b.rows(); err != nil {
		return err
	}
	if err := transitions(dir, ""); err != nil || postgres == "" {
		return err
	}
	return transitions(dir, postgres)
}

func (b *bench) rows() error {
	one, err := b.median(b.rounds, func() error { return b.run("one") })
	if err != nil {
		return err
	}
	row("trigger to the end of one step, no checkout", one, 0, "≤ 10 ms")
	for _, c := range []struct{ flow, alone, text, aim string }{
		{"chain", "i=0; while [ $i -lt 100 ]; do bash job.sh; i=$((i+1)); done", "a chain of 100 jobs, beside bash alone", "≤ 2.5×"},
		{"parallel", fmt.Sprintf("seq 100 | xargs -P %d -n 1 bash job.sh", runtime.NumCPU()), "100 parallel jobs, beside bash alone", "≤ 1.5×"},
	} {
		took, err := b.median(3, func() error { return b.run(c.flow) })
		if err != nil {
			return err
		}
		alone, err := b.median(3, func() error { return b.bash(c.alone) })
		if err != nil {
			return err
		}
		row(c.text, took, alone, c.aim)
	}
	if err := b.many(); err != nil {
		return err
	}
	branch, err := b.median(b.rounds, func() error { return b.run("branch") })
	if err != nil {
		return err
	}
	row("trigger to the end of one step, by branch with its checkout", branch, 0, "≤ 60 ms")
	return b.newCommit()
}

func row(text string, took, beside time.Duration, aim string) {
	other, ratio := "", ""
	if beside > 0 {
		other, ratio = beside.Round(100*time.Microsecond).String(), fmt.Sprintf("%.2f×", float64(took)/float64(beside))
	}
	fmt.Printf("%-58s %10s %10s %8s   %s\n", text, took.Round(100*time.Microsecond), other, ratio, aim)
}

// many starts 200 runs of one step with 8 in flight, and the same scripts by bash.
func (b *bench) many() error {
	const runs, flight = 200, 8
	took, err := timed(func() error {
		next, failed := make(chan int), make(chan error, flight)
		var group sync.WaitGroup
		for range flight {
			group.Go(func() {
				for range next {
					if err := b.run("one"); err != nil {
						select {
						case failed <- err:
						default:
						}
					}
				}
			})
		}
		for i := range runs {
			next <- i
		}
		close(next)
		group.Wait()
		select {
		case err := <-failed:
			return err
		default:
			return nil
		}
	})
	if err != nil {
		return err
	}
	alone, err := timed(func() error { return b.bash(fmt.Sprintf("seq %d | xargs -P %d -n 1 bash job.sh", runs, flight)) })
	if err != nil {
		return err
	}
	fmt.Printf("%-58s %6.0f /s  %6.0f /s  %7.2f   %s\n", "runs of one step, 8 in flight, beside bash 8 at a time",
		runs/took.Seconds(), runs/alone.Seconds(), alone.Seconds()/took.Seconds(), "≥ 0.5 of the rate")
	return nil
}

// newCommit measures from a trigger to the first instruction in a large repository
// with one new commit, beside git clone --depth 1.
func (b *bench) newCommit() error {
	repo := filepath.Join(b.dir, "large")
	if err := b.run("large"); err != nil { // the mirror is there, and a checkout is prepared
		return err
	}
	var ours, clones []time.Duration
	for i := range 5 {
		time.Sleep(2 * time.Second) // the next checkout is prepared meanwhile
		if err := os.WriteFile(filepath.Join(repo, "d1", "f1"), []byte(strconv.Itoa(i)), 0o644); err != nil {
			return err
		}
		if err := git(repo, "commit", "-qam", "new"); err != nil {
			return err
		}
		r, err := b.client.StartRun(context.Background(), api.RunInput{Project: b.flows["large"].Project, Flow: b.flows["large"].Name})
		if err != nil {
			return err
		}
		began := r.Created // the answer: what came before is the look at the ref
		if r, err = b.wait(r); err != nil {
			return err
		}
		first, err := os.ReadFile(filepath.Join(b.dir, "first"))
		if err != nil {
			return err
		}
		nanos, err := strconv.ParseInt(strings.TrimSpace(string(first)), 10, 64)
		if err != nil {
			return err
		}
		ours = append(ours, time.Unix(0, nanos).Sub(began))
		took, err := timed(func() error {
			defer os.RemoveAll(filepath.Join(b.dir, "clone"))
			return git(b.dir, "clone", "-q", "--depth", "1", "file://"+repo, "clone")
		})
		if err != nil {
			return err
		}
		clones = append(clones, took)
	}
	row("run made to first instruction, 10,000 files, a new commit", middle(ours), middle(clones), "≤ 0.15 s, ≤ 0.2×")
	return nil
}

// repositories makes a small and a large one.
func (b *bench) repositories(files int) error {
	const none = "variables: {GIT_STRATEGY: none}\n"
	var chain, parallel strings.Builder
	chain.WriteString(none)
	parallel.WriteString(none + "each: {parallel: 100, script: ['echo a line']}\n")
	for i := range chainJobs {
		needs := "[]"
		if i > 0 {
			needs = fmt.Sprintf("[j%d]", i-1)
		}
		fmt.Fprintf(&chain, "j%d: {needs: %s, script: ['echo a line']}\n", i, needs)
	}
	small := map[string]string{
		"one.yml": none + "one: {script: ['echo a line']}\n", "chain.yml": chain.String(), "parallel.yml": parallel.String(),
		"branch.yml": "one: {script: ['echo a line']}\n",
	}
	if err := b.repository("small", small); err != nil {
		return err
	}
	large := map[string]string{"large.yml": "one: {script: ['date +%s%N > " + filepath.Join(b.dir, "first") + "']}\n"}
	for i := range files {
		large[fmt.Sprintf("d%d/f%d", i%100, i)] = fmt.Sprintf("file %d\n", i)
	}
	if err := os.WriteFile(filepath.Join(b.dir, "job.sh"), []byte("echo a line >/dev/null\n"), 0o644); err != nil {
		return err
	}
	return b.repository("large", large)
}

func (b *bench) repository(name string, content map[string]string) error {
	dir := filepath.Join(b.dir, name)
	for file, text := range content {
		path := filepath.Join(dir, file)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-qm", "all"}} {
		if err := git(dir, args...); err != nil {
			return err
		}
	}
	return nil
}

func git(dir string, args ...string) error {
	cmd := exec.Command("git", append([]string{"-c", "user.name=bench", "-c", "user.email=bench@example.com"}, args...)...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}

func (b *bench) bash(script string) error {
	cmd := exec.Command("bash", "-c", script)
	cmd.Dir = b.dir
	return cmd.Run()
}

// start starts the server and returns when it answers.
func (b *bench) start(program string) (time.Duration, error) {
	data := filepath.Join(b.dir, "data")
	began := time.Now()
	b.server = exec.Command(program, "server", "--listen", "127.0.0.1:0", "--data", data)
	b.server.Stderr = os.Stderr
	b.server.Env = append(os.Environ(), "HOME="+b.dir, "REFLINE_DATABASE="+b.database)
	if err := b.server.Start(); err != nil {
		return 0, err
	}
	for time.Since(began) < 20*time.Second {
		text, err := os.ReadFile(filepath.Join(data, "server.json"))
		var at struct{ URL string }
		if err == nil && json.Unmarshal(text, &at) == nil {
			token, err := os.ReadFile(filepath.Join(data, "owner-token"))
			if err != nil {
				return 0, err
			}
			if b.client, err = api.NewClient(at.URL, strings.TrimSpace(string(token)), nil); err != nil {
				return 0, err
			}
			if _, err := b.client.Projects(context.Background()); err == nil {
				return time.Since(began), nil
			}
		}
		time.Sleep(time.Millisecond)
	}
	b.stop()
	return 0, fmt.Errorf("the server did not answer within 20 s")
}

func (b *bench) stop() {
	_ = b.server.Process.Signal(os.Interrupt)
	_ = b.server.Wait()
}

// memory is what the server has in memory, in bytes; 0 where it is not known.
func (b *bench) memory() int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.server.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kb << 10
		}
	}
	return 0
}

// register registers a flow: those without a checkout at a fixed commit.
func (b *bench) register(name string) error {
	in := api.FlowInput{Repository: filepath.Join(b.dir, "small"), Path: name + ".yml", RefKind: "branch", Ref: "main"}
	switch name {
	case "large":
		in.Repository = filepath.Join(b.dir, "large")
	case "branch":
	default:
		out, err := exec.Command("git", "-C", in.Repository, "rev-parse", "HEAD").Output()
		if err != nil {
			return err
		}
		in.RefKind, in.Ref = "commit", strings.TrimSpace(string(out))
	}
	r, err := b.client.RegisterFlow(context.Background(), in)
	b.flows[name] = r.Flow
	return err
}

// run runs a flow to its end.
func (b *bench) run(name string) error {
	f := b.flows[name]
	r, err := b.client.StartRun(context.Background(), api.RunInput{Project: f.Project, Flow: f.Name})
	if err == nil {
		_, err = b.wait(r)
	}
	return err
}

func (b *bench) wait(r api.Run) (api.Run, error) {
	var err error
	for r.Finished.IsZero() {
		if r, err = b.client.WaitRunEnd(context.Background(), r.ID); err != nil {
			return r, err
		}
	}
	if r.Status != pipeline.StatusSuccess {
		return r, fmt.Errorf("run %d of %s ended %s", r.ID, r.Flow, r.Status)
	}
	return r, nil
}

func timed(f func() error) (time.Duration, error) {
	began := time.Now()
	err := f()
	return time.Since(began), err
}

func (b *bench) median(n int, f func() error) (time.Duration, error) {
	var all []time.Duration
	for range n {
		took, err := timed(f)
		if err != nil {
			return 0, err
		}
		all = append(all, took)
	}
	return middle(all), nil
}

func middle(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
