package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"refline/internal/api"
	"refline/internal/cli"
)

// serverCmds are commands of scripts about servers. A server itself is a program
// in the background: exec refline server --listen 127.0.0.1:0 &server&
func serverCmds() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){"ready": serverReady, "gitserver": scriptGitServer, "waitbackfill": waitBackfill, "waitrun": waitRun,
		"plandigest": scriptPlanDigest, "servervar": scriptVariable, "push": scriptPush, "registry": scriptRegistry}
}

// serverReady waits until the server of REFLINE_DATA answers, and sets SERVER_URL:
// ready.
func serverReady(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: ready")
	}
	path := filepath.Join(ts.Getenv("REFLINE_DATA"), cli.ServerFile)
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(path)
		var running cli.RunningServer
		if err != nil || json.Unmarshal(text, &running) != nil {
			continue
		}
		resp, err := http.Get(running.URL + "/healthz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			ts.Setenv("SERVER_URL", running.URL)
			return
		}
	}
	ts.Fatalf("no server answers for %s", path)
}

// scriptGitServer serves the bare repositories of a folder over http to user git with
// the token GIT_TOKEN, and sets GIT_URL: gitserver FOLDER.
func scriptGitServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: gitserver FOLDER")
	}
	backend := gitBackend()
	if backend == "" {
		ts.Fatalf("git has no http-backend")
	}
	const token = "flows-token-3kf81nd0"
	s := httptest.NewServer(serveGit(backend, ts.MkAbs(args[0]), "oauth2", digestOf(token)))
	ts.Defer(s.Close)
	ts.Setenv("GIT_URL", s.URL)
	ts.Setenv("GIT_TOKEN", token)
}

// waitBackfill waits until so many dates of a backfill succeeded: waitbackfill ID N.
func waitBackfill(ts *testscript.TestScript, _ bool, args []string) {
	client := scriptClient(ts)
	id, _ := strconv.ParseInt(args[0], 10, 64)
	want, _ := strconv.Atoi(args[1])
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		b, err := client.Backfill(context.Background(), id)
		ts.Check(err)
		if b.Dates.Succeeded == want && b.State == "done" {
			return
		}
	}
	b, err := client.Backfill(context.Background(), id)
	ts.Fatalf("backfill %d: %+v, %+v, %v; want %d", id, b, b.Dates, err, want)
}

// waitRun waits until a run is at rest: waitrun ID.
func waitRun(ts *testscript.TestScript, _ bool, args []string) {
	client := scriptClient(ts)
	id, _ := strconv.ParseInt(args[0], 10, 64)
	for began := time.Now(); time.Since(began) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		r, err := client.Run(context.Background(), id)
		ts.Check(err)
		if r.Status.Done() {
			return
		}
	}
	ts.Fatalf("run %d goes on", id)
}

// scriptClient is the owner's client of the script's server.
func scriptClient(ts *testscript.TestScript) *api.Client {
	dir := ts.Getenv("REFLINE_DATA")
	text, err := os.ReadFile(filepath.Join(dir, cli.ServerFile))
	ts.Check(err)
	var running cli.RunningServer
	ts.Check(json.Unmarshal(text, &running))
	client, err := cli.OwnerClient(dir, running)
	ts.Check(err)
	return client
}
