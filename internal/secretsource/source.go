// Package secretsource finds secrets where a user says that they are: in variables
// of the environment, in files, on standard input, typed without an echo, among kept
// deploy keys, and in files of variables.
//
// Values are never part of a message and never come from a command line. What
// cannot be read or masked is an error: nothing passes as if it were masked. The
// package does not know flags.
package secretsource

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/mask"
	"refline/internal/secret"
)

// Source is where a command looks for secrets.
type Source struct {
	Dir     string // relative paths are relative to it
	Getenv  func(string) string
	Environ func() []string
	State   func() (string, error) // the folder of kept keys and variables
	Stdin   io.Reader
	// Hidden asks on the terminal, without an echo. It is nil if there is none.
	Hidden func(question string) ([]byte, error)
	Note   func(text string)
	Stop   context.Context // done if the user wants an end; nil for never
	// Local returns the folder of a repository on this computer.
	Local func(repo string) (dir string, ok bool)
}

func (s *Source) notef(format string, args ...any) { s.Note(fmt.Sprintf(format, args...)) }

func (s *Source) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(s.Dir, name)
}

// FromEnv returns the secret in an environment variable. If that names a file, as
// GitLab's variables of type file do, the secret is the file's content. what begins
// messages: "variable" or a flag.
func (s *Source) FromEnv(what, name string) ([]byte, error) {
	value := s.Getenv(name)
	if value == "" {
		return nil, errs.E(errs.NotFound, "%s %s: the environment has no such variable, or an empty one", what, name)
	}
	if filepath.IsAbs(value) && len(value) < 4096 && !strings.ContainsAny(value, "\n\x00") {
		if info, err := os.Stat(value); err == nil && info.Mode().IsRegular() {
			data, err := inputfile.Read(value, what+" "+name+" names a file, which", mask.MaxSecret)
			if errs.Is(err, errs.NotFound) {
				return nil, errs.E(errs.Denied, "%w", err)
			}
			return data, err
		}
	}
	return []byte(value), nil
}

// maxValue bounds what a variable holds.
const maxValue = 1 << 20

// File reads a value from a file as it is.
func (s *Source) File(file string) (secret.Value, error) {
	data, err := inputfile.Read(s.path(file), file, maxValue)
	return secret.New(data), err
}

// Input reads a value from standard input, without its last line end.
func (s *Source) Input() (secret.Value, error) {
	data, err := inputfile.ReadAll(s.Stdin, "standard input", maxValue)
	if err != nil {
		return secret.Value{}, err
	}
	data = bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if len(data) == 0 {
		return secret.Value{}, errs.E(errs.Invalid, "standard input is empty; pipe a value into it: printf %%s \"$VALUE\" | …")
	}
	return secret.New(data), nil
}

// Typed asks for the value of a variable, or without a terminal reads it from
// standard input.
func (s *Source) Typed(name string) (secret.Value, error) {
	if s.Hidden == nil {
		return s.Input()
	}
	line, err := s.Hidden("value of " + name + " (not shown): ")
	if err != nil {
		return secret.Value{}, err
	}
	if len(line) == 0 {
		return secret.Value{}, errs.E(errs.Invalid, "no value was typed; nothing is changed")
	}
	return secret.New(line), nil
}

// WarnWeak notes if a secret looks like ordinary text, and what in it is too short
// to be masked.
func (s *Source) WarnWeak(name string, value []byte) {
	if why := mask.LooksCommon(value); why != "" {
		s.notef("%s: %s: it is masked wherever it is printed, and each place shows what it is; use a longer, random one", name, why)
	}
	if short := mask.ShortStrings(value); len(short) > 0 {
		more := ""
		if len(short) > 5 {
			more, short = fmt.Sprintf(" and %d more", len(short)-5), short[:5]
		}
		s.notef("%s: not masked, since they have fewer than %d bytes: %s%s", name, mask.MinSecret, strings.Join(short, ", "), more)
	}
}

// Maskable says why a value cannot be masked; nil if it can.
func Maskable(name string, value secret.Value) error {
	set := &mask.Set{}
	return set.Add(name, value.Reveal())
}
