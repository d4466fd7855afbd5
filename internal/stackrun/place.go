// Package stackrun does what the commands on stacks do: it finds the
// configuration and the ref, connects to the account, plans, deploys, compares and
// deletes, and writes the results as text or JSON.
//
// A refused or failed operation is written before it is returned, as [ErrRefused]
// or [ErrFailed]. Nothing here changes a stack without a plan or an answer that
// allows it. It does not know flags, exit codes or how an account is reached.
package stackrun

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/jsonnet"
	"refline/internal/stack"
)

// Place is where a command on stacks works, and where its results go.
type Place struct {
	Dir     string // paths are relative to it
	Getenv  func(string) string
	Environ func() []string
	Now     func() time.Time
	Out     io.Writer
	Notes   io.Writer
	Screen  io.Writer // the terminal for live lines; nil for none
	Color   bool
	JSON    bool // results are JSON
	// Ask asks a question. It is nil if there is no terminal to ask on.
	Ask func(question string) (string, error)
	// Report writes the error of one of several stacks.
	Report func(error)
	// Open reaches an account.
	Open stack.Open
}

var (
	// ErrFailed says that an operation on a stack failed. The failure was written.
	ErrFailed = errors.New("an operation on a stack failed")
	// ErrRefused says that something was refused or found to be wrong. It was written.
	ErrRefused = errors.New("refused")
	// ErrChanges says that there are changes, if that was asked for.
	ErrChanges = errors.New("changes are present")
)

// Read reads a file of the folder that the command works in.
func (p *Place) Read(path string) ([]byte, error) { return jsonnet.FilesFrom(p.Dir)(path) }

func (p *Place) notef(format string, args ...any) { fmt.Fprintf(p.Notes, format+"\n", args...) }

func (p *Place) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.Dir, name)
}

func (p *Place) writeFile(name string, text []byte) error {
	name = p.path(name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}

func (p *Place) writeJSON(v any) error {
	enc := json.NewEncoder(p.Out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// appendEvent adds a line to $REFLINE_EVENTS, if that is set: a run shows it.
func (p *Place) appendEvent(line []byte) error {
	path := p.Getenv("REFLINE_EVENTS")
	if path == "" {
		return nil
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(line)
	return errors.Join(err, f.Close())
}

// yes asks a question whose answer is yes or no.
func (p *Place) yes(question string) (bool, error) {
	answer, err := p.Ask(question)
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}

// pathless drops the path that os puts into its errors.
func pathless(err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

func oneOf(flag, value string, allowed ...string) error {
	for _, a := range allowed {
		if value == a {
			return nil
		}
	}
	return errs.Usage("%s %q is not one of %s", flag, value, strings.Join(allowed, ", "))
}
