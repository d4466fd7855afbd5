package main

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The same program is a filter in a pipe and a wrapper in a pod: what runs
// before main runs in each of these. Tables and regular expressions are built on
// first use, and docs/adr/0011-light-to-start.md lists what cannot be cut.
func TestLittleRunsBeforeMain(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	line := regexp.MustCompile(`(?m)^init (\S+) @.* clock, (\d+) bytes`)
	const ours, heavy = 4 << 10, 100 << 10
	testsOnly := regexp.MustCompile(`^(github.com/google/go-cmp|github.com/rogpeppe|pgregory.net)/`)
	seen := 0
	for _, m := range line.FindAllStringSubmatch(string(out), -1) {
		bytes, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		seen++
		limit := heavy
		switch {
		case strings.HasPrefix(m[1], "refline/"):
			limit = ours
		case m[1] == "github.com/danielgtaylor/huma/v2":
			limit = 128 << 10 // its regular expressions, 0.3 ms; the ADR says what that buys
		case m[1] == "github.com/prometheus/client_golang/prometheus":
			limit = 1536 << 10 // its table of Go's own metrics, 0.5 ms: the price of /metrics
		case strings.HasPrefix(m[1], "github.com/yuin/goldmark/"):
			limit = 384 << 10 // tables of entities and regular expressions of Markdown, 0.3 ms
		case m[1] == "k8s.io/api/core/v1":
			limit = 192 << 10 // it registers its types for protobuf, 0.2 ms
		}
		if bytes > limit && !testsOnly.MatchString(m[1]) {
			t.Errorf("package %s allocates %d bytes before main, more than %d; build it on first use (sync.OnceValue), or find a smaller import", m[1], bytes, limit)
		}
	}
	if seen < 50 {
		t.Errorf("only %d packages in the trace:\n%s", seen, out)
	}
}
