//go:build linux

// Command compare runs the same pipelines with refline and with
// gitlab-ci-local, one after the other, and prints how they compare. Each
// number is the median of several runs; memory is the largest resident set of
// the process itself, without its jobs.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"
)

func main() {
	refline := flag.String("refline", "bin/refline", "the program to measure")
	peers := flag.String("peers", "", "folder with gitlab-ci-local and node")
	rounds := flag.Int("rounds", 7, "runs of each")
	flag.Parse()
	if err := compare(*refline, *peers, *rounds); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// work is one thing that both programs do.
type work struct {
	name     string
	pipeline string
	list     bool
	aim      string
}

func compare(refline, peers string, rounds int) error {
	dir, err := os.MkdirTemp("", "refline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "work\trefline\tmemory\tgitlab-ci-local\tmemory\tratio\taim\t")
	start := command{args: []string{refline, "version"}, dir: dir}
	t, err := start.median(rounds * 3)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "version\t%s\t%s\t\t\t\t≤ 10 ms, 25 MiB\t\n", ms(t.wall), mib(t.rss))
	for _, x := range works() {
		if err := x.measure(w, dir, refline, peers, rounds); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	if t, err = bashAlone(dir, rounds); err != nil {
		return err
	}
	fmt.Fprintf(w, "(bash alone, 100 times in a row)\t%s\t\t\t\t\tno runner can be faster\t\n", ms(t.wall))
	info, err := os.Stat(refline)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "size of the program\t\t%s\t\t\t\t≤ 45 MB\t\n", fmt.Sprintf("%.1f MB", float64(info.Size())/1e6))
	return nil
}

// bashAlone times what is left of a chain of 100 jobs when nobody prepares
// them: it tells how fast this computer is today.
func bashAlone(dir string, rounds int) (taken, error) {
	const script = "set -e\n(eval 'echo this is a job')\nexit 0\n"
	if err := os.WriteFile(filepath.Join(dir, "job.sh"), []byte(script), 0o644); err != nil {
		return taken{}, err
	}
	loop := "i=0; while [ $i -lt 100 ]; do bash job.sh; i=$((i+1)); done"
	return command{args: []string{"sh", "-c", loop}, dir: dir}.median(rounds)
}

func works() []work {
	return []work{
		{"list 1 job", echoJobs(1), true, "≥ 50×, 14 ms, 30 MiB"},
		{"list 100 jobs", echoJobs(100), true, "≥ 50×, 30 MiB"},
		{"run 1 echo job", echoJobs(1), false, "≥ 15×, 33 ms"},
		{"run 20 echo jobs", echoJobs(20), false, "≥ 15×"},
		{"run 100 echo jobs", echoJobs(100), false, "≥ 15×, 180 ms"},
		{"run a chain of 100", chain(100), false, "270 ms"},
	}
}

func echoJobs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "job%d:\n  script: [echo this is job %d]\n", i, i)
	}
	return b.String()
}

func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "job%d:\n  script: [echo this is job %d]\n", i, i)
		if i > 0 {
			fmt.Fprintf(&b, "  needs: [job%d]\n", i-1)
		}
	}
	return b.String()
}

func (x work) measure(w *tabwriter.Writer, dir, refline, peers string, rounds int) error {
	repo := filepath.Join(dir, strings.ReplaceAll(x.name, " ", "-"))
	if err := makeRepo(repo, x.pipeline); err != nil {
		return err
	}
	args := []string{refline, "run"}
	if x.list {
		args = []string{refline, "list"}
	}
	state := []string{"REFLINE_STATE_DIR=" + filepath.Join(dir, "state"), "REFLINE_CACHE_DIR=" + filepath.Join(dir, "cache")}
	ours, err := command{args: args, dir: repo, env: state}.median(rounds)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\t%s\t%s\t", x.name, ms(ours.wall), mib(ours.rss))
	theirs, err := x.peer(repo, peers, rounds)
	if err != nil {
		fmt.Fprintf(w, "%v\t\t\t%s\t\n", err, x.aim)
		return nil
	}
	fmt.Fprintf(w, "%s\t%s\t%.0f×\t%s\t\n", ms(theirs.wall), mib(theirs.rss), float64(theirs.wall)/float64(ours.wall), x.aim)
	return nil
}

var errNoPeer = errors.New("not installed")

func (x work) peer(repo, peers string, rounds int) (taken, error) {
	node := filepath.Join(peers, "node_modules", "node", "bin", "node")
	script := filepath.Join(peers, "node_modules", "gitlab-ci-local", "dist", "index.js")
	for _, p := range []string{node, script} {
		if _, err := os.Stat(p); err != nil {
			return taken{}, errNoPeer
		}
	}
	args := []string{node, script}
	if x.list {
		args = append(args, "--list")
	}
	return command{args: args, dir: repo}.median(min(rounds, 3))
}

func makeRepo(dir, pipeline string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitlab-ci.yml"), []byte(pipeline), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"remote", "add", "origin", "https://gitlab.example.com/group/bench.git"}, {"add", "."},
		{"-c", "user.name=bench", "-c", "user.email=bench@example.com", "commit", "-qm", "bench"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

// command is a program to time.
type command struct {
	args, env []string
	dir       string
}

type taken struct {
	wall time.Duration
	rss  int64 // bytes
}

func (c command) median(rounds int) (taken, error) {
	var all []taken
	for range rounds + 1 { // the first warms up
		cmd := exec.Command(c.args[0], c.args[1:]...)
		cmd.Dir, cmd.Env = c.dir, append(os.Environ(), c.env...)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		begin := time.Now()
		if err := cmd.Run(); err != nil {
			return taken{}, fmt.Errorf("%s: %w: %s", strings.Join(c.args, " "), err, out.String())
		}
		t := taken{wall: time.Since(begin)}
		if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			t.rss = u.Maxrss * 1024 // kilobytes on Linux
		}
		all = append(all, t)
	}
	all = all[1:]
	slices.SortFunc(all, func(a, b taken) int { return int(a.wall - b.wall) })
	return all[len(all)/2], nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
func mib(n int64) string        { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
