package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"refline/internal/diag"
	"refline/internal/errs"
)

// Version is set by the linker.
var Version = "dev"

// What was shown already, and needs no message.
var (
	ErrRed     = errors.New("the run is red")
	ErrChanges = errors.New("there are changes")
	ErrShown   = errors.New("shown")
)

// Usagef returns the error for a command line that makes no sense.
func Usagef(format string, args ...any) error { return errs.Usage(format, args...) }

// PrintJSON writes a result as indented JSON.
func (e *Env) PrintJSON(v any) error {
	enc := json.NewEncoder(e.Stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Notef writes one line of progress or advice to stderr; not with -q.
func (e *Env) Notef(format string, args ...any) {
	if !e.Quiet {
		fmt.Fprintf(e.Stderr, format+"\n", args...)
	}
}

// Notes is where progress and advice go: stderr, or nowhere with -q.
func (e *Env) Notes() io.Writer {
	if e.Quiet {
		return io.Discard
	}
	return e.Stderr
}

// NoArgs refuses arguments.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usagef("%s takes no argument, got %q; see %s --help", cmd.Name(), args[0], cmd.CommandPath())
	}
	return nil
}

// DidYouMean returns a hint with the nearest known name, "" without one.
func DidYouMean(name string, known []string) string {
	return diag.DidYouMean(name, known)
}

// OneArg wants one argument of the name that the help gives it.
func OneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return Usagef("%s takes one %s, got %d; see %s --help", cmd.Name(), what, len(args), cmd.CommandPath())
		}
		return nil
	}
}
