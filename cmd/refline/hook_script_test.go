package main

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"refline/internal/api"
)

// hookCmds are commands of scripts about webhooks and notifications.
func hookCmds(cmds map[string]func(*testscript.TestScript, bool, []string)) {
	cmds["fromstdout"], cmds["hooked"], cmds["deliver"] = fromStdout, hooked, deliver
	cmds["receiver"], cmds["waitfile"], cmds["waitout"] = receiver, waitFile, waitOut
}

// fromStdout sets a variable to what the last command printed: fromstdout NAME.
func fromStdout(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// hooked sets HOOK_URL and HOOK_SECRET to those of refline project hook --json, which
// ran last. HOOK_SECRET stays if it was not shown.
func hooked(ts *testscript.TestScript, _ bool, _ []string) {
	var h api.Hook
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &h))
	ts.Setenv("HOOK_URL", h.URL)
	if h.Secret != "" {
		ts.Setenv("HOOK_SECRET", h.Secret)
	}
}

// deliver sends the JSON of a file, its $NAMES expanded, as Gitea does: deliver
// STATUS EVENT ID FILE.
func deliver(ts *testscript.TestScript, _ bool, args []string) {
	body := []byte(os.Expand(ts.ReadFile(args[3]), ts.Getenv))
	mac := hmac.New(sha256.New, []byte(ts.Getenv("HOOK_SECRET")))
	mac.Write(body)
	req, err := http.NewRequest(http.MethodPost, ts.Getenv("HOOK_URL"), bytes.NewReader(body))
	ts.Check(err)
	for name, value := range map[string]string{"Content-Type": "application/json", "X-Gitea-Event": args[1], "X-Gitea-Delivery": args[2], "X-Gitea-Signature": hex.EncodeToString(mac.Sum(nil))} {
		req.Header.Set(name, value)
	}
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	if !strings.HasPrefix(resp.Status, args[0]) {
		ts.Fatalf("delivery %s: %s %s", args[2], resp.Status, text)
	}
}

// receiver takes POSTs and writes their bodies to a file, and the address to
// another: receiver BODIES ADDRESS.
func receiver(ts *testscript.TestScript, _ bool, args []string) {
	var mu sync.Mutex
	path := ts.MkAbs(args[0])
	ts.Check(os.WriteFile(path, nil, 0o600))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if r.URL.Path != "/services/T0/chat-path-39dk" {
			http.NotFound(w, r)
			return
		}
		body, _ := io.ReadAll(r.Body)
		f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
		if err == nil {
			_, err = f.Write(append(body, '\n'))
			_ = f.Close()
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	ts.Defer(s.Close)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(s.URL+"/services/T0/chat-path-39dk\n"), 0o600))
}

// waitFile waits until a file has a text: waitfile FILE TEXT.
func waitFile(ts *testscript.TestScript, _ bool, args []string) {
	for began := time.Now(); time.Since(began) < 60*time.Second; time.Sleep(50 * time.Millisecond) {
		if strings.Contains(ts.ReadFile(args[0]), args[1]) {
			return
		}
	}
	ts.Fatalf("%s has no %q: %s", args[0], args[1], ts.ReadFile(args[0]))
}

// waitOut repeats a command until its output has a text: waitout TEXT COMMAND….
func waitOut(ts *testscript.TestScript, _ bool, args []string) {
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		err := ts.Exec(args[1], args[2:]...)
		switch out := ts.ReadFile("stdout"); {
		case err == nil && strings.Contains(out, args[0]):
			return
		case time.Since(began) > 60*time.Second:
			ts.Fatalf("%v prints no %q: %v", args[1:], args[0], err)
		}
	}
}
