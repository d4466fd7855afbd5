package server_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/refltest"
	"refline/internal/server"
)

// TestRunnerRequests: what a runner may not ask for, or sends wrongly, is refused with
// the kind and the code that it acts on; what is sent again is taken once.
func TestRunnerRequests(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{TCP: true})
	who := server.RunnerIdentity{Runner: 1, Tags: []string{"a", "b"}}
	s.API.Authenticate = func(r *http.Request) (server.RunnerIdentity, error) {
		if r.Header.Get("Authorization") == "Bearer other" {
			return server.RunnerIdentity{Runner: 2}, nil
		}
		return who, nil
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &api.RunnerClient{URL: s.URL, HTTP: &http.Client{Transport: transport}}
	other := &api.RunnerClient{URL: s.URL, HTTP: client.HTTP, Token: func() string { return "other" }}
	ctx := t.Context()
	if _, err := client.OpenSession(ctx, api.RunnerSessionRequest{Protocol: 1, Tags: []string{"c"}}); !errs.Is(err, errs.Denied) {
		t.Errorf("a tag of others: got %v, want denied", err)
	}
	if _, err := client.OpenSession(ctx, api.RunnerSessionRequest{Protocol: 9}); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "update the server") {
		t.Errorf("protocol 9: got %v, want invalid", err)
	}
	session, err := client.OpenSession(ctx, api.RunnerSessionRequest{Protocol: 1, Tags: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	r := s.Create(refltest.Script("true"))
	poll := api.PollRequest{Session: session.Session, Free: 1, HoldMS: 5000}
	if _, err := other.Poll(ctx, poll); !errs.Is(err, errs.Denied) {
		t.Errorf("a poll of another's session: got %v, want denied", err)
	}
	answer, err := client.Poll(ctx, poll)
	if err != nil || len(answer.Jobs) != 1 {
		t.Fatal(answer, err)
	}
	id, fence := session.Session, answer.Jobs[0].Fence
	if _, err := other.Job(ctx, id, fence); !errs.Is(err, errs.Denied) {
		t.Errorf("the job of another's attempt: got %v, want denied", err)
	}
	if _, err := client.Job(ctx, id+1, fence); api.ProblemCode(err) != api.CodeLostLease {
		t.Errorf("the job from another session: got %v, want a lost lease", err)
	}
	for range 2 {
		if spec, err := client.Job(ctx, id, fence); err != nil || spec.Fence != fence {
			t.Errorf("the job: got %v, %v", spec.Fence, err)
		}
	}
	if _, err := client.AppendLog(ctx, id, fence, 5, []byte("late")); api.ProblemCode(err) != api.CodeGap {
		t.Errorf("a gap: got %v", err)
	} else if next, ok := api.GapAt(err); !ok || next != 0 {
		t.Errorf("a gap: go on at %d, %v; want 0", next, ok)
	}
	for range 2 {
		if a, err := client.AppendLog(ctx, id, fence, 0, []byte("hello\n")); err != nil || a.Offset != 6 {
			t.Errorf("log: got %+v, %v; want 6 bytes", a, err)
		}
	}
	if _, err := client.AppendLog(ctx, id, fence, 6, make([]byte, api.MaxLogChunk+1)); !errs.Is(err, errs.Invalid) {
		t.Errorf("a large chunk: got %v, want invalid", err)
	}
	step := []byte(`{"event":"step","time":1,"step":{"type":"progress"}}` + "\n")
	if _, err := client.AppendEvents(ctx, id, fence, 1, step); api.ProblemCode(err) != api.CodeGap {
		t.Errorf("events with a gap: got %v", err)
	}
	for range 2 {
		if a, err := client.AppendEvents(ctx, id, fence, 0, step); err != nil || a.Seq != 1 {
			t.Errorf("events: got %+v, %v; want 1 next", a, err)
		}
	}
	for _, bad := range []string{"{", `{"event":"run_started"}`, "[]"} {
		if _, err := client.AppendEvents(ctx, id, fence, 1, []byte(bad+"\n")); !errs.Is(err, errs.Invalid) {
			t.Errorf("event %s: got %v, want invalid", bad, err)
		}
	}
	for _, key := range []string{"artifact/999", "cache", "../x", "artifact/x", "results/999", "results/x", "results/0"} {
		if _, err := client.FileInfo(ctx, id, fence, key); err == nil {
			t.Errorf("key %q was taken", key)
		}
	}
	sum := api.FileSum{Size: 1, SHA256: strings.Repeat("0", 64)}
	if _, err := client.BeginFile(ctx, id, fence, "artifact/999", sum); !errs.Is(err, errs.Denied) {
		t.Errorf("another's artifacts: got %v, want denied", err)
	}
	if _, err := client.BeginFile(ctx, id, fence, "results/999", sum); err == nil {
		t.Error("another's results of tasks could be written")
	}
	if _, err := client.BeginFile(ctx, id, fence, fmt.Sprint("results/", fence), sum); err != nil {
		t.Errorf("the attempt's own results of tasks: %v", err)
	}
	if err := client.SendFile(ctx, id, fence, fmt.Sprint("artifact/", fence), sum, api.FileUpload{}, strings.NewReader("x")); !errs.Is(err, errs.Invalid) {
		t.Errorf("content with another sum: got %v, want invalid", err)
	}
	result := api.FinishRequest{Result: api.JobResult{Status: "success", LogBytes: 6}, Log: api.LogTail{Offset: 6}, Poll: api.PollRequest{Session: id}}
	if _, err := client.Finish(ctx, fence, api.FinishRequest{Result: api.JobResult{Status: "running"}, Poll: result.Poll}); !errs.Is(err, errs.Invalid) {
		t.Errorf("an end that is none: got %v, want invalid", err)
	}
	for range 2 {
		if _, err := client.Finish(ctx, fence, result); err != nil {
			t.Errorf("the result: %v", err)
		}
	}
	result.Result.Status = "failed"
	if _, err := client.Finish(ctx, fence, result); api.ProblemCode(err) != api.CodeLostLease {
		t.Errorf("another result: got %v, want a lost lease", err)
	}
	if _, err := client.AppendLog(ctx, id, fence, 6, []byte("late")); api.ProblemCode(err) != api.CodeLostLease {
		t.Errorf("a log after the end: got %v, want a lost lease", err)
	}
	if got := s.Log(r.ID, fence); got != "hello\n" {
		t.Errorf("log %q", got)
	}
	for range 2 {
		if err := client.CloseSession(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if _, err := client.Poll(ctx, poll); api.ProblemCode(err) != api.CodeSession {
		t.Errorf("a poll after the end: got %v, want that the session ended", err)
	}
	s.Check()
}

// TestRunnerBodies: bodies are bounded, packed ones by what they unpack to.
func TestRunnerBodies(t *testing.T) {
	t.Parallel()
	s := refltest.Start(t, refltest.Options{TCP: true})
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		body    []byte
		packing string
		want    int
	}{
		"unpacks to much": {bomb.Bytes(), "gzip", http.StatusBadRequest},
		"large":           {make([]byte, api.MaxRunnerBody+10), "", http.StatusBadRequest},
		"not packed":      {[]byte("{}"), "gzip", http.StatusBadRequest},
		"not JSON":        {[]byte("{"), "", http.StatusBadRequest},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+api.RunnerPath+"/poll", bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Encoding", c.packing)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(name, err)
		}
		_ = res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s: got %s, want %d", name, res.Status, c.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
