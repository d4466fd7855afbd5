// Package secret holds variables that are secret: values that never print,
// the rule that decides which job gets which variable, and the file that keeps
// them, plain or encrypted with age.
//
// The promise: a [Value] gives its content through Reveal only; whatever
// prints, formats, logs or encodes it gets "[masked]". A protected variable
// is selected on protected refs only. An encrypted file that cannot be opened
// is an error, never an empty set.
//
// The package refuses to know how values are masked in logs, where a job runs,
// and what a server keeps.
package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// masked is what a value shows of itself.
const masked = "[masked]"

// Value is a secret. The zero value is empty. Values cannot be compared with
// ==; use Equal.
type Value struct {
	// The content hides in a function: reflection, which prints unexported
	// fields of structs without asking their methods, finds an address only.
	reveal func() []byte
}

// New returns a value with a copy of content.
func New(content []byte) Value {
	b := append([]byte(nil), content...)
	return Value{func() []byte { return b }}
}

// NewString is [New] for strings.
func NewString(content string) Value { return New([]byte(content)) }

// Reveal returns a copy of the content.
func (v Value) Reveal() []byte { return append([]byte(nil), v.bytes()...) }

// RevealString returns the content.
func (v Value) RevealString() string { return string(v.bytes()) }

// Len returns the length of the content in bytes.
func (v Value) Len() int { return len(v.bytes()) }

// Equal compares contents in a time that depends on their lengths only.
func (v Value) Equal(other Value) bool {
	return subtle.ConstantTimeCompare(v.bytes(), other.bytes()) == 1
}

func (v Value) bytes() []byte {
	if v.reveal == nil {
		return nil
	}
	return v.reveal()
}

// String returns "[masked]".
func (v Value) String() string { return masked }

// GoString returns "[masked]".
func (v Value) GoString() string { return masked }

// Format writes "[masked]" for all verbs and flags.
func (v Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, masked) } // fmt keeps errors of its writer

// MarshalText returns "[masked]", for JSON, XML and all that encode text.
func (v Value) MarshalText() ([]byte, error) { return []byte(masked), nil }

// MarshalBinary returns "[masked]", for gob.
func (v Value) MarshalBinary() ([]byte, error) { return []byte(masked), nil }

// MarshalYAML returns "[masked]".
func (v Value) MarshalYAML() (any, error) { return masked, nil }

// LogValue returns "[masked]".
func (v Value) LogValue() slog.Value { return slog.StringValue(masked) }

var (
	_ fmt.Formatter  = Value{}
	_ slog.LogValuer = Value{}
)
