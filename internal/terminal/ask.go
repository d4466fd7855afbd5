// Package terminal asks questions on a terminal and hands it to a program.
//
// An interrupt ends a question at once, and the terminal is always left as it was. It
// does not know what is asked.
package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"refline/internal/errs"
)

// Asker asks questions. It reads ahead, so there is one for an input.
type Asker struct {
	In   io.Reader
	Stop context.Context // done at an interrupt

	lines *bufio.Reader
}

// Ask prints a question and reads a line. An interrupt ends it at once: the error is
// then context.Canceled. The end of the input is io.EOF if nothing was typed.
func (a *Asker) Ask(to io.Writer, question string) (string, error) {
	if a.lines == nil {
		a.lines = bufio.NewReader(a.In)
	}
	fmt.Fprint(to, question)
	line, err := await(a.Stop, func() (string, error) { return a.lines.ReadString('\n') })
	if err != nil {
		fmt.Fprintln(to)
	}
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return strings.TrimSpace(line), err
}

// AskYes asks a question whose answer is yes or no.
func (a *Asker) AskYes(to io.Writer, question string) (bool, error) {
	answer, err := a.Ask(to, question)
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}

// AskHidden reads a line from a terminal without showing it. The terminal is
// switched before the question is printed and back in this goroutine, so an
// interrupt at any moment leaves it as it was.
func (a *Asker) AskHidden(in *os.File, to io.Writer, question string) ([]byte, error) {
	fd := int(in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "terminal: %w", err)
	}
	defer func() { _ = term.Restore(fd, before) }()
	screen := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, to}, "")
	line, err := await(a.Stop, func() (string, error) { return screen.ReadPassword(question) })
	switch {
	case errors.Is(err, io.EOF): // Ctrl-C is a byte now, Ctrl-D too
		err = context.Canceled
	case err != nil && !errors.Is(err, context.Canceled):
		return nil, errs.E(errs.Unavailable, "terminal: %w", err)
	}
	if err != nil {
		fmt.Fprint(to, "\r\n")
	}
	return []byte(line), err
}

// await runs read, which cannot be interrupted itself, until it ends or an
// interrupt asks for the end. What it reads later is lost.
func await[T any](stop context.Context, read func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := read()
		done <- result{value, err}
	}()
	select {
	case <-stop.Done():
		var none T
		return none, context.Canceled
	case r := <-done:
		if stop.Err() != nil { // both at once: the interrupt counts
			var none T
			return none, context.Canceled
		}
		return r.value, r.err
	}
}
