package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/secret"
)

var now = time.Unix(1_780_000_000, 0).UTC()

func TestStatusOf(t *testing.T) {
	t.Parallel()
	failed := []Job{{Name: "build"}, {Name: "test"}}
	for _, tc := range []struct {
		run  Run
		want string
	}{
		{Run{Number: 1, Status: "created", Flow: "load"}, "refline/load pending: #1 waits"},
		{Run{Number: 1, Status: "pending"}, "refline pending: #1 waits"},
		{Run{Number: 1, Status: "scheduled"}, "refline pending: #1 waits"},
		{Run{Number: 1, Status: "manual", Waiting: []Job{{Name: "deploy"}}}, "refline pending: #1 waits for a person: deploy"},
		{Run{Number: 1, Status: "running", Flow: "load", MergeRequest: 7}, "refline/load (mr) running: #1 running"},
		{Run{Number: 1, Status: "canceling"}, "refline running: #1 running"},
		{Run{Number: 1, Status: "success", Started: now, Finished: now.Add(184 * time.Second)}, "refline success: #1 passed in 3m4s"},
		{Run{Number: 1, Status: "failed", Failed: failed}, "refline failed: #1 failed: build, test"},
		{Run{Number: 1, Status: "failed", SystemError: true}, "refline error: #1 could not run"},
		{Run{Number: 1, Status: "canceled"}, "refline canceled: #1 canceled"},
		{Run{Number: 1, Status: "skipped"}, "refline skipped: #1 skipped"},
	} {
		s := StatusOf(tc.run)
		if got := fmt.Sprintf("%s %s: %s", s.Context, s.State, s.Description); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.run.Status, got, tc.want)
		}
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		status, previous string
		want             Event
	}{
		{"failed", "success", EventFailure}, {"failed", "failed", EventFailure}, {"success", "failed", EventRecovery},
		{"success", "success", ""}, {"success", "", ""}, {"success", "canceled", ""}, {"manual", "", EventWaiting}, {"running", "failed", ""}, {"canceled", "failed", ""},
	} {
		if got := EventOf(Run{Status: tc.status, Previous: tc.previous}); got != tc.want {
			t.Errorf("%s after %s: %q, want %q", tc.status, tc.previous, got, tc.want)
		}
	}
	rules := []Rule{{ID: 1, Kind: RuleSlack, Events: []Event{EventFailure}}, {ID: 2, Kind: RuleEmail, Events: []Event{EventWaiting, EventFailure}}, {ID: 3, Kind: RuleEmail, Events: []Event{EventWaiting}}}
	list, err := WantEvents(Run{ID: 5, Status: "failed"}, rules, now)
	if err != nil || len(list) != 2 || list[0].Kind != "slack" || list[1].Target != "rule 2 run 5 failure" {
		t.Errorf("%+v, %v", list, err)
	}
	first, _ := WantEvents(Run{ID: 5, Status: "manual", Waiting: []Job{{Name: "dev"}}}, rules[2:], now)
	second, _ := WantEvents(Run{ID: 5, Status: "manual", Waiting: []Job{{Name: "prod"}}}, rules[2:], now)
	if first[0].Target == second[0].Target {
		t.Error("a run that waits twice is told once")
	}
}

func TestRunsAreBounded(t *testing.T) {
	t.Parallel()
	r := Run{ID: 5, Status: "failed", Title: strings.Repeat("ü", 10_000)}
	for range 5000 {
		r.Failed = append(r.Failed, Job{Name: strings.Repeat("j", 200)})
	}
	list, err := WantEvents(r, []Rule{{ID: 1, Kind: RuleSlack, Events: Events()}}, now)
	if err != nil || len(list[0].Body) > 20_000 {
		t.Errorf("%d bytes, %v", len(list[0].Body), err)
	}
	m, err := WantStatus(r, now)
	if err != nil || len(m.Body) > 20_000 {
		t.Errorf("%d bytes, %v", len(m.Body), err)
	}
	m, err = WantComment(r, "k", strings.Repeat("line\n", 1_000_000), now)
	if err != nil || len(m.Body) > 2_000_000 {
		t.Errorf("%d bytes, %v", len(m.Body), err)
	}
}

func TestRuleCheck(t *testing.T) {
	t.Parallel()
	address := func(text string) Settings { return Settings{URL: secret.NewString(text)} }
	to := func(list ...string) Settings { return Settings{To: list} }
	for _, tc := range []struct {
		rule Rule
		want string
	}{
		{Rule{Kind: RuleSlack, Events: Events(), Settings: address("https://hooks.example.com/x")}, ""},
		{Rule{Kind: RuleEmail, Events: Events(), Settings: to("a@example.com", "B <b@example.com>")}, ""},
		{Rule{Kind: RuleSlack, Settings: address("https://hooks.example.com/x")}, "no event"},
		{Rule{Kind: RuleSlack, Events: []Event{"success"}, Settings: address("https://hooks.example.com/x")}, `unknown event "success"`},
		{Rule{Kind: RuleSlack, Events: Events(), Settings: address("hooks.example.com/hidden")}, "not a URL"},
		{Rule{Kind: RuleWebhook, Events: Events(), Settings: address("file:///etc/hidden")}, "not a URL"},
		{Rule{Kind: RuleWebhook, Events: Events(), Settings: address("https://u:hidden@example.com/")}, "password"},
		{Rule{Kind: RuleEmail, Events: Events()}, "0 addresses"},
		{Rule{Kind: RuleEmail, Events: Events(), Settings: to("a@example.com\r\nBcc: x@example.com")}, "not an e-mail address"},
		{Rule{Kind: "pager", Events: Events()}, "unknown kind"},
		{Rule{Kind: RuleEmail, Events: Events(), Settings: to("a@example.com"), Template: "{{.Nope}}"}, "Nope"},
	} {
		err := tc.rule.Check()
		if (err == nil) != (tc.want == "") || err != nil && (!errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hidden")) {
			t.Errorf("%+v: %v, want %q", tc.rule, err, tc.want)
		}
	}
}

func TestSettingsAreKeptWhole(t *testing.T) {
	t.Parallel()
	want := Settings{secret.NewString("https://x/y"), secret.NewString("k"), []string{"a@example.com"}}
	text, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeSettings(text)
	if err != nil || !got.URL.Equal(want.URL) || !got.Secret.Equal(want.Secret) || got.To[0] != want.To[0] {
		t.Errorf("got %+v, %v", got, err)
	}
	if shown, err := json.Marshal(want); err == nil && strings.Contains(string(shown), "https://x/y") {
		t.Errorf("settings show their secrets: %s", shown)
	}
}

func same(s string) string { return s }

func TestTemplates(t *testing.T) {
	t.Parallel()
	p := payload{Event: EventFailure, Run: sampleRun()}
	for text, want := range map[string]string{
		"{{.Subject}}": "example/hello #1 failed on main",
		"{{range .Failed}}{{.Name}}: {{.Reason}};{{end}} {{.Duration}}":               "test: script_failure; 1m14s",
		"{{if and (eq .Status \"failed\") .Flow}}{{.Flow}}{{else}}-{{end}}":           "hello",
		"{{$n := .Number}}{{with .Actor}}{{.}} {{$n}}{{end}} {{len .Waiting}}":        "refline 1 1",
		"{{range $i, $j := .Failed}}{{$i}}{{range $.Waiting}}{{.Name}}{{end}}{{end}}": "0deploy",
	} {
		if err := CheckTemplate(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got, err := p.render(text, same, 1000); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"{{":                          "cannot be read: template:1: ",
		"\n{{.Nope}}":                 "template:2",
		"{{.Status.Nope}}":            "does not fit",
		"{{range 1000000000}}{{end}}": "range is over .Failed or .Waiting only, not 1000000000",
		"{{range .Number}}{{end}}":    "range is over",
		"{{range .Failed}}{{range $.Failed}}{{range $.Failed}}{{end}}{{end}}{{end}}": "2 deep",
		`{{printf "%1000000d" 1}}`:              "function printf is not allowed",
		`{{if (printf "x")}}{{end}}`:            "function printf is not allowed",
		`{{"<" | js | js}}`:                     "function js is not allowed",
		`{{define "a"}}{{template "a"}}{{end}}`: "defines others",
		`{{template "template" .}}`:             "cannot use others",
		strings.Repeat("x", maxTemplate+1):      "more than 8192",
	} {
		if err := CheckTemplate(text); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
	long := Run{Status: "failed", Title: strings.Repeat("ü", 250), Commit: "abc"}
	got, err := payload{Event: EventFailure, Run: long}.render(strings.Repeat("{{.Title}}\n", 100), same, 1000)
	if err != nil || len(got) > 1010 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	for _, text := range []string{defaultTemplate, slackTemplate} {
		if err := CheckTemplate(text); err != nil {
			t.Error(err)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	for _, text := range []string{defaultTemplate, slackTemplate, "{{range $i, $j := .Failed}}{{break}}{{end}}", "{{range 9}}{{end}}", "{{.A.B}}", "{{block \"x\" .}}{{end}}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if CheckTemplate(text) != nil {
			return
		}
		start := time.Now()
		got, err := payload{Event: EventWaiting, Run: Run{Status: "manual"}}.render(text, same, maxText)
		if len(got) > maxText+3 || time.Since(start) > 2*time.Second {
			t.Errorf("%d bytes in %s, %v", len(got), time.Since(start), err)
		}
	})
}
