package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"refline/internal/diag"
	"refline/internal/errs"
)

// version is set by the linker.
var version = "dev"

// errRed says that a run ended red. It was shown already.
var errRed = errors.New("the run is red")

// usagef returns the error for a command line that makes no sense.
func usagef(format string, args ...any) error { return errs.Usage(format, args...) }

// printJSON writes a result as indented JSON.
func (e *env) printJSON(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// notef writes one line of progress or advice to stderr; not with -q.
func (e *env) notef(format string, args ...any) {
	if !e.quiet {
		fmt.Fprintf(e.stderr, format+"\n", args...)
	}
}

// notes is where progress and advice go: stderr, or nowhere with -q.
func (e *env) notes() io.Writer {
	if e.quiet {
		return io.Discard
	}
	return e.stderr
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no argument, got %q; see %s --help", cmd.Name(), args[0], cmd.CommandPath())
	}
	return nil
}

func didYouMean(name string, known []string) string {
	return diag.DidYouMean(name, known)
}

// oneArg wants one argument of the name that the help gives it.
func oneArg(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s takes one %s, got %d; see %s --help", cmd.Name(), what, len(args), cmd.CommandPath())
		}
		return nil
	}
}
