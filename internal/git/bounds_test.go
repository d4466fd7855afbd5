package git

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
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
