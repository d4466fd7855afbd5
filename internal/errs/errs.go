// Package errs is the closed list of error kinds that every package uses.
//
// An error gets its kind once, at its origin, by [E]. Callers wrap it with
// fmt.Errorf and %w, and [KindOf] returns the kind again. The command line maps a
// kind to an exit code and a server maps it to a status, each in one place. This
// package knows neither.
package errs

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
)

// Kind is the sort of an error, as far as a caller can act on it.
type Kind uint8

// The kinds. The zero value is Internal: an error without a kind.
const (
	Internal    Kind = iota // a fault in this program
	Invalid                 // the input is wrong; the same call will fail again
	NotFound                // the named thing does not exist
	Denied                  // it exists, but not for this caller
	Conflict                // the current state does not allow it
	Unavailable             // a service does not answer or a disk is full; a later attempt may succeed
)

func (k Kind) String() string {
	switch k {
	case Invalid:
		return "invalid"
	case NotFound:
		return "not found"
	case Denied:
		return "denied"
	case Conflict:
		return "conflict"
	case Unavailable:
		return "unavailable"
	default:
		return "internal"
	}
}

type kindError struct {
	kind Kind
	err  error
}

func (e *kindError) Error() string { return e.err.Error() }
func (e *kindError) Unwrap() error { return e.err }

// E returns an error of kind k. The text follows fmt.Errorf, including %w: lower
// case, no full stop, no "failed to".
func E(k Kind, format string, args ...any) error {
	return &kindError{kind: k, err: fmt.Errorf(format, args...)}
}

// KindOf returns the kind of the outermost error in err's chain that has one, or
// Internal if none has. A full disk is Unavailable, whatever failed because of it.
func KindOf(err error) Kind {
	if diskFull(err) {
		return Unavailable
	}
	var e *kindError
	if errors.As(err, &e) {
		return e.kind
	}
	return Internal
}

// diskFull reports whether the operating system refused a write for lack of space
// or quota.
func diskFull(err error) bool {
	var number syscall.Errno
	return errors.As(err, &number) && slices.Contains(diskFullErrors[:], number)
}

// Is reports whether err is of kind k. It is false for nil.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }

// MarshalText gives the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name. An unknown one, of a newer program, is
// Internal.
func (k *Kind) UnmarshalText(name []byte) error {
	*k = Internal
	for known := Invalid; known <= Unavailable; known++ {
		if known.String() == string(name) {
			*k = known
		}
	}
	return nil
}
