package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/term"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/interrupt"
	"refline/internal/localpipeline"
	"refline/internal/maskrun"
	"refline/internal/secretsource"
	"refline/internal/terminal"
)

// env is what a command may touch of the world, so that tests can give another.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	getenv         func(string) string
	environ        func() []string
	now            func() time.Time
	dir            string // where the command works; absolute after enter
	terminal       bool   // stdout is one
	interactive    bool   // stdin is a terminal too: questions can be asked

	answers *terminal.Asker

	chdir   string
	noColor bool
	quiet   bool
	stop    context.Context // done when an orderly end is asked for
	// interrupt is what signals do; nil in tests that run no command line.
	interrupt *interrupt.Interrupt
	source    func(file string) ([]byte, error) // of the files that findings name; set by commands of stacks and templates
}

func processEnv() *env {
	out := term.IsTerminal(int(os.Stdout.Fd()))
	return &env{
		stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr,
		getenv: os.Getenv, environ: os.Environ, now: time.Now,
		terminal:    out,
		interactive: out && term.IsTerminal(int(os.Stdin.Fd())),
	}
}

// keepOrder says that the command from now on ends in order by itself when
// e.stop is done. Without it the first signal ends the command's context too.
func (e *env) keepOrder() (release func()) {
	if e.interrupt == nil {
		return func() {}
	}
	return e.interrupt.KeepOrder()
}

// enter settles the folder to work in.
func (e *env) enter() error {
	dir := e.chdir
	if dir == "" {
		dir = "."
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return errs.E(errs.NotFound, "the folder that you are in is gone: %w; cd to another, or name one: -C DIR", err)
	}
	info, err := os.Stat(abs)
	if err != nil || !info.IsDir() {
		return errs.E(errs.NotFound, "no folder %s (from -C)", dir)
	}
	e.dir = abs
	return nil
}

func (e *env) color() bool {
	return e.terminal && !e.noColor && e.getenv("NO_COLOR") == "" && e.getenv("TERM") != "dumb"
}

// cacheDir holds what can be made again: mirrors, environments, job caches.
func (e *env) cacheDir() (string, error) {
	return e.userDir("REFLINE_CACHE_DIR", "XDG_CACHE_HOME", ".cache", os.UserCacheDir)
}

// stateDir holds what cannot: earlier runs, their logs and artifacts.
func (e *env) stateDir() (string, error) {
	return e.userDir("REFLINE_STATE_DIR", "XDG_STATE_HOME", filepath.Join(".local", "state"), os.UserConfigDir)
}

func (e *env) userDir(own, xdg, underHome string, platform func() (string, error)) (string, error) {
	if dir := e.getenv(own); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := e.getenv(xdg); filepath.IsAbs(dir) {
		return filepath.Join(dir, "refline"), nil
	}
	if home := e.getenv("HOME"); home != "" && os.PathSeparator == '/' {
		return filepath.Join(home, underHome, "refline"), nil
	}
	dir, err := platform()
	if err != nil {
		return "", errs.E(errs.NotFound, "no home folder: set %s to a folder that can be written", own)
	}
	return filepath.Join(dir, "refline"), nil
}

// printer prints findings the same way everywhere.
func (e *env) printer() diag.Printer {
	return diag.Printer{Tool: "refline", Version: version, Colour: e.color()}
}

// printFindings writes findings as text to stderr. source reads the files that
// they name; may be nil.
func (e *env) printFindings(list diag.List, source func(file string) ([]byte, error)) {
	p := e.printer()
	p.Source = source
	_ = p.Print(e.stderr, diag.Text, list)
}

// printRuled writes findings as text to stderr, each with its rule.
func (e *env) printRuled(list diag.List) error {
	p := e.printer()
	p.Source, p.Rules = e.source, true
	return p.Print(e.stderr, diag.Text, list.Sort())
}

// path is a path from the command line, from the folder that is worked in.
func (e *env) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(e.dir, p)
}

// local is where pipelines of this computer are opened.
func (e *env) local() *localpipeline.Place {
	return &localpipeline.Place{
		Dir: e.dir, Getenv: e.getenv, Environ: e.environ, Now: e.now, Stdin: e.stdin, State: e.stateDir, Cache: e.cacheDir,
		Notice: func(text string) { e.notef("%s", text) }, Secrets: e.secrets(),
	}
}

// afterCtrlC takes the cursor back to where it was before the terminal showed
// ^C: what comes next keeps its columns.
func (e *env) afterCtrlC() func() {
	out := e.stdout
	if !e.terminal {
		return func() {}
	}
	return func() { _, _ = io.WriteString(out, "\r") }
}

// ask prints a question and reads a line of standard input; see [terminal.Asker].
func (e *env) ask(to io.Writer, question string) (string, error) {
	return e.asker().Ask(to, question)
}

// askYes asks a question whose answer is yes or no.
func (e *env) askYes(to io.Writer, question string) (bool, error) {
	return e.asker().AskYes(to, question)
}

// askHidden reads a line from a terminal without showing it.
func (e *env) askHidden(in *os.File, question string) ([]byte, error) {
	return e.asker().AskHidden(in, e.stderr, question)
}

// asker is one for all questions: it may have read ahead.
func (e *env) asker() *terminal.Asker {
	if e.answers == nil {
		e.answers = &terminal.Asker{In: e.stdin, Stop: e.stop}
	}
	return e.answers
}

// setting is a value of the environment, otherwise when that is empty.
func (e *env) setting(name, otherwise string) string {
	if v := e.getenv(name); v != "" {
		return v
	}
	return otherwise
}

// orderly ends ctx when the user asks for an end: waiting stops, and AWS goes
// on with what it does.
func (e *env) orderly(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if e.stop == nil {
		return ctx, cancel
	}
	detach := context.AfterFunc(e.stop, cancel)
	return ctx, func() { detach(); cancel() }
}

// secrets is where commands look for secrets.
func (e *env) secrets() *secretsource.Source {
	s := &secretsource.Source{
		Dir: e.dir, Getenv: e.getenv, Environ: e.environ, State: e.stateDir, Stdin: e.stdin, Stop: e.stop,
		Note:  func(text string) { e.notef("%s", text) },
		Local: func(repo string) (string, bool) { return localpipeline.LocalRepository(e.local(), repo) },
	}
	if in, ok := e.stdin.(*os.File); ok && maskrun.IsTerminal(in) {
		s.Hidden = func(question string) ([]byte, error) { return e.askHidden(in, question) }
	}
	return s
}
