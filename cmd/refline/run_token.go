package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"refline/internal/engine"
	"refline/internal/errs"
	"refline/internal/mask"
	"refline/internal/secret"
)

// gitToken logs in to one host over https, for the checkout and for jobs.
type gitToken struct {
	host string // HOST or HOST:PORT
	user string
	name string // of the variable or file
	text secret.Value
}

// gitTokens are those of a run.
type gitTokens []gitToken

// openGitTokens takes --git-token [USER@]HOST=NAME and HOST=@FILE.
func openGitTokens(e *env, specs []string) (gitTokens, error) {
	var out gitTokens
	for _, spec := range specs {
		where, from, ok := strings.Cut(spec, "=")
		user, host, hasUser := strings.Cut(where, "@")
		if !hasUser {
			user, host = "oauth2", where // forges take any name beside a token
		}
		if h, err := parseHost(host); !ok || err != nil || h.path != "" || user == "" {
			return nil, usagef("--git-token wants HOST=NAME or HOST=@FILE, or USER@HOST=…")
		}
		t := gitToken{host: host, user: user, name: from}
		file, isFile := strings.CutPrefix(from, "@")
		var err error
		switch {
		case isFile:
			t.name = filepath.Base(file)
			t.text, err = readValue(e.path(file), file)
		case !variableName(from):
			err = usagef("--git-token %s=…: a token on the command line shows in process lists; give it as a variable (%s=NAME) or a file (%s=@FILE)", where, where, where)
		default:
			var text []byte
			text, err = envSecret(e, "--git-token "+where, from)
			t.text = secret.New(text)
		}
		if err != nil {
			return nil, err
		}
		t.text = secret.New(bytes.TrimSpace(t.text.Reveal()))
		if strings.ContainsAny(t.text.RevealString(), "\r\n\x00") {
			return nil, errs.E(errs.Invalid, "--git-token %s: the token has more than one line", where)
		}
		out = append(out, t)
	}
	return out, nil
}

func (ts gitTokens) addTo(set *mask.Set) error {
	for _, t := range ts {
		if err := set.Add(t.name, t.text.Reveal()); err != nil {
			return errs.E(errs.Invalid, "--git-token %s: %w", t.host, err)
		}
	}
	return nil
}

// of gives the token for a repository's URL; nil for none.
func (ts gitTokens) of(repo string) *gitToken {
	h, err := parseHost(repo)
	if err != nil || !strings.HasPrefix(repo, "http") {
		return nil
	}
	rest := repo[strings.Index(repo, "://")+3:]
	host, _, _ := strings.Cut(rest, "/")
	for i, t := range ts {
		if t.host == h.name || t.host == host {
			return &ts[i]
		}
	}
	return nil
}

// withoutNames leaves the tokens' variables out of an environment.
func (ts gitTokens) withoutNames(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.ContainsFunc(ts, func(t gitToken) bool { return t.name == name })
	})
}

// tokenHelper answers git's credential-cache, which comes with git: the job
// holds a socket instead of a token. It lives as long as the job.
type tokenHelper struct {
	tokens   gitTokens
	listener net.Listener
	done     sync.WaitGroup
}

const helperSocket = "credentials"

// serve starts a helper for one job and returns the variables that tell the
// job's git of it.
func (ts gitTokens) serve(p engine.AgentPlace, mode os.FileMode) ([]string, func() error, error) {
	socket := filepath.Join(p.Dir, helperSocket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, nil, errs.E(errs.Unavailable, "socket for git's credentials: %w", err)
	}
	if err := os.Chmod(socket, mode); err != nil {
		return nil, nil, errors.Join(errs.E(errs.Unavailable, "socket for git's credentials: %w", err), l.Close())
	}
	h := &tokenHelper{tokens: ts, listener: l}
	h.done.Add(1)
	go h.accept()
	n, _ := strconv.Atoi(p.Env["GIT_CONFIG_COUNT"])
	var env []string
	add := func(key, value string) {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n, value))
		n++
	}
	for _, t := range ts {
		for _, scheme := range []string{"https", "http"} {
			key := "credential." + scheme + "://" + t.host + ".helper"
			add(key, "") // none of the user's own
			add(key, "cache --socket "+shellWord(p.Seen+"/"+helperSocket))
		}
	}
	return append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(n), "GIT_TERMINAL_PROMPT=0"), h.close, nil
}

func (h *tokenHelper) close() error {
	err := h.listener.Close()
	h.done.Wait()
	return err
}

func (h *tokenHelper) accept() {
	defer h.done.Done()
	for {
		c, err := h.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of file descriptors
			continue
		}
		h.done.Add(1)
		go func() {
			defer h.done.Done()
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(5 * time.Second))
			if question, err := io.ReadAll(io.LimitReader(c, 64<<10)); err == nil {
				_, _ = io.WriteString(c, h.answer(string(question)))
			}
		}()
	}
}

// answer gives what git-credential(1) reads, "" for what it is not to know. A
// token goes to https, and to http on this computer.
func (h *tokenHelper) answer(question string) string {
	asked := map[string]string{}
	for line := range strings.Lines(question) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		asked[key] = value
	}
	where, err := parseHost(asked["host"])
	safe := asked["protocol"] == "https" || asked["protocol"] == "http" && (where.name == "localhost" || net.ParseIP(where.name).IsLoopback())
	if asked["action"] != "get" || err != nil || !safe {
		return ""
	}
	for _, t := range h.tokens {
		if t.host == asked["host"] && (asked["username"] == "" || asked["username"] == t.user) {
			return "username=" + t.user + "\npassword=" + t.text.RevealString() + "\n"
		}
	}
	return ""
}
