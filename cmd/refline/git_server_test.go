package main

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// gitBackend is git's own program that serves repositories over http, "" for none.
func gitBackend() string {
	where, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return ""
	}
	backend := filepath.Join(strings.TrimSpace(string(where)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		return ""
	}
	return backend
}

// serveGit serves the bare repositories in dir to those who log in as user with a
// token whose SHA-256 is digest.
func serveGit(backend, dir, user, digest string) http.Handler {
	git := &cgi.Handler{Path: backend, Env: []string{
		"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + user,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, p, ok := r.BasicAuth(); !ok || u != user || digestOf(p) != digest {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	})
}

func digestOf(token string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(token))) }

// gitServer is the command githttp, a server of repositories for jobs in
// containers: githttp ADDRESS FOLDER USER DIGEST.
func gitServer() {
	l, err := net.Listen("tcp", os.Args[1])
	if err == nil {
		fmt.Println("ready")
		err = http.Serve(l, serveGit(gitBackend(), os.Args[2], os.Args[3], os.Args[4]))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
