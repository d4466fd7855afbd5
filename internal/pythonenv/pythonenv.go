// Package pythonenv makes environments with what a Python script needs, and
// keeps them by a hash of that.
//
// It promises that an environment that it returns is whole, that one is made
// once however many jobs ask for it, and that nothing of the repository is run
// to make it except what its dependencies build. It does not know which jobs are
// Python.
package pythonenv

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
)

// Names in a folder of environments: each is <hash>, beside <hash>.lock. The
// marker is written last; an environment without it was never finished. They
// are made where they stay, since their programs hold the path.
const (
	readyFile   = ".refline-ready"
	unusedAfter = 30 * 24 * time.Hour // after this they are removed
)

// Make makes, or finds again, the environment with what a Python script of the
// folder root needs (see findNeeds), and returns the folder of its programs, to
// be put first in PATH; "" if nothing is needed. Environments are kept in
// cacheDir by a hash of the dependencies and the Python they are for; each is
// made once, by uv if it is in PATH, else by venv and pip, whose lines go to log.
// env is the environment (KEY=value) that the tools are looked up and run with:
// the job's, so that it can name an index. Errors: Invalid for dependencies that
// cannot be read or installed, NotFound if there is no Python.
func Make(ctx context.Context, cacheDir, root, script string, log io.Writer, env []string) (bin string, err error) {
	needs, err := findNeeds(root, script)
	if err != nil {
		return "", err
	}
	if len(needs.packages) == 0 && needs.python == "" {
		return "", nil
	}
	env = withoutPythonPath(env)
	tools, err := findPython(ctx, root, env)
	if err != nil {
		return "", err
	}
	fits := tools.version == "" || satisfies(tools.version, needs.python)
	if !fits && tools.uv == "" {
		return "", errs.E(errs.Invalid, "%s wants Python %s, this one is %s (with uv in PATH, another one would be fetched)", needs.from, needs.python, tools.version)
	}
	if fits && tools.version != "" && len(needs.packages) == 0 {
		return "", nil
	}
	sum, err := needs.hash(tools)
	if err != nil {
		return "", err
	}
	m := maker{dir: filepath.Join(cacheDir, sum), needs: needs, tools: tools, fits: fits, log: log, env: env}
	return m.get(ctx)
}

// toolchain is what this computer has.
type toolchain struct {
	uv      string // its path, "" without
	python  string // the interpreter's path, "" without
	version string // "3.11.7"
	build   string // what else of it an environment depends on
	pip     string // its version, "" without
}

// findPython asks the interpreter in PATH about itself. It runs in root, as the
// script will: version managers look there for what to run.
func findPython(ctx context.Context, root string, env []string) (toolchain, error) {
	var t toolchain
	dirs := filepath.SplitList(envValue(env, "PATH"))
	t.uv = lookIn(dirs, "uv")
	if t.python = lookIn(dirs, "python3"); t.python == "" {
		t.python = lookIn(dirs, "python")
	}
	if t.python == "" {
		if t.uv == "" {
			return t, errs.E(errs.NotFound, "the script is Python, and no python3 is in PATH: install Python 3, or uv, which brings one")
		}
		return t, nil
	}
	const ask = `import sys, sysconfig
try:
    import pip; pip = pip.__version__
except Exception:
    pip = ""
print(".".join(map(str, sys.version_info[:3])), pip or "-", sys.executable,
    sys.implementation.cache_tag, sysconfig.get_platform(), sys.base_prefix, sep="\t")`
	cmd := exec.CommandContext(ctx, t.python, "-I", "-c", ask)
	cmd.Dir, cmd.Env = root, env
	var problem bytes.Buffer
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return t, errs.E(errs.NotFound, "%s does not run: %w\n%s", t.python, err, lastLines(problem.String(), 5))
	}
	fields := strings.SplitN(strings.TrimSpace(string(out)), "\t", 4)
	if len(fields) != 4 {
		return t, errs.E(errs.NotFound, "%s is not a Python 3", t.python)
	}
	t.version, t.pip, t.python, t.build = fields[0], strings.TrimPrefix(fields[1], "-"), fields[2], fields[3]
	return t, nil
}

// hash names the environment.
func (n *requirements) hash(t toolchain) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "1\n%q\n%q %q %q\n", n.python, t.version, t.build, runtime.GOOS+"/"+runtime.GOARCH)
	if t.version == "" || !satisfies(t.version, n.python) {
		fmt.Fprintln(h, "uv's own Python")
	}
	for _, line := range n.packages {
		fmt.Fprintf(h, "%q\n", line)
		if err := n.hashFiles(h, line, 0); err != nil {
			return "", err
		}
	}
	for _, line := range n.constraints {
		fmt.Fprintf(h, "constraint %q\n", line)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}

// hashFiles adds the content of files that a requirement names.
func (n *requirements) hashFiles(h hash.Hash, line string, depth int) error {
	if depth > 10 {
		return errs.E(errs.Invalid, "%s: files include each other", n.from)
	}
	if option, file, ok := fileOption(line); ok {
		at := n.path(file)
		text, err := os.ReadFile(at)
		if err != nil {
			return errs.E(errs.Invalid, "%s: %s: %w", n.from, option, err)
		}
		fmt.Fprintf(h, "%q\n", text)
		inner := requirements{from: n.from, folder: filepath.Dir(at)}
		for _, line := range requirementLines(string(text)) {
			if err := inner.hashFiles(h, line, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if local := n.local(line); local != "" {
		return hashTree(h, local)
	}
	return nil
}

func (n *requirements) path(file string) string {
	if filepath.IsAbs(file) {
		return file
	}
	return filepath.Join(n.folder, file)
}

// fileOption splits "-r file" and "-c file", in all ways they are written.
func fileOption(line string) (option, file string, ok bool) {
	for _, option := range []string{"--requirement", "--constraint", "-r", "-c"} {
		rest, ok := strings.CutPrefix(line, option)
		if !ok || rest == "" {
			continue
		}
		if rest[0] == '=' || rest[0] == ' ' || rest[0] == '\t' || len(option) == 2 {
			return option, strings.TrimSpace(strings.TrimPrefix(rest, "=")), true
		}
	}
	return "", "", false
}

// local gives the path that a requirement installs from, "" when it does not
// install from this computer.
func (n *requirements) local(line string) string {
	line = strings.TrimSpace(withoutEditable(line))
	if _, after, ok := strings.Cut(line, " @ file://"); ok {
		line = after
	}
	line = strings.TrimPrefix(line, "file://")
	if i := strings.IndexAny(line, ";["); i >= 0 {
		line = line[:i]
	}
	if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "-") {
		return ""
	}
	if !strings.HasPrefix(line, ".") && !strings.ContainsRune(line, '/') && !strings.HasSuffix(line, ".whl") {
		return ""
	}
	at := n.path(line)
	if _, err := os.Stat(at); err != nil {
		return ""
	}
	return at
}

// withoutEditable takes "-e" from a requirement.
func withoutEditable(line string) string {
	for _, option := range []string{"-e", "--editable"} {
		if rest, ok := strings.CutPrefix(line, option); ok && rest != "" && strings.ContainsRune(" \t=", rune(rest[0])) {
			return strings.TrimSpace(rest[1:])
		}
	}
	return line
}

// hashTree adds a file, or the files of a folder that a package is built from.
func hashTree(h hash.Hash, at string) error {
	return filepath.WalkDir(at, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == ".git" || name == "__pycache__" || strings.HasSuffix(name, ".egg-info")) {
			return fs.SkipDir
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(at, file)
		_, err = fmt.Fprintf(h, "%q %x\n", rel, sha256.Sum256(content))
		return err
	})
}

// rewritten reports whether the requirements cannot be installed from the file
// they are in: there is none, or something in it would be installed as
// editable, from a workspace that is gone before the environment is.
func (n *requirements) rewritten() bool {
	return n.file == "" || slices.ContainsFunc(n.packages, func(line string) bool {
		return withoutEditable(line) != line && n.local(line) != ""
	})
}

// lines gives the requirements with paths that do not depend on the file they
// are in, and nothing editable.
func (n *requirements) lines() string {
	var b strings.Builder
	for _, line := range n.packages {
		if option, file, ok := fileOption(line); ok {
			line = option + " " + n.path(file)
		} else if n.local(line) != "" {
			line = withoutEditable(line)
			if !strings.Contains(line, "://") {
				line = n.path(line)
			}
		}
		b.WriteString(line + "\n")
	}
	return b.String()
}

// envValue gives the last value of a variable.
func envValue(env []string, name string) string {
	for _, kv := range slices.Backward(env) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// withoutPythonPath keeps the modules of the repository out of the tools that
// make an environment.
func withoutPythonPath(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		return strings.HasPrefix(kv, "PYTHONPATH=") || strings.HasPrefix(kv, "PYTHONHOME=")
	})
}

// lookIn finds a program in the given folders.
func lookIn(dirs []string, name string) string {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	for _, dir := range dirs {
		if dir == "" || !filepath.IsAbs(dir) {
			continue
		}
		at := filepath.Join(dir, name)
		info, err := os.Stat(at)
		if err == nil && info.Mode().IsRegular() && (runtime.GOOS == "windows" || info.Mode()&0o111 != 0) {
			return at
		}
	}
	return ""
}

// lastLines gives the end of a text.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// isCanceled reports whether a tool was stopped rather than failed.
func isCanceled(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || errors.Is(err, context.Canceled))
}
