// Package errs is the closed list of error kinds that every room speaks.
//
// An error gets its kind once, where it starts, by [E]; callers wrap it with
// fmt.Errorf and %w and ask for the kind again with [KindOf]. The command line
// turns a kind into an exit code and a server into a status, each in one place.
// The package knows neither.
package errs

import (
	"errors"
	"fmt"
)

// Kind says what sort of thing went wrong, as far as a caller may act on it.
type Kind uint8

// The kinds. The zero value is Internal: an error that nobody classified.
const (
	Internal    Kind = iota // a fault of this program
	Invalid                 // the input is wrong; the same call will fail again
	NotFound                // what was named is not there
	Denied                  // it is there, but not for this caller
	Conflict                // the state of things forbids it now
	Unavailable             // somebody else does not answer; trying again may help
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

// E makes an error of kind k. The text follows fmt.Errorf, %w included: lower
// case, no full stop, no "failed to".
func E(k Kind, format string, args ...any) error {
	return &kindError{kind: k, err: fmt.Errorf(format, args...)}
}

// KindOf returns the kind of the outermost classified error in err's chain,
// or Internal when there is none.
func KindOf(err error) Kind {
	var e *kindError
	if errors.As(err, &e) {
		return e.kind
	}
	return Internal
}

// Is reports whether err is of kind k. It is false for nil.
func Is(err error, k Kind) bool { return err != nil && KindOf(err) == k }
