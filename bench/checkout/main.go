// Command checkout compares the time from a ref to a ready workspace with "git
// clone --depth 1" of the same repository over HTTP on this computer, and prints
// ratios. Absolute times say little; the ratios are taken in one run. Processor
// time, of both ends together, varies less on a busy machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/git"
)

func main() {
	files := flag.Int("files", 10000, "files in the repository")
	rounds := flag.Int("rounds", 5, "rounds; the median counts")
	dir := flag.String("dir", "", "folder to work in (default a temporary one)")
	flag.Parse()
	if err := measure(*files, *rounds, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "checkout:", err)
		os.Exit(1)
	}
}

// bench is one repository, its server, and the times taken so far.
type bench struct {
	dir   string
	work  string
	url   string
	times map[string][]cost
}

// cost is what one step took; processor is 0 if it is unknown.
type cost struct{ wall, processor time.Duration }

func measure(files, rounds int, parent string) error {
	dir, err := os.MkdirTemp(parent, "refline-checkout-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, work: filepath.Join(dir, "work"), times: map[string][]cost{}}
	if err := b.build(files); err != nil {
		return err
	}
	server, err := serve(dir)
	if err != nil {
		return err
	}
	defer server.Close()
	b.url = server.URL + "/srv.git"
	for round := range rounds {
		if err := b.round(round); err != nil {
			return err
		}
	}
	b.report(files)
	return nil
}

func (b *bench) build(files int) error {
	for i := range files {
		path := filepath.Join(b.work, "data", fmt.Sprintf("d%03d", i/100), fmt.Sprintf("f%03d.txt", i%100))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		text := strings.Repeat(fmt.Sprintf("line of file %d, %x\n", i, i*7919), 40)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"}, {"add", "-A"}, {"commit", "-qm", "first"}, {"repack", "-adq"},
		{"clone", "-q", "--bare", ".", "../srv.git"}, {"remote", "add", "o", "../srv.git"},
	} {
		if err := b.git(args...); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) git(args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir = b.work
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %v: %w\n%s", args, err, out)
	}
	return nil
}

func serve(root string) (*httptest.Server, error) {
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, err
	}
	return httptest.NewServer(&cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"},
	}), nil
}

func (b *bench) time(what string, do func() error) error {
	start, used := time.Now(), processorTime()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	b.times[what] = append(b.times[what], cost{time.Since(start), processorTime() - used})
	return nil
}

const (
	clone   = "git clone --depth 1"
	cold    = "cold: nothing in the cache"
	warm    = "warm: the ref has not moved"
	commit  = "one new commit of 3 files"
	bare    = "one new commit, empty pool"
	prepare = "  (pool filled, off the path)"
)

func (b *bench) round(n int) error {
	ctx := context.Background()
	at := func(name string) string { return filepath.Join(b.dir, fmt.Sprintf("%s-%d", name, n)) }
	remote, err := git.NewRemote(b.url, at("cache"), git.Access{Trust: git.User})
	if err != nil {
		return err
	}
	var last git.Resolved
	get := func(dst string) func() error {
		return func() (err error) {
			if last, err = remote.Update(ctx, git.Ref{Kind: git.KindBranch, Name: "main"}, 20); err != nil {
				return err
			}
			return remote.Checkout(ctx, last, dst, git.CheckoutOptions{Depth: 20})
		}
	}
	fill := func() error { return remote.Prepare(ctx, last) }
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{clone, func() error { return exec.Command("git", "clone", "-q", "--depth", "1", b.url, at("clone")).Run() }},
		{cold, get(at("cold"))},
		{prepare, fill},
		{warm, get(at("warm"))},
		{prepare, fill},
		{"", func() error { return b.push(n, "a") }},
		{commit, get(at("commit"))},
		{"", func() error { return b.push(n, "b") }},
		{bare, get(at("bare"))},
		{clone, func() error { return exec.Command("git", "clone", "-q", "--depth", "1", b.url, at("clone2")).Run() }},
	} {
		do := func() error { return step.do() }
		if step.what == "" {
			if err := do(); err != nil {
				return err
			}
			continue
		}
		if err := b.time(step.what, do); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) push(n int, part string) error {
	for i := range 3 {
		path := filepath.Join(b.work, "data", fmt.Sprintf("d%03d", i+1), "f000.txt")
		if err := os.WriteFile(path, fmt.Appendf(nil, "%d %s %d\n", n, part, time.Now().UnixNano()), 0o644); err != nil {
			return err
		}
	}
	if err := b.git("commit", "-qam", "next"); err != nil {
		return err
	}
	return b.git("push", "-q", "o", "main")
}

func (b *bench) report(files int) {
	median := func(what string, of func(cost) time.Duration) float64 {
		var all []time.Duration
		for _, c := range b.times[what] {
			all = append(all, of(c))
		}
		slices.Sort(all)
		return all[len(all)/2].Seconds()
	}
	wall, processor := func(c cost) time.Duration { return c.wall }, func(c cost) time.Duration { return c.processor }
	fmt.Printf("ref to ready workspace, %d files, median of %d rounds; × is beside git clone\n", files, len(b.times[cold]))
	fmt.Printf("  %-34s %10s %8s   %14s %8s\n", "", "elapsed", "×", "processor", "×")
	for _, what := range []string{clone, cold, warm, commit, bare, prepare} {
		w, p := median(what, wall), median(what, processor)
		fmt.Printf("  %-34s %8.3f s %8.1f   %12.3f s %8.1f\n", what, w, median(clone, wall)/w, p, median(clone, processor)/p)
	}
}
