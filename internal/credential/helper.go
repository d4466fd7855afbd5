package credential

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"refline/internal/errs"
)

// helper answers git's credential-cache, which comes with git: the job holds a
// socket instead of a token. It ends with the job.
type helper struct {
	tokens   Tokens
	listener net.Listener
	done     sync.WaitGroup
}

const helperSocket = "credentials"

// serve starts a helper for one job and returns the variables that configure
// the job's git for it.
func (ts Tokens) serve(p Place) (env []string, end func() error, err error) {
	socket := filepath.Join(p.Dir, helperSocket)
	l, err := net.Listen("unix", socket)
	if err != nil {
		return nil, nil, errs.E(errs.Unavailable, "socket for git's credentials: %w", err)
	}
	mode := os.FileMode(0o600)
	if p.Shared {
		mode = 0o666
	}
	if err := os.Chmod(socket, mode); err != nil {
		return nil, nil, errors.Join(errs.E(errs.Unavailable, "socket for git's credentials: %w", err), l.Close())
	}
	h := &helper{tokens: ts, listener: l}
	h.done.Add(1)
	go h.accept()
	n := p.ConfigCount
	add := func(key, value string) {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n, value))
		n++
	}
	for _, t := range ts {
		for _, scheme := range []string{"https", "http"} {
			key := "credential." + scheme + "://" + t.Host + ".helper"
			add(key, "") // drops the user's own helpers
			add(key, "cache --socket "+shellQuote(p.Seen+"/"+helperSocket))
		}
	}
	return append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(n), "GIT_TERMINAL_PROMPT=0"), h.close, nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (h *helper) close() error {
	err := h.listener.Close()
	h.done.Wait()
	return err
}

func (h *helper) accept() {
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

// answer returns what git-credential(1) reads, "" for whatever it must not
// get. A token goes to https, and to http on this computer.
func (h *helper) answer(question string) string {
	asked := map[string]string{}
	for line := range strings.Lines(question) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		asked[key] = value
	}
	host, err := ParseHost(asked["host"])
	safe := asked["protocol"] == "https" || asked["protocol"] == "http" && (host.Name == "localhost" || net.ParseIP(host.Name).IsLoopback())
	if asked["action"] != "get" || err != nil || !safe {
		return ""
	}
	for _, t := range h.tokens {
		if t.Host == asked["host"] && (asked["username"] == "" || asked["username"] == t.User) {
			return "username=" + t.User + "\npassword=" + t.Text.RevealString() + "\n"
		}
	}
	return ""
}
