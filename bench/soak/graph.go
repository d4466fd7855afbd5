//go:build unix

package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// jobScript prints numbered lines, leaves a process behind now and then, and fails
// as often as it is asked to. It writes down that it started: that shows which
// attempts ran, and how often.
const jobScript = `echo "$CI_JOB_ID" >>"$(dirname "$0")/starts"
lines=$1 failing=$2
[ $((RANDOM % 5)) -ne 0 ] || sleep 600 &
i=0
while [ $i -lt $lines ]; do
  i=$((i+1)); echo "line $i"
  [ $((i % 40)) -ne 0 ] || sleep 0.1
done
echo "the last line is $lines"
[ $((RANDOM % 100)) -ge $failing ]
`

// flowCount is how many different graphs there are.
const flowCount = 12

// writeGraphs makes a repository of random pipelines, each with a child.
func (s *soak) writeGraphs(random *rand.Rand) error {
	if err := os.MkdirAll(s.repository(), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.dir, "job.sh"), []byte(jobScript), 0o755); err != nil {
		return err
	}
	for i := range flowCount {
		for name, depth := range map[string]int{fmt.Sprintf("flow%d.yml", i): 1, fmt.Sprintf("child%d.yml", i): 0} {
			text := s.graph(random, i, depth)
			if err := os.WriteFile(filepath.Join(s.repository(), name), []byte(text), 0o644); err != nil {
				return err
			}
		}
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"commit", "-qm", "graphs"}} {
		cmd := exec.Command("git", append([]string{"-c", "user.name=soak", "-c", "user.email=soak@example.com"}, args...)...)
		cmd.Dir = s.repository()
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

func (s *soak) repository() string { return filepath.Join(s.dir, "repository") }

// graph writes one pipeline.
func (s *soak) graph(random *rand.Rand, flow, depth int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "variables: {GIT_STRATEGY: none, %s: %q}\nstages: [a, b, c]\n", markVariable, s.mark)
	n := 0
	var before []string // jobs of this stage and earlier ones
	for _, stage := range []string{"a", "b", "c"} {
		for range 1 + random.IntN(4) {
			name := fmt.Sprintf("j%d", n)
			n++
			fmt.Fprintf(&b, "%s:\n  stage: %s\n", name, stage)
			if depth > 0 && random.IntN(8) == 0 {
				fmt.Fprintf(&b, "  trigger: {include: child%d.yml, strategy: depend}\n", flow)
			} else {
				failing := []int{0, 0, 0, 30}[random.IntN(4)]
				fmt.Fprintf(&b, "  script: [\"bash %s %d %d\"]\n", filepath.Join(s.dir, "job.sh"), 20+random.IntN(200), failing)
				s.options(&b, random)
			}
			if len(before) > 0 && random.IntN(2) == 0 {
				fmt.Fprintf(&b, "  needs: [%s]\n", before[random.IntN(len(before))])
			}
			before = append(before, name)
		}
	}
	return b.String()
}

// options writes what else a job with a script may have.
func (s *soak) options(b *strings.Builder, random *rand.Rand) {
	if random.IntN(3) == 0 {
		fmt.Fprintf(b, "  retry: %d\n", 1+random.IntN(2))
	}
	if random.IntN(4) == 0 {
		fmt.Fprintf(b, "  resource_group: g%d\n", random.IntN(2))
	}
	switch random.IntN(10) {
	case 0:
		b.WriteString("  when: manual\n")
	case 1:
		b.WriteString("  when: manual\n  allow_failure: false\n")
	case 2:
		b.WriteString("  when: delayed\n  start_in: 1 second\n")
	case 3:
		b.WriteString("  when: on_failure\n")
	case 4:
		b.WriteString("  when: always\n")
	case 5, 6:
		b.WriteString("  allow_failure: true\n")
	}
}
