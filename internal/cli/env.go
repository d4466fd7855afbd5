package cli

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

// Env is what a command may touch of the world, so that tests can give another.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Environ        func() []string
	Now            func() time.Time
	Dir            string // where the command works; absolute after enter
	Terminal       bool   // stdout is one
	Interactive    bool   // stdin is a terminal too: questions can be asked

	answers *terminal.Asker

	Chdir   string
	NoColor bool
	Quiet   bool
	Stop    context.Context // done when an orderly end is asked for
	// interrupt is what signals do; nil in tests that run no command line.
	Interrupt *interrupt.Interrupt
	Source    func(file string) ([]byte, error) // of the files that findings name; set by commands of stacks and templates
}

// ProcessEnv is the environment of this process.
func ProcessEnv() *Env {
	out := term.IsTerminal(int(os.Stdout.Fd()))
	return &Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Environ: os.Environ, Now: time.Now,
		Terminal:    out,
		Interactive: out && term.IsTerminal(int(os.Stdin.Fd())),
	}
}

// KeepOrder says that the command from now on ends in order by itself when
// e.stop is done. Without it the first signal ends the command's context too.
func (e *Env) KeepOrder() (release func()) {
	if e.Interrupt == nil {
		return func() {}
	}
	return e.Interrupt.KeepOrder()
}

// Enter settles the folder to work in.
func (e *Env) Enter() error {
	dir := e.Chdir
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
	e.Dir = abs
	return nil
}

// Color reports whether stdout shows colours.
func (e *Env) Color() bool {
	return e.Terminal && !e.NoColor && e.Getenv("NO_COLOR") == "" && e.Getenv("TERM") != "dumb"
}

// CacheDir holds what can be made again: mirrors, environments, job caches.
func (e *Env) CacheDir() (string, error) {
	return e.userDir("REFLINE_CACHE_DIR", "XDG_CACHE_HOME", ".cache", os.UserCacheDir)
}

// StateDir holds what cannot: earlier runs, their logs and artifacts.
func (e *Env) StateDir() (string, error) {
	return e.userDir("REFLINE_STATE_DIR", "XDG_STATE_HOME", filepath.Join(".local", "state"), os.UserConfigDir)
}

func (e *Env) userDir(own, xdg, underHome string, platform func() (string, error)) (string, error) {
	if dir := e.Getenv(own); dir != "" {
		return filepath.Abs(dir)
	}
	if dir := e.Getenv(xdg); filepath.IsAbs(dir) {
		return filepath.Join(dir, "refline"), nil
	}
	if home := e.Getenv("HOME"); home != "" && os.PathSeparator == '/' {
		return filepath.Join(home, underHome, "refline"), nil
	}
	dir, err := platform()
	if err != nil {
		return "", errs.E(errs.NotFound, "no home folder: set %s to a folder that can be written", own)
	}
	return filepath.Join(dir, "refline"), nil
}

// Printer prints findings the same way everywhere.
func (e *Env) Printer() diag.Printer {
	return diag.Printer{Tool: "refline", Version: Version, Colour: e.Color()}
}

// PrintFindings writes findings as text to stderr. source reads the files that
// they name; may be nil.
func (e *Env) PrintFindings(list diag.List, source func(file string) ([]byte, error)) {
	p := e.Printer()
	p.Source = source
	_ = p.Print(e.Stderr, diag.Text, list)
}

// PrintRuled writes findings as text to stderr, each with its rule.
func (e *Env) PrintRuled(list diag.List) error {
	p := e.Printer()
	p.Source, p.Rules = e.Source, true
	return p.Print(e.Stderr, diag.Text, list.Sort())
}

// Path is a path from the command line, from the folder that is worked in.
func (e *Env) Path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(e.Dir, p)
}

// Local is where pipelines of this computer are opened.
func (e *Env) Local() *localpipeline.Place {
	return &localpipeline.Place{
		Dir: e.Dir, Getenv: e.Getenv, Environ: e.Environ, Now: e.Now, Stdin: e.Stdin, State: e.StateDir, Cache: e.CacheDir,
		Notice: func(text string) { e.Notef("%s", text) }, Secrets: e.Secrets(),
	}
}

// AfterCtrlC takes the cursor back to where it was before the terminal showed
// ^C: what comes next keeps its columns.
func (e *Env) AfterCtrlC() func() {
	out := e.Stdout
	if !e.Terminal {
		return func() {}
	}
	return func() { _, _ = io.WriteString(out, "\r") }
}

// Ask prints a question and reads a line of standard input; see [terminal.Asker].
func (e *Env) Ask(to io.Writer, question string) (string, error) {
	return e.asker().Ask(to, question)
}

// AskYes asks a question whose answer is yes or no.
func (e *Env) AskYes(to io.Writer, question string) (bool, error) {
	return e.asker().AskYes(to, question)
}

// AskHidden reads a line from a terminal without showing it.
func (e *Env) AskHidden(in *os.File, question string) ([]byte, error) {
	return e.asker().AskHidden(in, e.Stderr, question)
}

// asker is one for all questions: it may have read ahead.
func (e *Env) asker() *terminal.Asker {
	if e.answers == nil {
		e.answers = &terminal.Asker{In: e.Stdin, Stop: e.Stop}
	}
	return e.answers
}

// Setting is a value of the environment, otherwise when that is empty.
func (e *Env) Setting(name, otherwise string) string {
	if v := e.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// Orderly ends ctx when the user asks for an end: waiting stops, and AWS goes
// on with what it does.
func (e *Env) Orderly(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if e.Stop == nil {
		return ctx, cancel
	}
	detach := context.AfterFunc(e.Stop, cancel)
	return ctx, func() { detach(); cancel() }
}

// Secrets is where commands look for secrets.
func (e *Env) Secrets() *secretsource.Source {
	s := &secretsource.Source{
		Dir: e.Dir, Getenv: e.Getenv, Environ: e.Environ, State: e.StateDir, Stdin: e.Stdin, Stop: e.Stop,
		Note:  func(text string) { e.Notef("%s", text) },
		Local: func(repo string) (string, bool) { return localpipeline.LocalRepository(e.Local(), repo) },
	}
	if in, ok := e.Stdin.(*os.File); ok && maskrun.IsTerminal(in) {
		s.Hidden = func(question string) ([]byte, error) { return e.AskHidden(in, question) }
	}
	return s
}
