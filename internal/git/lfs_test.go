package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"refline/internal/errs"
)

// lfsServer speaks the batch API for one set of objects, beside git's own.
func lfsServer(objects map[string]string, seen *sync.Map) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			switch {
			case strings.HasSuffix(req.URL.Path, "/info/lfs/objects/batch"):
				var ask struct {
					Objects []struct {
						OID  string `json:"oid"`
						Size int64  `json:"size"`
					} `json:"objects"`
				}
				if err := json.NewDecoder(req.Body).Decode(&ask); err != nil {
					http.Error(w, err.Error(), http.StatusBadRequest)
					return
				}
				var out []any
				for _, o := range ask.Objects {
					if _, ok := objects[o.OID]; !ok {
						out = append(out, map[string]any{"oid": o.OID, "size": o.Size, "error": map[string]any{"code": 404, "message": "no such object"}})
						continue
					}
					href := "http://" + req.Host + "/objects/" + o.OID
					out = append(out, map[string]any{"oid": o.OID, "size": o.Size, "authenticated": true,
						"actions": map[string]any{"download": map[string]any{"href": href}}})
				}
				w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
				_ = json.NewEncoder(w).Encode(map[string]any{"transfer": "basic", "objects": out})
			case strings.HasPrefix(req.URL.Path, "/objects/"):
				oid := strings.TrimPrefix(req.URL.Path, "/objects/")
				n, _ := seen.LoadOrStore(oid, 0)
				seen.Store(oid, n.(int)+1)
				_, _ = io.WriteString(w, objects[oid])
			default:
				next.ServeHTTP(w, req)
			}
		})
	}
}

func TestLFS(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git-lfs"); err != nil {
		t.Skip("needs git-lfs: apt-get install git-lfs")
	}
	content := strings.Repeat("large\n", 1000)
	sum := sha256.Sum256([]byte(content))
	oid := hex.EncodeToString(sum[:])
	pointer := "version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 6000\n"
	src := newRepo(t)
	src.commit("one", ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n", "dir/big.bin", pointer, "a", "1")
	var seen sync.Map
	url := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
		all := lfsServer(map[string]string{oid: content}, &seen)(next)
		mux := http.NewServeMux()
		mux.Handle("/objects/", all) // as a signed link is: it needs no credentials
		mux.Handle("/", signIn(func(*http.Request) {})(all))
		return mux
	}) + "/repo"
	for _, trust := range []Trust{Server, User} {
		r := remote(t, url, Access{Trust: trust, Environ: environ(t), Password: func() string { return token }})
		c := r.mustResolve(t, Ref{})
		if got := tree(t, r.mustCheckout(t, c, CheckoutOptions{}))["dir/big.bin"]; got != pointer {
			t.Errorf("not asked for: %q", got)
		}
		seen.Clear()
		for range 2 {
			ws := r.mustCheckout(t, c, CheckoutOptions{LFS: true})
			if got := tree(t, ws)["dir/big.bin"]; got != content {
				t.Errorf("trust %d: asked for: %.80q", trust, got)
			}
			if got := gitIn(t, ws, src.env, "status", "--porcelain"); got != "" {
				t.Errorf("status %q", got)
			}
			noSecret(t, ws)
		}
		if n, _ := seen.Load(oid); n != 1 {
			t.Errorf("trust %d: the object was loaded %v times for two checkouts", trust, n)
		}
	}
	denied := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/", next)
		mux.Handle("/repo.git/info/lfs/", signIn(func(*http.Request) {})(next))
		return mux
	}) + "/repo"
	for _, a := range []Access{{Environ: environ(t)}, {Environ: environ(t), Password: func() string { return "wrong" }}} {
		r := remote(t, denied, a)
		err := r.Checkout(context.Background(), r.mustResolve(t, Ref{}), filepath.Join(t.TempDir(), "ws"), CheckoutOptions{LFS: true})
		if !errs.Is(err, errs.Denied) {
			t.Errorf("LFS without the right token: %v: %v", errs.KindOf(err), err)
		}
	}
	src.commit("two", "dir/lost.bin", strings.Replace(pointer, oid, strings.Repeat("0", 64), 1))
	r := remote(t, url, Access{Environ: environ(t), Password: func() string { return token }})
	err := r.Checkout(context.Background(), r.mustResolve(t, Ref{}), filepath.Join(t.TempDir(), "ws"), CheckoutOptions{LFS: true})
	if !errs.Is(err, errs.NotFound) {
		t.Errorf("a lost object: %v: %v", errs.KindOf(err), err)
	}
}
