package pythonenv

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// index serves wheels as a package index of this computer, and is the environment that
// names it.
func index(t testing.TB, wheels string) []string {
	t.Helper()
	files := http.FileServer(http.Dir(wheels))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, page := strings.CutPrefix(r.URL.Path, "/simple/")
		if !page {
			files.ServeHTTP(w, r)
			return
		}
		list, _ := filepath.Glob(filepath.Join(wheels, strings.Trim(name, "/")+"-*.whl"))
		if len(list) == 0 {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		for _, file := range list {
			base := filepath.Base(file)
			_, _ = w.Write([]byte(`<a href="/` + base + `">` + base + `</a>`))
		}
	}))
	t.Cleanup(server.Close)
	url := server.URL + "/simple/"
	env := slices.DeleteFunc(pipEnv(t), func(kv string) bool { return strings.HasPrefix(kv, "PIP_NO_INDEX=") })
	return append(env, "PIP_INDEX_URL="+url, "UV_DEFAULT_INDEX="+url, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "UV_NO_CACHE=1")
}

// A lock file decides which versions are installed, and another lock is another
// environment.
func TestLockedVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("makes environments; run without -short")
	}
	t.Parallel()
	needPython(t)
	wheels := t.TempDir()
	wheelOf(t, wheels, "tiny", "1.0", "1")
	wheelOf(t, wheels, "tiny", "2.0", "2")
	env := index(t, wheels)
	const project = "[project]\nname='x'\ndependencies=['tiny']\n"
	lock := func(version string) string {
		return "[[package]]\nname = \"tiny\"\nversion = \"" + version + "\"\nsource = { registry = \"https://pypi.org/simple\" }\n[[package]]\nname = \"elsewhere\"\nversion = \"9\"\n"
	}
	for name, c := range map[string]struct {
		tree files
		want string
	}{
		"without a lock": {files{"s.py": "", "pyproject.toml": project}, "2"},
		"uv.lock":        {files{"s.py": "", "pyproject.toml": project, "uv.lock": lock("1.0")}, "1"},
		"poetry.lock":    {files{"s.py": "", "pyproject.toml": "[tool.poetry.dependencies]\ntiny = \">=1,<3\"\n", "poetry.lock": lock("1.0")}, "1"},
	} {
		for _, tool := range []string{"pip", "uv"} {
			t.Run(name+" by "+tool, func(t *testing.T) {
				t.Parallel()
				env := slices.Clone(env)
				if tool == "uv" {
					uv := lookIn(filepath.SplitList(os.Getenv("PATH")), "uv")
					if uv == "" {
						t.Skip("no uv in PATH: pip install uv")
					}
					env[0] += string(filepath.ListSeparator) + filepath.Dir(uv)
				}
				var log bytes.Buffer
				bin, err := Make(t.Context(), filepath.Join(t.TempDir(), "c"), plant(t, c.tree), "s.py", &log, env)
				if err != nil {
					t.Fatalf("%v\n%s", err, log.String())
				}
				same(t, ask(t, bin, "tiny"), c.want)
			})
		}
	}
}

// TestPoetryVersion: how Poetry writes versions.
func TestPoetryVersion(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"": "", "*": "", "^1.2.3": ">=1.2.3,<2", "^0.2.3": ">=0.2.3,<0.3", "^0.0": ">=0.0,<0.1", "^0": ">=0,<1", "~1.2.3": ">=1.2.3,<1.3", "~1": ">=1,<2",
		"~=1.4": "~=1.4", "1.5.*": "==1.5.*", ">= 1.0, < 2": ">=1.0,<2", "2": "==2", "^1.x": ">=1.x,<2",
	} {
		same(t, poetryVersion(version), want)
	}
}

// FuzzLockFile: a lock file never names what an installer would take as an option.
func FuzzLockFile(f *testing.F) {
	f.Add("[[package]]\nname = \"a\"\nversion = \"1\"\n")
	f.Add("[[package]]\nname = \"-r\"\nversion = \"1\"\nsource = { registry = 1 }\n")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := lockedVersions("uv.lock", text)
		for _, line := range list {
			if err != nil || strings.HasPrefix(line, "-") || strings.ContainsAny(line, " \r\n;@") {
				t.Errorf("%q, %v", line, err)
			}
		}
	})
}
