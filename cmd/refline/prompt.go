package main

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

// ask prints a question and reads a line of standard input. An interrupt ends it
// at once: the error is then context.Canceled. The end of the input is io.EOF if
// nothing was typed.
func (e *env) ask(to io.Writer, question string) (string, error) {
	if e.answers == nil {
		e.answers = bufio.NewReader(e.stdin) // one for all questions: it may have read ahead
	}
	fmt.Fprint(to, question)
	line, err := await(e, func() (string, error) { return e.answers.ReadString('\n') })
	if err != nil {
		fmt.Fprintln(to)
	}
	if errors.Is(err, io.EOF) && line != "" {
		err = nil
	}
	return strings.TrimSpace(line), err
}

// askYes asks a question whose answer is yes or no.
func (e *env) askYes(to io.Writer, question string) (bool, error) {
	answer, err := e.ask(to, question)
	answer = strings.ToLower(answer)
	return answer == "y" || answer == "yes", err
}

// askHidden reads a line from a terminal without showing it. The terminal is
// switched before the question is printed and back in this goroutine, so an
// interrupt at any moment leaves it as it was.
func (e *env) askHidden(in *os.File, question string) ([]byte, error) {
	fd := int(in.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return nil, errs.E(errs.Unavailable, "terminal: %w", err)
	}
	defer func() { _ = term.Restore(fd, before) }()
	screen := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{in, e.stderr}, "")
	line, err := await(e, func() (string, error) { return screen.ReadPassword(question) })
	switch {
	case errors.Is(err, io.EOF): // Ctrl-C is a byte now, Ctrl-D too
		err = context.Canceled
	case err != nil && !errors.Is(err, context.Canceled):
		return nil, errs.E(errs.Unavailable, "terminal: %w", err)
	}
	if err != nil {
		fmt.Fprint(e.stderr, "\r\n")
	}
	return []byte(line), err
}

// await runs read, which cannot be interrupted itself, until it ends or an
// interrupt asks for the end. What it reads later is lost.
func await[T any](e *env, read func() (T, error)) (T, error) {
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
	case <-e.stop.Done():
		var none T
		return none, context.Canceled
	case r := <-done:
		if e.stop.Err() != nil { // both at once: the interrupt counts
			var none T
			return none, context.Canceled
		}
		return r.value, r.err
	}
}
