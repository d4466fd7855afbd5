package web

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/api"
)

func TestRunQuery(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("UTC+1", 3600)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, zone)
	for in, want := range map[string]api.RunQuery{
		"":                                {},
		"status:failed,running flow:a":    {Flow: "a", Statuses: []string{"failed", "running"}},
		"status:passed,waiting":           {Statuses: []string{"manual", "success"}},
		"daily ref:main":                  {Flow: "daily", Ref: "main"},
		"branch:feature/x":                {Ref: "feature/x"},
		"tag:v1":                          {Ref: "v1"},
		"commit:9B1D0e4 actor:ada":        {Commit: "9b1d0e4", Actor: "ada"},
		"9b1d0e4":                         {Commit: "9b1d0e4"},
		"facade":                          {Flow: "facade"},
		"event:push since:2026-11-20":     {Event: "push", Since: time.Date(2026, 11, 20, 0, 0, 0, 0, zone)},
		"until:2026-11-20":                {Until: time.Date(2026, 11, 20, 23, 59, 59, 999e6, zone)},
		"since:7d until:2026-11-22T06:00": {Since: now.AddDate(0, 0, -7), Until: time.Date(2026, 11, 22, 6, 0, 0, 0, zone)},
	} {
		got, run, err := readRunQuery(in, now, zone)
		if diff := cmp.Diff(want, got); err != nil || run != 0 || diff != "" {
			t.Errorf("%q: run %d, %v\n%s", in, run, err, diff)
		}
	}
	if _, run, err := readRunQuery("#42", now, zone); run != 42 || err != nil {
		t.Errorf("#42: %d, %v", run, err)
	}
	for in, want := range map[string]string{
		"stats:failed":  `"stats" is not a key of a search; did you mean status:failed? known: status, flow,`,
		"colour:red":    `"colour" is not a key of a search; known: status, flow,`,
		"commit:xyz":    `"xyz" is not the begin of a commit`,
		"since:tuesday": `"tuesday" is not a time`,
		"since:99999d":  `"99999d" is not a time`,
		"ref:":          "ref: has no value",
		"<b>:x":         `"<b>" is not a key`,
	} {
		if _, _, err := readRunQuery(in, now, zone); err == nil || !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%q: got %v, want %s", in, err, want)
		}
	}
}
