package stack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	w.drift = []Drift{{Detection: "d"}, {}, {Done: true, Status: "DRIFTED", Resources: []ResourceDrift{{LogicalID: "Bucket", Status: "MODIFIED"}}}}
	d, err := w.Session.Drift(t.Context(), w.target("landing"))
	if err != nil || d.Status != "DRIFTED" || len(d.Resources) != 1 || w.count("Drift d") != 2 {
		t.Errorf("got %+v, %v after %v", d, err, w.calls)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	s := w.add("landing-dev", createComplete)
	at := func(status Status) Event {
		return Event{StackID: s.ID, PhysicalID: s.ID, LogicalID: s.Name, Type: nestedStack, Status: status}
	}
	w.happen([]Event{at("CREATE_COMPLETE"), at("UPDATE_IN_PROGRESS")})
	w.queue = [][]Event{{{StackID: s.ID, LogicalID: "Bucket", Type: "X", Status: "UPDATE_COMPLETE"}}, {at("UPDATE_COMPLETE")}}
	var got []string
	d, err := w.Follow(t.Context(), w.target("landing"), func(p Progress) { got = append(got, string(p.Status)) })
	if err != nil || !d.Good || strings.Join(got, " ") != "UPDATE_IN_PROGRESS UPDATE_COMPLETE UPDATE_COMPLETE" {
		t.Errorf("got %v: %+v, %v", got, d, err)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, "", ""), nil)
	w.texts["landing-dev"] = `{"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "UpdateReplacePolicy": "Retain",
		"Properties": {"BucketName": "landing-0"}}, "Old": {"Type": "X"}}}`
	d, err := w.Diff(t.Context(), w.target("landing"))
	if err != nil || d.Exists || len(d.Parts) != 2 {
		t.Errorf("before the stack: %+v, %v", d, err)
	}
	w.add("landing-dev", createComplete)
	if d, err = w.Diff(t.Context(), w.target("landing")); err != nil {
		t.Fatal(err)
	}
	want := `~ Resources/Bucket/Properties/BucketName  "landing-0" → "landing-a"  template.yml:6:7
- Resources/Old
+ Resources/Topic  template.yml:7:3
`
	if diff := cmp.Diff(want, d.Text()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDiffHidesSecrets(t *testing.T) {
	t.Parallel()
	w := newWorld(t, fmt.Sprintf(oneStack, ", parameters: {Secret: {env: S}}", ""),
		map[string]string{"template.yml": "Parameters:\n  Secret: {Type: String, NoEcho: true}\nResources: {}\n"})
	w.Getenv = func(string) string { return "s3cr3t" }
	w.texts["landing-dev"] = "Resources: {}"
	w.add("landing-dev", createComplete)
	d, err := w.Diff(t.Context(), w.target("landing"))
	if err != nil || len(d.Parameters) != 1 || strings.Contains(d.Text(), "s3cr3t") {
		t.Errorf("got %+v, %v", d, err)
	}
}
