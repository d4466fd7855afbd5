package diag

import (
	"errors"
	"fmt"
)

// sourced is an error whose findings name files of a source.
type sourced struct {
	error
	read func(file string) ([]byte, error)
}

func (s sourced) Unwrap() error { return s.error }

// WithSource adds to an error what reads the files that its findings name.
func WithSource(err error, read func(file string) ([]byte, error)) error { return sourced{err, read} }

// SourceOf reads the files that an error's findings name; otherwise does if the
// error has no source.
func SourceOf(err error, otherwise func(file string) ([]byte, error)) func(file string) ([]byte, error) {
	var s sourced
	if errors.As(err, &s) {
		return s.read
	}
	return otherwise
}

// DidYouMean is the end of a message about a name that is not known; "" if no known
// name is near.
func DidYouMean(name string, known []string) string {
	if near := Nearest(name, known); near != "" {
		return fmt.Sprintf("; did you mean %q?", near)
	}
	return ""
}
