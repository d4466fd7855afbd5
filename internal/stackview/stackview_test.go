package stackview

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/stack"
)

func TestDeployment(t *testing.T) {
	t.Parallel()
	words := Words{Done: "is deployed", Nothing: "nothing to do"}
	for name, tc := range map[string]struct {
		d    stack.Deployment
		want string
	}{
		"nothing to do": {stack.Deployment{StackName: "a-dev", Empty: true}, "a-dev: nothing to do\n"},
		"good": {
			stack.Deployment{StackName: "a-dev", Good: true, Took: 2 * time.Second, Outputs: []stack.Output{{Key: "Id", Value: "x\x1b[31m"}}},
			"a-dev is deployed in 2.0 s\n  Id = x\\u001b[31m\n",
		},
		"failed": {
			stack.Deployment{StackName: "a-dev", Status: "UPDATE_FAILED", Causes: []stack.Cause{
				{ID: "B", Type: "T", Status: "CREATE_FAILED", Reason: "denied", Hint: "allow it"}, {ID: "C", Type: "T", Status: "CREATE_FAILED", Reason: "canceled"},
			}},
			"a-dev failed: UPDATE_FAILED\n  root cause: B (T) CREATE_FAILED: denied\n    allow it\n  then: C (T) CREATE_FAILED: canceled\n",
		},
	} {
		var out strings.Builder
		Deployment(&out, &tc.d, words)
		if diff := cmp.Diff(tc.want, out.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	var lines, screen strings.Builder
	v := &Live{Turns: &Turns{}, Lines: &lines, Screen: &screen}
	v.Emit(stack.Progress{Event: stack.Event{StackName: "a-dev", Type: "T", Status: "CREATE_IN_PROGRESS"}, ID: "B", Total: 2})
	if got := screen.String(); got != "  … 1 at work, 0 of 2 done" {
		t.Errorf("live line %q", got)
	}
	v.Emit(stack.Progress{Event: stack.Event{StackName: "a-dev", Type: "T", Status: "CREATE_FAILED", Reason: "denied"}, ID: "B", Took: time.Second})
	v.End()
	if got := lines.String(); !strings.HasPrefix(got, "  ✗ B ") || !strings.HasSuffix(got, "CREATE_FAILED  1.0 s  denied\n") {
		t.Errorf("line %q", got)
	}
	if !strings.HasSuffix(screen.String(), "\r\x1b[K") {
		t.Errorf("the live line stays: %q", screen.String())
	}
}

func TestTablesLineUp(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := Outputs(&out, []stack.Output{{Key: "VpcId", Value: "vpc-1"}, {Key: "A", Value: "b", Description: "what it is"}}); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "VpcId  vpc-1\nA      b      what it is\n"; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	out.Reset()
	overview := stack.Overview{File: "refline.stacks.yml", Stacks: []string{"a"}, Environments: []stack.EnvironmentOverview{
		{Name: "dev", Account: "1", Region: "eu", Stacks: map[string]string{"a": "a-dev"}}, {Name: "prod", Account: "2", Region: "eu"},
	}}
	if err := Matrix(&out, overview, ""); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "  a        a-dev  –\n") || !strings.HasPrefix(got, "refline.stacks.yml · no ref\n") {
		t.Errorf("got\n%s", got)
	}
}

func TestStatusShowsTheWayOut(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	err := Status(&out, "dev", []*stack.TargetStatus{
		{Target: &stack.Target{Definition: &stack.Definition{Name: "a"}, StackName: "a-dev"}},
		{Target: &stack.Target{Definition: &stack.Definition{Name: "b"}, StackName: "b-dev"}, Exists: true, Stack: stack.Stack{Status: "UPDATE_COMPLETE", DriftStatus: "DRIFTED"}, Resources: make([]stack.Resource, 1)},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "  –  a-dev  does not exist   refline stack plan a --env dev\n  ✓  b-dev  UPDATE_COMPLETE  1 resource, drifted\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
