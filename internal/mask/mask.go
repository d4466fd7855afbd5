// Package mask takes secrets out of text while it streams.
//
// A [Set] holds the secrets, a [Writer] replaces them in one stream. What is
// looked for is not the value alone but every form in which programs print it
// (see forms.go) and, of a secret of 16 bytes or more, every piece of 16 bytes
// or more of every form. Secrets of 8 to 15 bytes are looked for whole. What
// everybody may know is left out: the armour of PEM, the constant head and the
// public half of a key, the structure of JSON.
//
// The promise: no piece of 16 bytes of any form reaches the writer below; the
// output is the same however the input is cut; no byte is held back unless it
// may still turn out to be the start of a match, and such bytes are never
// released by a clock.
//
// Masking stops accidents. A job that wants to betray a secret it holds can
// (it may print it reversed, or in pieces of ten); nothing here prevents that.
//
// The package refuses to know where secrets come from and where text goes.
package mask

import (
	"bytes"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
)

const (
	// Token replaces each run of masked bytes in the output.
	Token = "[masked]"

	// MinSecret is the length in bytes of the shortest value that can be
	// masked: anything shorter is in ordinary output too.
	MinSecret = 8

	// MaxSecret bounds the memory that the forms of one value take.
	MaxSecret = 256 << 10
)

// RefusedError says why a value cannot be masked. It never holds the value.
type RefusedError struct {
	Name   string // of the secret
	Reason string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("secret %q cannot be masked: %s", e.Name, e.Reason)
}

// Set is a set of secrets. The zero value is an empty set, ready for use; it
// must not be copied. All methods may be called at the same time, also while
// writers of the set run.
type Set struct {
	mu       sync.Mutex
	added    []addedSecret   // not compiled yet
	seen     map[string]bool // values
	patterns []pattern
	publics  []public
	armour   bool // a secret is a key with armour
	current  atomic.Pointer[matcher]
	stale    atomic.Bool
}

// Add puts a secret into the set under a name that reports may show. Bytes
// that a writer receives later are masked; what it has passed on is gone.
//
// White space around the value is not part of it. Of a JSON object or array
// the strings of 8 bytes or more are the secrets. The error is a
// [*RefusedError]: the value has fewer than [MinSecret] bytes that could be
// masked, or more than [MaxSecret].
func (s *Set) Add(name string, value []byte) error {
	value = bytes.Clone(value)
	segments, reason := segmentsOf(value)
	if reason != "" {
		return &RefusedError{Name: name, Reason: reason}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == nil {
		s.seen = make(map[string]bool)
	}
	if key := string(bytes.TrimSpace(value)); !s.seen[key] {
		s.seen[key] = true
		s.added = append(s.added, addedSecret{name, segments})
		s.stale.Store(true)
	}
	return nil
}

// addedSecret is a secret whose forms are still to be made.
type addedSecret struct {
	name     string
	segments []segment
}

// makeForms makes the forms of what was added, on several processors.
func (s *Set) makeForms() {
	found := make([]*forms, len(s.added))
	workers := min(runtime.GOMAXPROCS(0), 1+len(s.added)/100)
	eachOf(workers, func(worker int) {
		for i := worker; i < len(found); i += workers {
			found[i] = formsOf(s.added[i].name, s.added[i].segments)
		}
	})
	for _, f := range found {
		s.patterns = append(s.patterns, f.patterns...)
		s.publics = append(s.publics, f.publics...)
		s.armour = s.armour || f.armour
	}
	s.added = nil
}

// matcher returns the compiled set, nil when it is empty. What was added is
// compiled once, at the first use after it, and shared by all writers.
func (s *Set) matcher() *matcher {
	if !s.stale.Load() {
		return s.current.Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stale.Load() {
		s.makeForms()
		s.current.Store(s.current.Load().grown(s.patterns, s.publics, s.armour))
		s.stale.Store(false)
	}
	return s.current.Load()
}

// Bytes returns b with the secrets replaced by [Token]; b itself when there
// is none in it. It is for whole texts: error messages, names, annotations.
func (s *Set) Bytes(b []byte) []byte {
	m := s.matcher()
	if m == nil {
		return b
	}
	spans := m.find(b, len(b), nil, &context{})
	if len(spans) == 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	pos := 0
	for _, sp := range spans {
		out = append(out, b[pos:sp.start]...)
		out = append(out, Token...)
		pos = trimEnd(b, sp.start, sp.end)
	}
	return append(out, b[pos:]...)
}

// String is [Set.Bytes] for strings.
func (s *Set) String(text string) string {
	if s.matcher() == nil {
		return text
	}
	b := []byte(text)
	if out := s.Bytes(b); !bytes.Equal(out, b) {
		return string(out)
	}
	return text
}
