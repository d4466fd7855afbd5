package pipelinetest

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/diag"
)

// All mistakes of all documents come at once; the YAML library stops at the first.
func TestAllMistakes(t *testing.T) {
	t.Parallel()
	const text = `name: a
ref: 7
jbos: [x]
expect: {jobs: [a], whne: {a: manual}}
---
nme: b
branch: {a: b}
---
tests:
  - name: c
    brnach: x
`
	_, err := ReadFile("t.yml", []byte(text))
	var failure *diag.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want findings", err)
	}
	got := map[int]string{}
	for _, f := range failure.Findings {
		got[f.Line] = f.Message
	}
	want := map[int]string{
		2:  `"ref" is not a key of a test`,
		3:  `"jbos" is not a key of a test`,
		4:  `"whne" is not a key of a test`,
		6:  `"nme" is not a key of a test`,
		7:  "want a text here, not a map",
		11: `"brnach" is not a key of a test`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mistakes by line (-want +got):\n%s", diff)
	}
}
