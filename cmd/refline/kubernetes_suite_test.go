//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// testSuite runs the tests of internal/executor/podsandbox, with the suite that all
// executors pass, in a container of a pod.
func (c *cluster) testSuite(t *testing.T) {
	program := os.Getenv("REFLINE_TEST_SUITE")
	if program == "" {
		t.Skip("NOT TESTED: REFLINE_TEST_SUITE does not name the tests of podsandbox; scripts/e2e-k8s builds them")
	}
	apply := c.command("kubectl", "-n", c.namespace, "apply", "-f", "-")
	apply.Stdin = strings.NewReader(fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"suite"},"spec":{"restartPolicy":"Never","terminationGracePeriodSeconds":1,
		"securityContext":{"runAsNonRoot":true,"runAsUser":1000,"runAsGroup":1000,"seccompProfile":{"type":"RuntimeDefault"}},
		"containers":[{"name":"suite","image":%q,"command":["sh","-c","sleep 600"],"securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]}}}]}}`, c.jobImage))
	c.output(apply)
	c.kubectl("-n", c.namespace, "wait", "--for=condition=Ready", "pod/suite", "--timeout=60s")
	c.kubectl("-n", c.namespace, "cp", program, "suite:/tmp/podsandbox.test")
	out := c.kubectl("-n", c.namespace, "exec", "suite", "--", "sh", "-c", "cd /tmp && ./podsandbox.test -test.v")
	if passed := strings.Count(out, "--- PASS: TestExecutor/"); passed < 20 {
		t.Errorf("%d cases of the suite passed, want at least 20:\n%s", passed, out)
	}
}
