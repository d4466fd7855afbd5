package git

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"refline/internal/errs"
)

// A server that lists refs without end, or that never answers, is given up
// and costs no more memory than a long list.
func TestLookIsBounded(t *testing.T) {
	t.Parallel()
	packet := func(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }
	many := strings.Repeat(packet(strings.Repeat("1", 40)+" refs/heads/"+strings.Repeat("x", 900)+"\n"), 1000)
	flood := func(w io.Writer, req *http.Request) {
		for req.Context().Err() == nil {
			if _, err := io.WriteString(w, many); err != nil {
				return
			}
		}
	}
	endless := func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = io.WriteString(w, packet("# service=git-upload-pack\n")+"0000")
		id := strings.Repeat("1", 40)
		_, _ = io.WriteString(w, packet(id+" HEAD\x00multi_ack\n"))
		flood(w, req)
	}
	endlessV2 := func(w http.ResponseWriter, req *http.Request) {
		if req.Method == http.MethodGet {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(w, packet("# service=git-upload-pack\n")+"0000"+packet("version 2\n")+packet("ls-refs\n")+"0000")
			return
		}
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		flood(w, req)
	}
	silent := func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }
	for _, tc := range []struct {
		name   string
		serve  http.HandlerFunc
		within time.Duration
		kind   errs.Kind
		want   string
	}{
		{"endless, protocol 0", endless, 0, errs.Invalid, "lists more refs than the 2 MiB that are taken"},
		{"endless, protocol 2", endlessV2, 0, errs.Invalid, "lists more refs than the 2 MiB that are taken"},
		{"no answer", silent, 300 * time.Millisecond, errs.Unavailable, "did not list its refs within 300ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && strings.HasPrefix(tc.name, "endless") {
				t.Skip("streams some hundred MiB")
			}
			server := httptest.NewServer(tc.serve)
			t.Cleanup(server.Close)
			for _, trust := range []Trust{Server, User} { // by itself, and by git
				r := remote(t, server.URL+"/x.git", Access{Trust: trust, Environ: environ(t), AskWithin: tc.within, maxRefs: 2 << 20})
				for name, ask := range map[string]func() error{
					"resolve": func() error { _, err := r.Resolve(t.Context(), Ref{Kind: KindBranch, Name: "main"}); return err },
					"tags":    func() error { _, err := r.Tags(t.Context()); return err },
				} {
					if err := ask(); !errs.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) {
						t.Errorf("trust %d, %s: %v: %v", trust, name, errs.KindOf(err), err)
					}
				}
			}
		})
	}
}

// A server that stops in the middle of a fetch is given up; what had come is not used,
// and a later fetch works.
func TestStalledFetch(t *testing.T) {
	t.Parallel()
	long(t)
	r := newRepo(t)
	r.write("large", strings.Repeat("0123456789abcdef", 1<<14))
	commit := r.commit("one")
	var stalls atomic.Bool
	stalls.Store(true)
	url := serveHTTP(t, filepath.Dir(r.dir), func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodPost || !stalls.Load() {
				next.ServeHTTP(w, req)
				return
			}
			// The pack begins, then nothing comes.
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			_, _ = io.WriteString(w, "000dpackfile\n")
			_ = http.NewResponseController(w).Flush()
			<-req.Context().Done()
		})
	})
	remote := remote(t, url+"/"+filepath.Base(r.dir), Access{Environ: environ(t), Attempts: 1, stall: time.Second})
	c := Resolved{Kind: KindCommit, Name: commit, Commit: commit}
	if err := remote.Fetch(t.Context(), c, 0); !errs.Is(err, errs.Unavailable) || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("got %v: %v; want that the server does not answer", errs.KindOf(err), err)
	}
	stalls.Store(false)
	if err := remote.Fetch(t.Context(), c, 0); err != nil {
		t.Errorf("after the server answers again: %v", err)
	}
}
