package git

import (
	"context"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/lock"
)

// environ is a person's environment that has nothing of this machine's user.
func environ(t testing.TB) []string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	if err := os.MkdirAll(home, 0o700); err != nil {
		t.Fatal(err)
	}
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + os.TempDir(),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + filepath.Join(home, ".gitconfig"),
	}
}

// repo is a repository that tests write to, by plain git.
type repo struct {
	t   testing.TB
	dir string
	env []string
}

func newRepo(t testing.TB) *repo {
	t.Helper()
	return newRepoAt(t, filepath.Join(t.TempDir(), "repo"))
}

func newRepoAt(t testing.TB, dir string) *repo {
	t.Helper()
	r := &repo{t, dir, append(environ(t),
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=Grace", "GIT_COMMITTER_EMAIL=grace@example.com",
		"GIT_CONFIG_COUNT=5", "GIT_CONFIG_KEY_0=protocol.file.allow", "GIT_CONFIG_VALUE_0=always",
		"GIT_CONFIG_KEY_1=init.defaultBranch", "GIT_CONFIG_VALUE_1=main", "GIT_CONFIG_KEY_2=advice.detachedHead", "GIT_CONFIG_VALUE_2=false",
		// Without them each commit starts one more process.
		"GIT_CONFIG_KEY_3=maintenance.auto", "GIT_CONFIG_VALUE_3=false", "GIT_CONFIG_KEY_4=gc.auto", "GIT_CONFIG_VALUE_4=0")}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "-q", "--template=")
	return r
}

// git runs git in the repository and returns its trimmed output.
func (r *repo) git(args ...string) string {
	r.t.Helper()
	return gitIn(r.t, r.dir, r.env, args...)
}

func gitIn(t testing.TB, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = dir, env
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repo) write(name, content string) {
	r.t.Helper()
	path := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// commit writes the files and commits everything; it returns the commit.
func (r *repo) commit(message string, files ...string) string {
	r.t.Helper()
	for i := 0; i+1 < len(files); i += 2 {
		r.write(files[i], files[i+1])
	}
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.head()
}

// head is the commit that HEAD has, without a process where a file says it.
func (r *repo) head() string {
	r.t.Helper()
	name := "HEAD"
	for range 3 {
		text, err := os.ReadFile(filepath.Join(r.dir, ".git", filepath.FromSlash(name)))
		if err != nil {
			break
		}
		ref, symbolic := strings.CutPrefix(strings.TrimSpace(string(text)), "ref: ")
		if !symbolic {
			return ref
		}
		name = ref
	}
	return r.git("rev-parse", "HEAD")
}

// serveHTTP serves the repositories below root as git-http-backend does.
func serveHTTP(t testing.TB, root string, wrap func(http.Handler) http.Handler) string {
	t.Helper()
	server := httptest.NewServer(wrap(backend(t, root)))
	t.Cleanup(server.Close)
	return server.URL
}

func backend(t testing.TB, root string) http.Handler {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	return &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
}

// long leaves a test to the long mode: it starts many processes of git, and the
// quick mode has another test of the same part.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("not in the quick mode")
	}
}

// orShort is how often something is done: less in the quick mode.
func orShort(full, short int) int {
	if testing.Short() {
		return short
	}
	return full
}

func asIs(h http.Handler) http.Handler { return h }

// tree lists the files below dir except .git, with their content.
func tree(t testing.TB, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		switch {
		case d.Name() == ".git" && path != dir:
			if d.IsDir() {
				return filepath.SkipDir
			}
		case d.Type()&os.ModeSymlink != 0:
			target, _ := os.Readlink(path)
			files[filepath.ToSlash(rel)] = "-> " + target
		case d.Type().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			files[filepath.ToSlash(rel)] = string(text)
		case path != dir:
			files[filepath.ToSlash(rel)+"/"] = ""
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// clone is what plain git makes of a ref: the tree that ours must equal.
func (r *repo) tree(rev string) map[string]string {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "clone")
	gitIn(r.t, r.dir, r.env, "clone", "-q", "--no-local", r.dir, dir)
	gitIn(r.t, dir, r.env, "checkout", "-q", "--detach", r.git("rev-parse", rev+"^{commit}"))
	return tree(r.t, dir)
}

func localAccess(t *testing.T) Access {
	return Access{Trust: User, AllowFile: true, Environ: environ(t)}
}

func remote(t *testing.T, url string, a Access) *Remote {
	t.Helper()
	r, err := NewRemote(url, filepath.Join(t.TempDir(), "cache"), a)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// settle waits until the lock of the mirror is free: a process that served a
// fetch shares it and may end a little after the fetch.
func (r *Remote) settle(t *testing.T) {
	t.Helper()
	held, err := r.lock(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	lock.Release(held)
}

func (r *Remote) mustResolve(t *testing.T, ref Ref) Resolved {
	t.Helper()
	c, err := r.Resolve(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *Remote) mustCheckout(t *testing.T, c Resolved, o CheckoutOptions) string {
	t.Helper()
	dst := filepath.Join(t.TempDir(), "ws")
	if err := r.Checkout(context.Background(), c, dst, o); err != nil {
		t.Fatal(err)
	}
	return dst
}
