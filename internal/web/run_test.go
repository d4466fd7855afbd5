package web

import (
	"testing"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

// What a job writes as Markdown loads nothing and runs nothing.
func TestMarkdownIsHarmless(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"**a** <script>alert(1)</script>":      "<p><strong>a</strong> <!-- raw HTML omitted -->alert(1)<!-- raw HTML omitted --></p>\n",
		"[x](javascript:alert(1))":             "<p><a href=\"\">x</a></p>\n",
		"![x *y*](https://evil.example.com/p)": "<p><a href=\"https://evil.example.com/p\">x <em>y</em></a></p>\n",
		"# a":                                  "<h3>a</h3>\n",
		"<iframe src=x></iframe>":              "<!-- raw HTML omitted -->\n",
	} {
		if got := string(markdown(source)); got != want {
			t.Errorf("%s: %q, want %q", source, got, want)
		}
	}
}

// A retry of a day later does not squeeze the first try.
func TestAxisCutsIdleTime(t *testing.T) {
	t.Parallel()
	start := time.Date(2026, 3, 4, 5, 0, 0, 0, time.UTC)
	minute := func(n int) time.Time { return start.Add(time.Duration(n) * time.Minute) }
	a := newAxis(start, minute(1510), []span{{minute(1500), minute(1510)}, {minute(0), minute(10)}, {minute(5), minute(8)}})
	first, second := a.place(minute(10))-a.place(start), a.place(minute(1510))-a.place(minute(1500))
	if first < 40 || second < 40 || a.place(minute(1510)) > 100 {
		t.Errorf("the tries have %.1f %% and %.1f %% of the line", first, second)
	}
	for _, c := range []axis{newAxis(start, start, nil), newAxis(start, minute(-5), []span{{minute(1), minute(0)}})} {
		if at := c.place(minute(1)); !(at >= 0 && at <= 100) {
			t.Errorf("outside of the line: %f", at)
		}
	}
}

func TestRunSays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	c := at(t, "UTC", now)
	run := func(status pipeline.Status, jobs ...api.Job) api.RunDetail {
		return api.RunDetail{Run: api.Run{ID: 7, Status: status, Created: now.Add(-5 * time.Minute), Started: now.Add(-4 * time.Minute), Finished: now.Add(-time.Minute), Jobs: jobs}}
	}
	failed := run("failed", api.Job{Name: "a<b>", Status: "failed"}, api.Job{Name: "c", Status: "skipped"})
	failed.Failures = []api.Failure{{Job: "a<b>", ExitCode: 2, Attempts: 2}}
	canceled := run("canceled")
	canceled.Acts = []api.Act{{Actor: "token ada", Action: "run.cancel"}}
	for want, d := range map[string]api.RunDetail{
		`Failed after 3 min: <a href="/runs/7/jobs/a%3Cb%3E">a&lt;b&gt;</a> ended with exit 2 in attempt 2; c did not run.`: failed,
		`Passed in 3 min.`: run("success", api.Job{Name: "a", Status: "success"}),
		`Passed in 3 min. <a href="/runs/7/jobs/a">a</a> failed, which is allowed.`: run("success", api.Job{Name: "a", Status: "failed", AllowFailure: true}),
		`Canceled after 3 min by token ada.`:                                        canceled,
		`Waits for a person: a and b can be started.`:                               run("manual", api.Job{Name: "a", Status: "manual"}, api.Job{Name: "b", Status: "manual"}),
	} {
		if got := string(c.runSays(d)); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if got, want := retryName(failed.Run), "Retry a<b>"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := retryName(run("success", api.Job{Name: "a", Status: "success"}).Run); got != "" {
		t.Errorf("nothing to retry: %q", got)
	}
}
