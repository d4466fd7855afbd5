package pythonenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/lock"
)

// maker makes one environment.
type maker struct {
	dir   string
	needs requirements
	tools toolchain
	fits  bool // the computer's Python is new enough
	log   io.Writer
	env   []string
	held  *os.File // the lock, while the environment is made
}

// get returns the programs of the environment, made now if need be.
func (m *maker) get(ctx context.Context) (bin string, err error) {
	if m.ready() {
		return m.bin(), nil
	}
	if err := os.MkdirAll(filepath.Dir(m.dir), 0o777); err != nil {
		return "", err
	}
	held, err := m.lock(ctx)
	if err != nil {
		return "", err
	}
	defer lock.Release(held)
	if m.ready() { // another process made it meanwhile
		return m.bin(), nil
	}
	m.held = held
	if err := m.make(ctx); err != nil {
		return "", errors.Join(err, os.RemoveAll(m.dir))
	}
	removeUnused(filepath.Dir(m.dir))
	return m.bin(), nil
}

func (m *maker) bin() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(m.dir, "Scripts")
	}
	return filepath.Join(m.dir, "bin")
}

func (m *maker) python() string {
	if runtime.GOOS == "windows" {
		return filepath.Join(m.bin(), "python.exe")
	}
	return filepath.Join(m.bin(), "python")
}

// ready reports whether the environment is finished, and marks it as used. One
// whose Python was removed from the computer is not.
func (m *maker) ready() bool {
	now := time.Now()
	if os.Chtimes(filepath.Join(m.dir, readyFile), now, now) != nil {
		return false
	}
	_, err := os.Stat(m.python())
	return err == nil
}

// lock waits for others that make the same environment.
func (m *maker) lock(ctx context.Context) (*os.File, error) {
	return lock.Wait(ctx, m.dir+".lock", func(string) {
		m.say("waiting for another run that makes the same Python environment")
	})
}

func (m *maker) say(format string, args ...any) { fmt.Fprintf(m.log, format+"\n", args...) }

// make fills the environment's folder and marks it as finished.
func (m *maker) make(ctx context.Context) error {
	start := time.Now()
	if err := removeEnv(m.dir); err != nil { // of a process that was killed
		return err
	}
	if err := os.Mkdir(m.dir, 0o777); err != nil {
		return err
	}
	list := m.needs.file
	if m.needs.rewritten() {
		list = filepath.Join(m.dir, "refline-requirements.txt")
		if err := os.WriteFile(list, []byte(m.needs.lines()), 0o666); err != nil {
			return err
		}
	}
	lists := []string{"-r", list}
	if len(m.needs.constraints) > 0 {
		file := filepath.Join(m.dir, "refline-constraints.txt")
		if err := os.WriteFile(file, []byte(strings.Join(m.needs.constraints, "\n")+"\n"), 0o666); err != nil {
			return err
		}
		lists = append(lists, "-c", file)
	}
	m.say("making a Python environment for %s (%s)", m.needs.from, m.needs.count())
	install := m.byPip
	if m.tools.uv != "" {
		install = m.byUV
	}
	if err := install(ctx, lists); err != nil {
		return err
	}
	m.say("Python environment ready after %s, kept for the next run", time.Since(start).Round(100*time.Millisecond))
	return os.WriteFile(filepath.Join(m.dir, readyFile), nil, 0o666)
}

func (m *maker) byUV(ctx context.Context, lists []string) error {
	venv := []string{m.tools.uv, "venv", "--quiet", "--allow-existing"}
	switch {
	case m.fits && m.tools.python != "":
		venv = append(venv, "--python", m.tools.python)
	case m.needs.python != "":
		venv = append(venv, "--python", m.needs.python)
	}
	if err := m.run(ctx, "make a Python environment", append(venv, m.dir)...); err != nil {
		return err
	}
	if len(m.needs.packages) == 0 {
		return nil
	}
	return m.run(ctx, "install what "+m.needs.from+" names",
		append([]string{m.tools.uv, "pip", "install", "--python", m.python()}, lists...)...)
}

func (m *maker) byPip(ctx context.Context, lists []string) error {
	// An existing pip can install into the new environment, so no second one is
	// made. Older ones cannot.
	// -I: nothing of the repository is imported here.
	pip := []string{m.tools.python, "-I", "-m", "pip", "--python", m.python()}
	venv := []string{m.tools.python, "-I", "-m", "venv", "--without-pip", m.dir}
	if m.tools.pip == "" || !satisfies(m.tools.pip, ">=22.3") {
		pip = []string{m.python(), "-I", "-m", "pip"}
		venv = []string{m.tools.python, "-I", "-m", "venv", m.dir}
	}
	if err := m.run(ctx, "make a Python environment", venv...); err != nil {
		return err
	}
	pip = append(pip, "install", "--disable-pip-version-check", "--no-input", "--progress-bar", "off")
	return m.run(ctx, "install what "+m.needs.from+" names", append(pip, lists...)...)
}

// run runs one tool in the folder that paths of requirements are relative to. Its
// lines go to the log; the error has only the line that says what is wrong.
func (m *maker) run(ctx context.Context, what string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = m.needs.folder, m.env
	var tail tailWriter
	cmd.Stdout = io.MultiWriter(m.log, &tail)
	cmd.Stderr = cmd.Stdout
	bind(cmd, m.held)
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	if isCanceled(ctx, err) {
		return context.Cause(ctx)
	}
	if err != nil {
		if offline := offline(what, tail.String()); offline != nil {
			return offline
		}
		kind := errs.Invalid
		if strings.Contains(tail.String(), "No space left on device") {
			kind = errs.Unavailable
		}
		return errs.E(kind, "%s: %s: %w: %s", what, filepath.Base(args[0]), err, lastError(tail.String()))
	}
	return nil
}

// lastError is the last line that calls itself an error, else the last one.
func lastError(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for _, line := range slices.Backward(lines) {
		if strings.HasPrefix(strings.ToLower(line), "error: ") {
			return strings.TrimSpace(line)
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// tailWriter keeps the end of what is written to it.
type tailWriter struct{ bytes.Buffer }

func (w *tailWriter) Write(p []byte) (int, error) {
	const keep = 16 << 10
	n, err := w.Buffer.Write(p)
	if w.Len() > 2*keep {
		w.Next(w.Len() - keep)
	}
	return n, err
}

// removeUnused removes environments that were not used for long, and unfinished
// ones that no process is making.
func removeUnused(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		at := filepath.Join(dir, e.Name())
		if inUse(at) {
			continue
		}
		held, err := lock.Open(at+".lock", lock.ModeTry)
		if err != nil {
			continue
		}
		if !inUse(at) {
			_ = removeEnv(at) // the next one tries again
		}
		lock.Release(held)
	}
}

// removeEnv removes an environment, its marker first.
func removeEnv(dir string) error {
	return errors.Join(os.RemoveAll(filepath.Join(dir, readyFile)), os.RemoveAll(dir))
}

func inUse(env string) bool {
	info, err := os.Stat(filepath.Join(env, readyFile))
	return err == nil && time.Since(info.ModTime()) < unusedAfter
}
