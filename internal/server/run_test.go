package server

import (
	"testing"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
)

// Who may not start runs of protected refs does not get their secrets by playing or
// retrying jobs of a run that somebody else started.
func TestProtectedRunsOfOthers(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.work()
	s.addTestProject(7, "data/flows")
	p := &pipeline.Pipeline{Stages: []string{"test"}, Jobs: []pipeline.Job{{Name: "job", Base: "job", Stage: "test", When: pipeline.WhenManual}}}
	newRun := func(protected bool, facts string) int64 {
		t.Helper()
		r, err := s.scheduler.Create(t.Context(), scheduler.NewRun{
			Project: 7, Pipeline: p, Facts: []byte(facts), Source: pipeline.TriggerPush, Ref: "main", SHA: "abc", Protected: protected,
		})
		if err != nil {
			t.Fatal(err)
		}
		return r.ID
	}
	runner := WithActor(t.Context(), Actor{Kind: ActorToken, Name: "nightly", Scopes: []action{actRun}})
	for _, c := range []struct {
		name      string
		protected bool
		facts     string
		denied    bool
	}{
		{"of a protected ref by a push", true, `{"trust": {"level": 2}}`, true},
		{"of a protected ref by a token of the same scope", true, `{"trust": {"level": 1}}`, false},
		{"of another ref", false, `{"trust": {"level": 2}}`, false},
	} {
		id := newRun(c.protected, c.facts)
		if err := s.play(runner, id, "job", nil); errs.Is(err, errs.Denied) != c.denied {
			t.Errorf("%s: play: %v", c.name, err)
		}
		if !c.denied {
			continue
		}
		if err := s.act(runner, id, "job", pipeline.EventRetry); !errs.Is(err, errs.Denied) {
			t.Errorf("%s: retry: %v", c.name, err)
		}
		if err := s.act(runner, id, "", pipeline.EventCancel); errs.Is(err, errs.Denied) {
			t.Errorf("%s: cancel: %v", c.name, err)
		}
		if err := s.play(WithActor(t.Context(), owned()), newRun(c.protected, c.facts), "job", nil); err != nil {
			t.Errorf("%s: play by the owner: %v", c.name, err)
		}
	}
}
