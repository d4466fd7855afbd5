//go:build linux

// Command compare runs the same pipelines with refline, with bash alone and with
// gitlab-ci-local, and prints how they compare. Each number is the median of
// several runs, in turns, so that what slows the computer slows all; memory is the
// largest resident set of the process itself, without its jobs.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

// work is one thing that the programs do.
type work struct {
	name     string
	pipeline string
	list     bool
	alone    string  // the same jobs by bash alone; empty: nothing to compare with
	most     float64 // times what bash alone takes; 0: no aim
	aim      string  // beside gitlab-ci-local, and absolute
}

// The same jobs without a runner: one after the other, or as many at once as
// refline runs.
func inARow(n int) string {
	return fmt.Sprintf("i=0; while [ $i -lt %d ]; do bash job.sh; i=$((i+1)); done", n)
}

func atOnce(n int) string {
	return fmt.Sprintf("seq %d | xargs -P %d -n 1 bash job.sh", n, 2*runtime.NumCPU())
}

func works() []work {
	return []work{
		{name: "list 1 job", pipeline: echoJobs(1), list: true, aim: "≥ 50×, 14 ms, 30 MiB"},
		{name: "list 100 jobs", pipeline: echoJobs(100), list: true, aim: "≥ 50×, 30 MiB"},
		{name: "run 1 echo job", pipeline: echoJobs(1), aim: "≥ 15×, 33 ms"},
		{name: "run 20 echo jobs", pipeline: echoJobs(20), alone: atOnce(20), aim: "≥ 15×"},
		{name: "run 100 echo jobs", pipeline: echoJobs(100), alone: atOnce(100), most: 1.15, aim: "≥ 15×"},
		{name: "run a chain of 100", pipeline: chain(100), alone: inARow(100), most: 1.6, aim: ""},
	}
}

func compare(refline, peers string, rounds int) error {
	dir, err := os.MkdirTemp("", "refline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// What is left of a job if no runner prepares it.
	const script = "set -e\n(eval 'echo this is a job')\nexit 0\n"
	if err := os.WriteFile(filepath.Join(dir, "job.sh"), []byte(script), 0o644); err != nil {
		return err
	}
	peer, err := findPeer(dir, peers)
	if err != nil {
		fmt.Printf("gitlab-ci-local is left out: %v\n", err)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "work\trefline\tmemory\tbash alone\tratio\taim\tgitlab-ci-local\tmemory\tratio\taim\t")
	start, err := command{args: []string{refline, "version"}, dir: dir}.median(rounds * 3)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "version\t%s\t%s\t\t\t\t\t\t\t≤ 10 ms, 25 MiB\t\n", ms(start.wall), mib(start.rss))
	for _, x := range works() {
		if err := x.measure(w, dir, refline, peer, rounds); err != nil {
			return fmt.Errorf("%s: %w", x.name, err)
		}
	}
	info, err := os.Stat(refline)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "size of the program\t\t%s\t\t\t\t\t\t\t≤ 45 MB\t\n", fmt.Sprintf("%.1f MB", float64(info.Size())/1e6))
	return nil
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

func (x work) measure(w *tabwriter.Writer, dir, refline string, peer []string, rounds int) error {
	repo := filepath.Join(dir, strings.ReplaceAll(x.name, " ", "-"))
	if err := makeRepo(repo, x.pipeline); err != nil {
		return err
	}
	args := []string{refline, "run"}
	if x.list {
		args = []string{refline, "list"}
	}
	state := []string{"REFLINE_STATE_DIR=" + filepath.Join(dir, "state"), "REFLINE_CACHE_DIR=" + filepath.Join(dir, "cache")}
	both := []command{{args: args, dir: repo, env: state}}
	if x.alone != "" {
		both = append(both, command{args: []string{"sh", "-c", x.alone}, dir: dir})
	}
	took, err := medians(rounds, both...)
	if err != nil {
		return err
	}
	ours := took[0]
	fmt.Fprintf(w, "%s\t%s\t%s\t", x.name, ms(ours.wall), mib(ours.rss))
	if x.alone == "" {
		fmt.Fprint(w, "\t\t\t")
	} else {
		aim := ""
		if x.most > 0 {
			aim = fmt.Sprintf("≤ %.2f×", x.most)
		}
		fmt.Fprintf(w, "%s\t%.2f×\t%s\t", ms(took[1].wall), float64(ours.wall)/float64(took[1].wall), aim)
	}
	if peer == nil {
		fmt.Fprintf(w, "\t\t\t%s\t\n", x.aim)
		return nil
	}
	theirs, err := command{args: peerArgs(peer, x.list), dir: repo}.median(min(rounds, 3))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s\t%s\t%.0f×\t%s\t\n", ms(theirs.wall), mib(theirs.rss), float64(theirs.wall)/float64(ours.wall), x.aim)
	return nil
}

func peerArgs(peer []string, list bool) []string {
	args := slices.Clone(peer)
	if list {
		args = append(args, "--list")
	}
	return args
}

// findPeer is how gitlab-ci-local is started. It is tried once, so that what it
// lacks is one line and not a table full of traces.
func findPeer(dir, peers string) ([]string, error) {
	peer := []string{
		filepath.Join(peers, "node_modules", "node", "bin", "node"),
		filepath.Join(peers, "node_modules", "gitlab-ci-local", "dist", "index.js"),
	}
	for _, p := range peer {
		if _, err := os.Stat(p); err != nil {
			return nil, errors.New("it is not installed in " + peers)
		}
	}
	if _, err := exec.LookPath("rsync"); err != nil {
		return nil, errors.New("it needs rsync, which is not in PATH; scripts/setup installs it")
	}
	repo := filepath.Join(dir, "probe")
	if err := makeRepo(repo, echoJobs(1)); err != nil {
		return nil, err
	}
	if _, err := (command{args: peer, dir: repo}).once(); err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
		return nil, errors.New(first)
	}
	return peer, nil
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

func (c command) once() (taken, error) {
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
	return t, nil
}

func (c command) median(rounds int) (taken, error) {
	all, err := medians(rounds, c)
	if err != nil {
		return taken{}, err
	}
	return all[0], nil
}

// medians runs the commands in turns.
func medians(rounds int, commands ...command) ([]taken, error) {
	all := make([][]taken, len(commands))
	for round := range rounds + 1 {
		for i, c := range commands {
			t, err := c.once()
			if err != nil {
				return nil, err
			}
			if round > 0 { // the first warms up
				all[i] = append(all[i], t)
			}
		}
	}
	middle := make([]taken, len(commands))
	for i, list := range all {
		slices.SortFunc(list, func(a, b taken) int { return int(a.wall - b.wall) })
		middle[i] = list[len(list)/2]
	}
	return middle, nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d)/1e6) }
func mib(n int64) string        { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
