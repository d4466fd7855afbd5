package main

import (
	"encoding/json"
	"fmt"
	"io"

	"refline/internal/diag"

	"github.com/spf13/cobra"
)

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
