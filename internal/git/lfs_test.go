package git

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
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

// lfsRepo is a repository with one LFS file; object is its content.
func lfsRepo(t *testing.T) (src *repo, oid, object string) {
	t.Helper()
	if _, err := exec.LookPath("git-lfs"); err != nil {
		t.Skip("needs git-lfs: apt-get install git-lfs")
	}
	object = strings.Repeat("large\n", 1000)
	sum := sha256.Sum256([]byte(object))
	oid = hex.EncodeToString(sum[:])
	src = newRepo(t)
	src.commit("one", ".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n", "dir/big.bin",
		"version https://git-lfs.github.com/spec/v1\noid sha256:"+oid+"\nsize 6000\n")
	return src, oid, object
}

// The LFS objects of a folder are in the folder itself, or at its origin.
func TestLFSOfFolders(t *testing.T) {
	long(t)
	t.Parallel()
	src, oid, object := lfsRepo(t)
	bare := filepath.Join(t.TempDir(), "bare.git")
	gitIn(t, src.dir, src.env, "clone", "-q", "--bare", "--no-local", src.dir, bare)
	clone := filepath.Join(t.TempDir(), "clone")
	gitIn(t, src.dir, append(src.env, "GIT_LFS_SKIP_SMUDGE=1"), "clone", "-q", "file://"+bare, clone)
	store := func(dir string) string { return filepath.Join(dir, "lfs", "objects", oid[:2], oid[2:4], oid) }
	for _, tc := range []struct {
		name, store string
		urls        []string
	}{
		{"in the folder", filepath.Join(src.dir, ".git"), []string{src.dir, "file://" + src.dir}},
		{"in a bare folder", bare, []string{bare, "file://" + bare}},
		{"at the clone's origin", bare, []string{clone}},
		{"never pushed", filepath.Join(clone, ".git"), []string{clone}},
	} {
		must(t, os.MkdirAll(filepath.Dir(store(tc.store)), 0o755))
		must(t, os.WriteFile(store(tc.store), []byte(object), 0o444))
		for _, url := range tc.urls {
			r := remote(t, url, localAccess(t))
			ws := r.mustCheckout(t, r.mustResolve(t, Ref{Kind: KindBranch, Name: "main"}), CheckoutOptions{LFS: true})
			if got := tree(t, ws)["dir/big.bin"]; got != object {
				t.Errorf("%s: %s: got %.60q", tc.name, url, got)
			}
			if got := gitIn(t, ws, src.env, "status", "--porcelain"); got != "" {
				t.Errorf("%s: status %q", tc.name, got)
			}
		}
		must(t, os.Remove(store(tc.store)))
	}
	must(t, os.WriteFile(store(bare), []byte(object), 0o444))
	whole := remote(t, clone, localAccess(t))
	ws := whole.mustCheckout(t, whole.mustResolve(t, Ref{}), CheckoutOptions{LFS: true, Standalone: true})
	if text, err := os.ReadFile(filepath.Join(ws, ".git", "config")); err != nil || strings.Contains(string(text), whole.dir) || tree(t, ws)["dir/big.bin"] != object {
		t.Errorf("standalone: %v, the configuration names the cache:\n%s", err, text)
	}
	must(t, os.Remove(store(bare)))
	r := remote(t, clone, localAccess(t))
	err := r.Checkout(t.Context(), r.mustResolve(t, Ref{}), filepath.Join(t.TempDir(), "ws"), CheckoutOptions{LFS: true})
	if !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "LFS") {
		t.Errorf("nowhere: %v: %v", errs.KindOf(err), err)
	}
}

// By ssh git-lfs asks the server's git-lfs-authenticate for a URL and a token.
func TestLFSBySSH(t *testing.T) {
	long(t)
	t.Parallel()
	src, oid, object := lfsRepo(t)
	var seen sync.Map
	url := serveHTTP(t, filepath.Dir(src.dir), func(next http.Handler) http.Handler {
		all := lfsServer(map[string]string{oid: object}, &seen)(next)
		mux := http.NewServeMux()
		mux.Handle("/objects/", all)
		mux.Handle("/", signIn(func(*http.Request) {})(all))
		return mux
	})
	bin := t.TempDir()
	answer := `{"href": "` + url + `/repo.git/info/lfs", "header": {"Authorization": "Basic ` +
		base64.StdEncoding.EncodeToString([]byte("oauth2:"+token)) + `"}}`
	must(t, os.WriteFile(filepath.Join(bin, "git-lfs-authenticate"), []byte("#!/bin/sh\necho '"+answer+"'\n"), 0o755))
	s := startSSH(t, true, "PATH="+bin+":"+os.Getenv("PATH"))
	key := agent(t, s.key)
	for _, trust := range []Trust{Server, User}[:orShort(2, 1)] {
		r := remote(t, fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", sshUser(), s.port, src.dir), Access{
			Trust: trust, KnownHosts: s.knownHosts, IdentityAgent: key, Environ: append(environ(t), "GIT_SSH_COMMAND=ssh -F /dev/null")})
		ws := r.mustCheckout(t, r.mustResolve(t, Ref{}), CheckoutOptions{LFS: true})
		if got := tree(t, ws)["dir/big.bin"]; got != object {
			t.Errorf("trust %d: got %.60q", trust, got)
		}
		noSecret(t, ws)
	}
}
