package web

import (
	"fmt"
	"strings"
	"testing"
)

func TestRunQuery(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                             "{Project: Flow: Ref: Statuses:[] Limit:0 Cursor:} 0",
		"status:failed,running flow:a": "{Project: Flow:a Ref: Statuses:[failed running] Limit:0 Cursor:} 0",
		"#42":                          "{Project: Flow: Ref: Statuses:[] Limit:0 Cursor:} 42",
		"daily ref:main":               "{Project: Flow:daily Ref:main Statuses:[] Limit:0 Cursor:} 0",
	} {
		q, run, err := runQuery(in)
		if got := fmt.Sprintf("%+v %d", q, run); err != nil || got != want {
			t.Errorf("%q: got %s, %v; want %s", in, got, err, want)
		}
	}
	if _, _, err := runQuery("colour:red"); err == nil || !strings.Contains(err.Error(), "known: status, flow, project, ref") {
		t.Errorf("got %v, want what is known", err)
	}
}
