package pythonenv

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/errs"
	"refline/internal/lock"
)

func TestFindNeeds(t *testing.T) {
	t.Parallel()
	const script = "flows/sub/f.py"
	for _, c := range []struct {
		name string
		tree files
		want requirements
		err  string
	}{
		{name: "nothing", tree: files{script: "import os"}},
		{name: "inline", tree: files{script: "#!/usr/bin/env python3\n# /// script\n# requires-python = \">=3.9\"\n# dependencies = [\n#   \"six>=1\", # why\n#\n#   \"a[b]; python_version<'4'\",\n# ]\n# ///\nimport six\n", "requirements.txt": "no"},
			want: requirements{from: script, python: ">=3.9", packages: []string{"six>=1", "a[b]; python_version<'4'"}, folder: "flows/sub"}},
		{name: "inline says none", tree: files{script: "# /// script\n# dependencies = []\n# ///\n", "requirements.txt": "no"}, want: requirements{from: script, packages: []string{}, folder: "flows/sub"}},
		{name: "inline with Windows line ends", tree: files{script: "# /// script\r\n# dependencies = [\"six\"]\r\n# ///\r\n"}, want: requirements{from: script, packages: []string{"six"}, folder: "flows/sub"}},
		{name: "another kind of block", tree: files{script: "# /// pyproject\n# dependencies = [\"no\"]\n# ///\n"}},
		{name: "inline without end", tree: files{script: "x = 1\n# /// script\n# dependencies = []\nimport y\n"}, err: "flows/sub/f.py:2:"},
		{name: "two blocks", tree: files{script: "# /// script\n# ///\n\n# /// script\n# ///\n"}, err: "flows/sub/f.py:4: a second"},
		{name: "inline that is no TOML", tree: files{script: "x = 1\n\n# /// script\n# dependencies = [\"a\" \"b\"]\n# ///\n"}, err: "flows/sub/f.py:4:"},
		{name: "inline of a wrong type", tree: files{script: "# /// script\n# dependencies = \"a\"\n# ///\n"}, err: "flows/sub/f.py"},
		{name: "beside the script first", tree: files{script: "", "flows/sub/requirements.txt": "a\n# note\nb==1 # why\n\nc \\\n  >=2\n", "requirements.txt": "no", "pyproject.toml": "no"},
			want: requirements{from: "flows/sub/requirements.txt", packages: []string{"a", "b==1", "c    >=2"}, folder: "flows/sub", file: "flows/sub/requirements.txt"}},
		{name: "then at the root", tree: files{script: "", "requirements.txt": "a", "flows/sub/pyproject.toml": "[project]\ndependencies=[\"no\"]"}, want: requirements{from: "requirements.txt", packages: []string{"a"}, file: "requirements.txt"}},
		{name: "not in between", tree: files{script: "", "flows/requirements.txt": "no"}},
		{name: "pyproject", tree: files{script: "", "pyproject.toml": "[build-system]\nrequires=[\"hatchling\"]\n[project]\nname=\"x\"\nrequires-python=\">=3.8\"\ndependencies=[\"a\",\"b\"]\n"}, want: requirements{from: "pyproject.toml", python: ">=3.8", packages: []string{"a", "b"}}},
		{name: "pyproject without a project", tree: files{script: "", "pyproject.toml": "[tool.ruff]\n"}, want: requirements{from: "pyproject.toml"}},
		{name: "uv.lock", tree: files{script: "", "pyproject.toml": "[project]\ndependencies=[\"a>=1\",\"d\"]\n", "uv.lock": "version = 1\n[[package]]\nname = \"a\"\nversion = \"1.2\"\nsource = { registry = \"https://pypi.org/simple\" }\n[[package]]\nname = \"x\"\nversion = \"0.1.0\"\nsource = { virtual = \".\" }\n[[package]]\nname = \"b\"\nversion = \"3.0\"\nsource = { registry = \"r\" }\n[[package]]\nname = \"b\"\nversion = \"4.0\"\nsource = { registry = \"r\" }\n[[package]]\nname = \"d\"\nversion = \"5\"\nsource = { git = \"https://example.com/d?rev=1#2\" }\n", "poetry.lock": "no"},
			want: requirements{from: "pyproject.toml and uv.lock", packages: []string{"a>=1", "d"}, constraints: []string{"a==1.2"}}},
		{name: "Poetry", tree: files{script: "", "pyproject.toml": "[tool.poetry.dependencies]\npython = \"^3.9\"\na = \"^1.2.3\"\nb = {version = \"~2.1\", extras = [\"x\", \"y\"], python = \"<4\"}\nc = {git = \"https://example.com/c.git\", tag = \"v1\"}\nd = {version = \"*\", optional = true}\ne = \"1.0\"\nf = {path = \"./f\", develop = true}\ng = \"^0.0.3\"\nh = \">=1, !=1.5\"\n", "poetry.lock": "[[package]]\nname = \"a\"\nversion = \"1.4.0\"\n[[package]]\nname = \"c\"\nversion = \"1.0\"\n[package.source]\ntype = \"git\"\nurl = \"u\"\n[[package]]\nname = \"i\"\nversion = \"2\"\n[package.source]\ntype = \"legacy\"\nurl = \"u\"\n"},
			want: requirements{from: "pyproject.toml and poetry.lock", python: ">=3.9,<4", packages: []string{"a>=1.2.3,<2", "b[x,y]>=2.1,<2.2 ; python_full_version < '4'", "c @ git+https://example.com/c.git@v1", "e==1.0", "./f", "g>=0.0.3,<0.0.4", "h>=1,!=1.5"}, constraints: []string{"a==1.4.0", "i==2"}}},
		{name: "a lock without dependencies", tree: files{script: "", "pyproject.toml": "[tool.ruff]\n", "uv.lock": "no"}, want: requirements{from: "pyproject.toml"}},
		{name: "a lock that is not TOML", tree: files{script: "", "pyproject.toml": "[project]\ndependencies=[\"a\"]\n", "uv.lock": "[[package]]\nname = \n"}, err: "uv.lock:2:"},
		{name: "a lock with an option", tree: files{script: "", "pyproject.toml": "[project]\ndependencies=[\"a\"]\n", "uv.lock": "[[package]]\nname = \"a\"\nversion = \"1 --index-url=x\"\n"}, err: "is not the name and version of a package"},
		{name: "Poetry with a list", tree: files{script: "", "pyproject.toml": "[tool.poetry.dependencies]\na = [\"1\"]\n"}, err: "tool.poetry.dependencies.a cannot be read"},
		{name: "pyproject that is no TOML", tree: files{script: "", "pyproject.toml": "[project]\nname = \n"}, err: "pyproject.toml:2:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			root := plant(t, c.tree)
			got, err := findNeeds(root, filepath.FromSlash(script))
			if c.err != "" {
				if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("got %v, want %s", err, c.err)
				}
				return
			}
			must(t, err)
			if c.want.from != "" {
				c.want.folder = filepath.Join(root, filepath.FromSlash(c.want.folder))
			}
			if c.want.file != "" {
				c.want.file = filepath.Join(root, filepath.FromSlash(c.want.file))
			}
			same(t, fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", c.want))
		})
	}
}

func FuzzInlineNeeds(f *testing.F) {
	f.Add("# /// script\n# dependencies = []\n# ///\n")
	f.Add("# /// script\n#\n# x = [\n")
	f.Fuzz(func(t *testing.T, source string) {
		if _, found, err := inlineNeeds("f.py", source); err != nil && !errs.Is(err, errs.Invalid) || found && !strings.Contains(source, "# /// script") {
			t.Fatalf("found %v, %v", found, err)
		}
	})
}

func TestSatisfies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		specifier string
		want      bool
	}{
		{"", true}, {">=3.9", true}, {">=3.11", true}, {">=3.12", false}, {">=3.9,<3.11", false}, {"<4", true},
		{"==3.11.*", true}, {"==3.11", false}, {"==3.11.7", true}, {"!=3.11.*", false}, {"!=3.10.*", true},
		{"~=3.10", true}, {"~=3.11.2", true}, {"~=3.10.2", false}, {">3.11", true}, {"> 3.11.7", false}, {"<=3.11.7", true},
		{">=3.9b1", true}, {"nonsense", true}, {"<3.12rc1", true}, {">=3.12.0a1", false}, {">=3.11.7.post1", false}, {"===3.11.7", true}, {" >= 3.9 , != 3.11.7", false},
	} {
		if got := satisfies("3.11.7", c.specifier); got != c.want {
			t.Errorf("3.11.7 satisfies %q: %v", c.specifier, got)
		}
	}
}

// needPython skips where no environment can be made.
func needPython(t *testing.T) {
	t.Helper()
	tools, err := findPython(t.Context(), ".", os.Environ())
	if err != nil || tools.python == "" {
		t.Skipf("Python environments are not tested: install python3 (%v)", err)
	}
	if tools.pip == "" {
		t.Skip("Python environments are not tested: install pip (python3-pip)")
	}
}

// pipEnv is an environment in which nothing is fetched, and no uv found.
func pipEnv(t testing.TB) []string {
	dir := t.TempDir()
	tools, err := findPython(context.Background(), ".", os.Environ())
	must(t, err)
	name := "python3"
	if runtime.GOOS == "windows" {
		t.Skip("needs a link to python3")
	}
	must(t, os.Symlink(tools.python, filepath.Join(dir, name)))
	return []string{"PATH=" + dir, "PIP_NO_INDEX=1", "HOME=" + dir, "PYTHONPATH=/nowhere"}
}

// wheel makes a package that is one module with a value.
func wheel(t testing.TB, dir, name, value string) string {
	t.Helper()
	return wheelOf(t, dir, name, "1.0", value)
}

func wheelOf(t testing.TB, dir, name, version, value string) string {
	t.Helper()
	must(t, os.MkdirAll(dir, 0o755))
	file := filepath.Join(dir, name+"-"+version+"-py3-none-any.whl")
	f, err := os.Create(file)
	must(t, err)
	w := zip.NewWriter(f)
	info := name + "-" + version + ".dist-info/"
	for _, part := range [][2]string{
		{name + ".py", "value = " + value + "\n"},
		{info + "METADATA", "Metadata-Version: 2.1\nName: " + name + "\nVersion: " + version + "\n"},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", name + ".py,,\n" + info + "METADATA,,\n" + info + "WHEEL,,\n" + info + "RECORD,,\n"},
	} {
		to, err := w.Create(part[0])
		must(t, err)
		_, err = io.WriteString(to, part[1])
		must(t, err)
	}
	must(t, errors.Join(w.Close(), f.Close()))
	return file
}

func ask(t testing.TB, bin, module string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(bin, "python"), "-c", "import "+module+"; print("+module+".value)").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestMake(t *testing.T) {
	t.Parallel()
	needPython(t)
	env := pipEnv(t)
	cache := filepath.Join(t.TempDir(), "cache", "python")
	// pip.py and types.py would be imported by tools that look here.
	root := plant(t, files{"flows/f.py": "import tiny", "requirements.txt": "-r more.txt\n", "more.txt": "./wheels/tiny-1.0-py3-none-any.whl\n", "pip.py": "raise SystemExit(9)", "types.py": "raise SystemExit(9)"})
	wheel(t, filepath.Join(root, "wheels"), "tiny", "1")

	var log bytes.Buffer
	bin, err := Make(t.Context(), cache, root, filepath.Join("flows", "f.py"), &log, env)
	must(t, err)
	same(t, ask(t, bin, "tiny"), "1")
	if !strings.Contains(log.String(), "requirements.txt") || !strings.Contains(log.String(), "tiny") {
		t.Errorf("the log does not say what is made: %s", log.String())
	}

	// Again, from another workspace: found, not made.
	log.Reset()
	other := filepath.Join(t.TempDir(), "other")
	must(t, os.CopyFS(other, os.DirFS(root)))
	again, err := Make(t.Context(), cache, other, filepath.Join("flows", "f.py"), &log, env)
	must(t, err)
	same(t, again, bin)
	same(t, log.String(), "")

	// Another content of what is installed makes another environment.
	wheel(t, filepath.Join(other, "wheels"), "tiny", "2")
	changed, err := Make(t.Context(), cache, other, filepath.Join("flows", "f.py"), &log, env)
	must(t, err)
	same(t, ask(t, changed, "tiny"), "2")
	same(t, ask(t, bin, "tiny"), "1")
}

func TestPythonEnvIsNotWanted(t *testing.T) {
	t.Parallel()
	for name, tree := range map[string]files{
		"no dependencies":   {"s.py": "x"},
		"an empty list":     {"s.py": "x", "requirements.txt": "# none\n"},
		"an inline nothing": {"s.py": "# /// script\n# dependencies = []\n# ///\n", "requirements.txt": "six"},
	} {
		bin, err := Make(t.Context(), filepath.Join(t.TempDir(), "c"), plant(t, tree), "s.py", io.Discard, nil)
		if err != nil || bin != "" {
			t.Errorf("%s: %q, %v", name, bin, err)
		}
	}
}

func TestPythonEnvErrors(t *testing.T) {
	t.Parallel()
	needPython(t)
	env := pipEnv(t)
	inline := func(text string) files { return files{"s.py": "# /// script\n" + text + "\n# ///\n"} }
	for _, c := range []struct {
		name string
		tree files
		env  []string
		kind errs.Kind
		say  string
	}{
		{"no Python", inline(`# dependencies = ["six"]`), []string{"PATH=/nowhere"}, errs.NotFound, "install Python 3"},
		{"no such package", inline(`# dependencies = ["no-such-package-here"]`), env, errs.Invalid, "No matching distribution found for no-such-package-here"},
		{"another Python", inline(`# requires-python = ">=9.1"`), env, errs.Invalid, ">=9.1"},
		{"a file that is not there", files{"s.py": "", "requirements.txt": "-r none.txt"}, env, errs.Invalid, "none.txt"},
		{"files in a circle", files{"s.py": "", "requirements.txt": "-r requirements.txt"}, env, errs.Invalid, "each other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cache := filepath.Join(t.TempDir(), "c")
			bin, err := Make(t.Context(), cache, plant(t, c.tree), "s.py", io.Discard, c.env)
			if bin != "" || errs.KindOf(err) != c.kind || !strings.Contains(fmt.Sprint(err), c.say) {
				t.Errorf("%q, %v", bin, err)
			}
			left, _ := filepath.Glob(filepath.Join(cache, "*"+string(filepath.Separator)+"bin"))
			same(t, len(left), 0)
		})
	}
}

func TestPythonEnvIsMadeOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("makes environments in several processes; run without -short")
	}
	t.Parallel()
	needPython(t)
	env := pipEnv(t)
	cache := filepath.Join(t.TempDir(), "c")
	root := plant(t, files{"s.py": "", "pyproject.toml": "[project]\nname='x'\ndependencies=['tiny @ file://WHEEL']\n"})
	file := wheel(t, t.TempDir(), "tiny", "'once'")
	must(t, os.WriteFile(filepath.Join(root, "pyproject.toml"), []byte("[project]\nname='x'\ndependencies=['tiny @ file://"+file+"']\n"), 0o644))
	var group sync.WaitGroup
	logs := make([]bytes.Buffer, 3)
	for i := range logs {
		group.Go(func() {
			bin, err := Make(t.Context(), cache, root, "s.py", &logs[i], env)
			if err != nil || ask(t, bin, "tiny") != "once" {
				t.Error(bin, err)
			}
		})
	}
	group.Wait()
	made := 0
	for i := range logs {
		made += strings.Count(logs[i].String(), "making a Python environment for")
	}
	same(t, made, 1)
}

// An environment whose making was killed is made again, by whoever comes next.
func TestKilledPythonEnvIsNotUsed(t *testing.T) {
	if testing.Short() {
		t.Skip("makes environments in several processes; run without -short")
	}
	t.Parallel()
	needPython(t)
	dir := t.TempDir()
	root := filepath.Join(dir, "root")
	plantIn(t, root, files{"s.py": "", "requirements.txt": "./tiny-1.0-py3-none-any.whl"})
	wheel(t, root, "tiny", "3")
	env := pipEnv(t)
	for try := range 3 {
		p := startRole(t, "python", dir, env...)
		time.Sleep(time.Duration(try*60) * time.Millisecond)
		must(t, p.Process.Kill())
		_ = p.Wait()
	}
	bin, err := Make(t.Context(), filepath.Join(dir, "cache"), root, "s.py", io.Discard, env)
	must(t, err)
	same(t, ask(t, bin, "tiny"), "3")
}

func TestUnusedPythonEnvsAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plantIn(t, dir, files{"old/" + readyFile: "", "new/" + readyFile: "", "half/bin/python": "", "making/bin/x": ""})
	long := time.Now().Add(-2 * unusedAfter)
	must(t, os.Chtimes(filepath.Join(dir, "old", readyFile), long, long))
	held, err := lock.Open(filepath.Join(dir, "making.lock"), lock.ModeTry)
	must(t, err)
	defer lock.Release(held)
	removeUnused(dir)
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	var names []string
	for _, at := range left {
		if !strings.HasSuffix(at, ".lock") {
			names = append(names, filepath.Base(at))
		}
	}
	same(t, names, []string{"making", "new"})
}

// Editable installs from the workspace would point to where nothing is later.
func TestEditableRequirements(t *testing.T) {
	t.Parallel()
	root := plant(t, files{"s.py": "", "requirements.txt": "-e .\n--editable=./lib[x]\nsix\n-r more.txt\n-e git+https://example.com/x#egg=x\n", "more.txt": "a", "lib/x": ""})
	needs, err := findNeeds(root, "s.py")
	must(t, err)
	same(t, needs.rewritten(), true)
	want := root + "\n" + filepath.Join(root, "lib[x]") + "\nsix\n-r " + filepath.Join(root, "more.txt") + "\n-e git+https://example.com/x#egg=x\n"
	same(t, needs.lines(), want)
}

// With uv, and from an index: only where one says so, since it needs both.
func TestPythonEnvFromIndex(t *testing.T) {
	t.Parallel()
	if os.Getenv("REFLINE_TEST_PYPI") == "" {
		t.Skip("packages from an index are not tested: set REFLINE_TEST_PYPI=1 where one can be reached")
	}
	needPython(t)
	for _, with := range []string{"pip", "uv"} {
		t.Run(with, func(t *testing.T) {
			t.Parallel()
			env := os.Environ()
			if with == "pip" {
				env = append(env, pipEnv(t)[0])
			} else if lookIn(filepath.SplitList(os.Getenv("PATH")), "uv") == "" {
				t.Skip("no uv in PATH: pip install uv")
			}
			root := plant(t, files{"s.py": "# /// script\n# dependencies = [\"six==1.16.0\"]\n# ///\n"})
			var log bytes.Buffer
			bin, err := Make(t.Context(), filepath.Join(t.TempDir(), "c"), root, "s.py", &log, env)
			if err != nil {
				t.Fatalf("%v\n%s", err, log.String())
			}
			out, err := exec.Command(filepath.Join(bin, "python"), "-c", "import six; print(six.__version__)").CombinedOutput()
			must(t, err)
			same(t, strings.TrimSpace(string(out)), "1.16.0")
		})
	}
}
