//go:build linux

// Command lint checks the same CloudFormation templates with refline and with
// cfn-lint, one after the other, and prints how they compare. The templates are
// made here; both programs must find no error in them. Times are of the
// processor, so that other programs on the machine do not count; each is the
// median of several runs.
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
	peer := flag.String("cfn-lint", "", "the program to measure beside it; none when empty")
	rounds := flag.Int("rounds", 7, "runs of each")
	lines := flag.Int("lines", 3600, "lines of the large template, at least")
	flag.Parse()
	if err := compare(*refline, *peer, *rounds, *lines); err != nil {
		fmt.Fprintln(os.Stderr, "bench/lint:", err)
		os.Exit(1)
	}
}

// work is a template that both programs check. What the peer cannot read it gets
// as JSON.
type work struct {
	name, file, peerFile, aim string
}

func compare(refline, peer string, rounds, lines int) error {
	refline, err := filepath.Abs(refline)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "refline-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	number, err := writeTemplates(dir, refline, lines)
	if err != nil {
		return err
	}
	large := fmt.Sprintf("%d lines of ", number)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprintln(w, "work\trefline\tmemory\tcfn-lint\tmemory\tratio\taim\t")
	for _, x := range []work{
		{"one bucket", "small.yaml", "small.yaml", ""},
		{large + "YAML", "large.yaml", "large.yaml", "≥ 20×"},
		{large + "JSON", "large.json", "large.json", "≥ 20×"},
		{"the same by Jsonnet", "large.jsonnet", "large.json", ""},
	} {
		ours, err := median(dir, rounds, refline, "stack", "lint", "--strict", x.file)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t", x.name, ms(ours.cpu), mib(ours.rss))
		if peer == "" {
			fmt.Fprintf(w, "not installed\t\t\t%s\t\n", x.aim)
			continue
		}
		theirs, err := median(dir, min(rounds, 3), peer, "--template", x.peerFile)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f×\t%s\t\n", ms(theirs.cpu), mib(theirs.rss), float64(theirs.cpu)/float64(ours.cpu), x.aim)
	}
	return nil
}

type taken struct {
	cpu time.Duration
	rss int64 // bytes
}

func median(dir string, rounds int, args ...string) (taken, error) {
	var all []taken
	for range rounds + 1 { // the first warms up
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return taken{}, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out.String())
		}
		use, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if !ok {
			return taken{}, errors.New("the system does not report what a process used")
		}
		all = append(all, taken{cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), use.Maxrss * 1024}) // kilobytes on Linux
	}
	all = all[1:]
	slices.SortFunc(all, func(a, b taken) int { return int(a.cpu - b.cpu) })
	return all[len(all)/2], nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d)/1e6) }
func mib(n int64) string        { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
