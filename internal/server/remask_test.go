package server_test

import (
	"net/http"
	"strings"
	"testing"

	"refline/internal/api"
	"refline/internal/pipeline"
	"refline/internal/refltest"
)

// TestRunnerThatDoesNotMask: what a runner sends in clear is masked before it is
// stored, also over two chunks and after a restart of the server.
func TestRunnerThatDoesNotMask(t *testing.T) {
	t.Parallel()
	const canary = "kanarie-5f1e77c0d2"
	s := refltest.Start(t, refltest.Options{TCP: true})
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := func() *api.RunnerClient {
		return &api.RunnerClient{URL: s.URL, HTTP: &http.Client{Transport: transport}}
	}
	ctx := t.Context()
	p := refltest.Script("true")
	p.Jobs[0].Variables = []pipeline.Variable{{Name: "CANARY", Value: canary, Masked: true}}
	r := s.Create(p)
	session, err := client().OpenSession(ctx, api.RunnerSessionRequest{Protocol: 1})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client().Poll(ctx, api.PollRequest{Session: session.Session, Free: 1, HoldMS: 30000})
	if err != nil || len(answer.Jobs) != 1 {
		t.Fatal(answer, err)
	}
	fence := answer.Jobs[0].Fence
	if _, err := client().Job(ctx, session.Session, fence); err != nil {
		t.Fatal(err)
	}
	log := "it is " + canary + "\nand once more " + canary + "\n"
	half := len("it is kana")
	for _, part := range []struct {
		offset int
		text   string
	}{{0, log[:half]}, {half, log[half:]}} {
		if _, err := client().AppendLog(ctx, session.Session, fence, int64(part.offset), []byte(part.text)); err != nil {
			t.Fatal(err)
		}
	}
	s.Restart()
	event := `{"event":"step","time":1,"step":{"type":"progress","message":"` + canary + `"}}` + "\n"
	if _, err := client().AppendEvents(ctx, session.Session, fence, 0, []byte(event)); err != nil {
		t.Fatal(err)
	}
	_, err = client().Finish(ctx, fence, api.FinishRequest{
		Result: api.JobResult{Status: pipeline.StatusFailed, Reason: pipeline.ReasonScriptFailure, ExitCode: 1, Error: &api.JobError{Text: "cannot use " + canary}},
		Log:    api.LogTail{Offset: int64(len(log)), Data: []byte("at last " + canary + "\n")},
		Poll:   api.PollRequest{Session: session.Session},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Wait(r.ID)
	text := s.Log(r.ID, fence)
	want := strings.Repeat("*", len("it is "+canary)) + "\n" + strings.Repeat("*", len("and once more "+canary)) + "\n" + strings.Repeat("*", len("at last "+canary)) + "\n"
	if text != want {
		t.Errorf("log %q, want %q", text, want)
	}
	events, err := s.Store.Events(ctx, fence, 0, 10)
	if err != nil || len(events) != 1 || strings.Contains(events[0].Body, canary) || !strings.Contains(events[0].Body, "[masked]") {
		t.Errorf("events %+v, %v; want one without the secret", events, err)
	}
	results, err := s.Store.AttemptResults(ctx, []int64{fence})
	if err != nil || len(results) != 1 || strings.Contains(results[0].Body, canary) || !strings.Contains(results[0].Body, "cannot use [masked]") {
		t.Errorf("results %+v, %v; want one without the secret", results, err)
	}
}
