package git

import (
	"bytes"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

// A server's own look at refs agrees with git's, in both protocols, and starts no
// git: every request is ours.
func TestLookWithoutGit(t *testing.T) {
	long(t)
	t.Parallel()
	plain := newRepo(t)
	plain.commit("one", "a", "1")
	plain.git("tag", "-a", "-m", "x", "heavy")
	plain.git("tag", "-a", "-m", "x", "nested", "heavy")
	plain.git("tag", "light")
	plain.commit("two", "a", "2")
	plain.git("branch", "a/b")
	plain.git("branch", "main2")
	plain.git("update-ref", "refs/merge-requests/4/head", "HEAD~1")
	detached := newRepo(t)
	detached.commit("one", "a", "1")
	detached.git("checkout", "-q", "--detach")
	for name, src := range map[string]*repo{"usual": plain, "detached": detached, "empty": newRepo(t)} {
		for _, version := range []string{"2", "0", "1"} {
			var mu sync.Mutex
			var foreign []string
			url := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
					if agent := req.UserAgent(); agent != "git/refline" {
						mu.Lock()
						foreign = append(foreign, agent)
						mu.Unlock()
					}
					req.Header.Set("Git-Protocol", "version="+version)
					next.ServeHTTP(w, req)
				})
			}) + "/repo"
			ours, theirs := remote(t, url, Access{Environ: environ(t)}), remote(t, src.dir, localAccess(t))
			for _, ref := range []Ref{{}, {KindBranch, "main"}, {KindBranch, "a/b"}, {KindBranch, "none"}, {KindTag, "heavy"}, {KindTag, "nested"}, {KindTag, "light"},
				{KindMergeRequest, "4"}, {KindMergeRequest, "5"}, {KindCommit, "0000000"}} {
				want, wantErr := theirs.Resolve(t.Context(), ref)
				got, err := ours.Resolve(t.Context(), ref)
				if got != want || errs.KindOf(err) != errs.KindOf(wantErr) {
					t.Errorf("%s, version %s, %s: %+v, %v; git says %+v, %v", name, version, ref, got, err, want, wantErr)
				}
			}
			want, _ := theirs.Refs(t.Context(), KindBranch, KindTag, KindMergeRequest)
			got, err := ours.Refs(t.Context(), KindBranch, KindTag, KindMergeRequest)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("%s, version %s: %v (-git +ours)\n%s", name, version, err, diff)
			}
			if len(foreign) > 0 {
				t.Errorf("%s, version %s: requests by %q", name, version, foreign)
			}
		}
	}
}

// A server that serves plain files is left to git.
func TestLookAtDumbServer(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	want := src.commit("one", "a", "1")
	src.git("update-server-info")
	files := http.FileServer(http.Dir(src.dir))
	mux := http.NewServeMux()
	mux.Handle("/repo/", http.StripPrefix("/repo", files))
	url := serveHTTP(t, filepath.Dir(src.dir), func(http.Handler) http.Handler { return mux }) + "/repo/.git"
	r := remote(t, url, Access{Environ: environ(t)})
	if c, err := r.Resolve(t.Context(), Ref{KindBranch, "main"}); err != nil || c.Commit != want {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestBadLookAnswers(t *testing.T) {
	t.Parallel()
	packet := func(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }
	const v2 = "0000"
	for name, tc := range map[string]struct {
		advertisement, answer string
		kind                  errs.Kind
		want                  string
	}{
		"cut off":        {packet("# service=git-upload-pack\n") + "00", "", errs.Unavailable, "broke off"},
		"no end":         {packet("version 2\n"), "", errs.Unavailable, "broke off"},
		"not a length":   {"zzzz", "", errs.Internal, "bad line length"},
		"an error":       {packet("ERR access denied or repository not exported\n"), "", errs.Denied, "refuses access"},
		"answer cut off": {packet("version 2\n") + v2, packet(strings.Repeat("1", 40)+" refs/heads/main\n") + "00", errs.Unavailable, "broke off"},
		"answer error":   {packet("version 2\n") + v2, packet("ERR repository not found\n"), errs.NotFound, "is not there"},
	} {
		url := serveHTTP(t, t.TempDir(), func(http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				kind, text := "advertisement", tc.advertisement
				if req.Method == http.MethodPost {
					kind, text = "result", tc.answer
				}
				w.Header().Set("Content-Type", "application/x-git-upload-pack-"+kind)
				_, _ = w.Write([]byte(text))
			})
		})
		_, err := remote(t, url+"/x", Access{Environ: environ(t), Attempts: 1}).Resolve(t.Context(), Ref{KindBranch, "main"})
		if errs.KindOf(err) != tc.kind || err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v: %v", name, errs.KindOf(err), err)
		}
	}
}

func FuzzLookAnswers(f *testing.F) {
	f.Add([]byte("000eversion 2\n0000"), []byte("0032"+strings.Repeat("1", 40)+" HEAD\n0000"))
	f.Add([]byte("001e# service=git-upload-pack\n0000003f"+strings.Repeat("2", 40)+" HEAD\x00symref=HEAD:x\n0000"), []byte("0009ERR x0000"))
	f.Fuzz(func(t *testing.T, advertisement, answer []byte) {
		_, names, _ := parseAdvertisement(bytes.NewReader(advertisement))
		more, _ := parseRefs(bytes.NewReader(answer))
		for _, all := range []map[string]string{names, more} {
			for name, id := range all {
				if !strings.HasPrefix(name, "ref: ") && !isObjectID(id) {
					t.Errorf("%q is at %q", name, id)
				}
			}
		}
	})
}

func BenchmarkLook(b *testing.B) {
	src := newRepo(b)
	src.commit("one", "a", "1")
	for _, trust := range []Trust{Server, User} {
		b.Run(map[Trust]string{Server: "own", User: "git"}[trust], func(b *testing.B) {
			url := serveHTTP(b, filepath.Dir(src.dir), asIs) + "/repo"
			r, err := NewRemote(url, b.TempDir(), Access{Trust: trust, Environ: environ(b)})
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := r.Resolve(b.Context(), Ref{KindBranch, "main"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
