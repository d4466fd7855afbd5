package localrun

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
)

const (
	secretText   = "hunter2-and-a-tail-of-some-length"
	secretNumber = "918273645546372819"
)

func addSecrets(t testing.TB, add func(string, []byte) error) {
	t.Helper()
	must(t, add("TEXT", []byte(secretText)))
	must(t, add("NUMBER", []byte(secretNumber)))
}

// noSecret reports a piece of a secret in what is shown to people.
func noSecret(t testing.TB, where, text string) {
	t.Helper()
	for _, s := range []string{secretText, secretNumber} {
		for i := range len(s) - 15 {
			if strings.Contains(text, s[i:i+16]) {
				t.Errorf("%s holds %q:\n%s", where, s[i:i+16], text)
				return
			}
		}
	}
}

// everything a run tells and keeps, as text.
func (h *runTest) everything(res Result) map[string]string {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := map[string]string{}
	var log strings.Builder
	for i, ev := range h.events {
		line, err := json.Marshal(ev)
		must(h.t, err)
		all[fmt.Sprintf("event %d", i)] = string(line)
		log.Write(ev.Data)
	}
	all["the log as it was reported"] = log.String()
	for _, rec := range res.Jobs {
		if rec.Log != "" {
			text, err := os.ReadFile(rec.Log)
			must(h.t, err)
			all["the stored log"] = string(text)
		}
		if rec.Result.Err != nil {
			all["the error"] = rec.Result.Err.Error()
		}
	}
	return all
}

func TestSecretsAreInNothingARunTells(t *testing.T) {
	t.Parallel()
	steps := func(lines string) script {
		return func(_ context.Context, c fakeCommand) (int, error) {
			return 0, os.WriteFile(filepath.Join(c.Temp(), "events.jsonl"), []byte(lines), 0o644)
		}
	}
	tests := []struct {
		name   string
		job    pipeline.Job
		script script
		start  func(context.Context, executor.Spec) error
		want   string // is told or kept
	}{
		{
			name: "printed, whole and in pieces",
			script: func(_ context.Context, c fakeCommand) (int, error) {
				for i := range len(secretText) {
					c.Print(secretText[i : i+1])
				}
				c.Print("\n" + secretNumber + "\n")
				return 1, nil
			},
			want: "[masked]\n[masked]\n",
		},
		{
			name: "an error of the executor",
			script: func(context.Context, fakeCommand) (int, error) {
				return -1, errs.E(errs.Unavailable, "no answer to %s", secretText)
			},
			want: "no answer to [masked]",
		},
		{
			name: "an error at the start, and what is printed before",
			start: func(_ context.Context, s executor.Spec) error {
				fmt.Fprintln(s.Log, "pull", secretText)
				return errs.E(errs.NotFound, "no image %s", secretText)
			},
			want: "no image [masked]",
		},
		{name: "the text of a step", script: steps(`{"type":"markdown","text":"it is ` + secretText + `"}`), want: "it is [masked]"},
		{name: "with its letters written as numbers", script: steps(`{"type":"markdown","text":"it is \u0068unter2-and-a-tail-of-some-length"}`), want: "it is [masked]"},
		{name: "a number", script: steps(`{"type":"progress","current":` + secretNumber + `,"total":1}`), want: `"current":"[masked]"`},
		{name: "a name in a step", script: steps(`{"type":"table","rows":[[{"` + secretText + `":1}]],"columns":["a"]}`), want: `{"[masked]":1}`},
		{name: "a number among rows", script: steps(`{"type":"table","columns":["a"],"rows":[[` + secretNumber + `]]}`), want: `["[masked]"]`},
		{name: "a line that is no JSON", script: steps(secretText), want: "not a JSON object"},
		{name: "a number in a wrong place", script: steps(`{"type":"markdown","text":` + secretNumber + `}`), want: "$REFLINE_EVENTS:1"},
		{name: "an unknown type", script: steps(`{"type":"` + secretText + `"}`), want: `unknown type \"[masked]\"`},
		{name: "an unknown status", script: steps(`{"type":"step_finished","status":"` + secretText + `"}`), want: `unknown status \"[masked]\"`},
		{name: "the place of a deployment", job: pipeline.Job{Environment: &pipeline.Environment{Name: "prod", URL: "https://host/?t=$TEXT"}}, want: "deployed to prod: https://host/?t=[masked]"},
		{name: "the name of a step of run", job: pipeline.Job{Run: []pipeline.RunEntry{{Name: secretText, Script: "x"}}}, want: `"step":"[masked]"`},
		{name: "a path of artifacts", job: pipeline.Job{Artifacts: &pipeline.Artifacts{Paths: []string{"none/$TEXT"}}}, want: "nothing matches"},
		{
			name: "the name of an artifact",
			job:  pipeline.Job{Artifacts: &pipeline.Artifacts{Reports: map[string][]string{"dotenv": {secretText}}}},
			script: func(_ context.Context, c fakeCommand) (int, error) {
				return 0, os.WriteFile(filepath.Join(c.Workspace(), secretText), []byte(secretText+"\n"), 0o644)
			},
			want: "reports:dotenv [masked]",
		},
		{name: "a variable that cannot be given", job: pipeline.Job{Variables: []pipeline.Variable{{Name: secretText + "=", Value: "x"}}}, want: `variable \"[masked]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.job.Name = "a/x"
			h := newRun(t, tt.job)
			addSecrets(t, h.secrets.Add)
			h.in.Variables = func(*pipeline.Job) (below, above []pipeline.Variable) {
				return []pipeline.Variable{{Name: "CI_JOB_NAME", Value: "x"}}, []pipeline.Variable{{Name: "TEXT", Value: secretText, Raw: true, Masked: true}}
			}
			h.scripts["x"], h.fake.OnStart = tt.script, tt.start
			res := h.run()
			found := false
			for where, text := range h.everything(res) {
				noSecret(t, where, text)
				found = found || strings.Contains(text, tt.want)
			}
			if !found {
				t.Errorf("%q is nowhere in %q", tt.want, h.everything(res))
			}
		})
	}
}

// A log that holds a secret after all is not kept, and the job is red: here one
// that became known only after it was printed.
func TestLeakInTheStoredLogFailsClosed(t *testing.T) {
	t.Parallel()
	h := newRun(t, pipeline.Job{Name: "a/x", Artifacts: &pipeline.Artifacts{Paths: []string{"README"}}}, pipeline.Job{Name: "b/y"})
	h.scripts["x"] = func(_ context.Context, c fakeCommand) (int, error) {
		c.Print("it is " + secretText + "\n")
		addSecrets(t, h.secrets.Add)
		return 0, nil
	}
	res := h.run()
	if got, want := h.statuses(res), "x=failed y=skipped → failed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r := res.Jobs[0].Result
	if r.Reason != pipeline.ReasonDataIntegrity || r.Err == nil || !strings.Contains(r.Err.Error(), "TEXT") {
		t.Errorf("got %+v", r)
	}
	if log := h.log(res, "x"); log != "" {
		t.Errorf("the log still holds %q", log)
	}
	noSecret(t, "the error", r.Err.Error())
}
