// Package blob keeps streams of bytes by key: artifacts, caches, logs.
//
// It promises that a blob is there whole or not at all, that what was put is
// durable when Put returns, and that its content is what the sum says. It does
// not know what a blob means, who may read it, nor when it is removed.
package blob

import (
	"context"
	"io"
	"iter"
	"strings"
	"time"

	"refline/internal/errs"
)

// Store keeps blobs. It is safe for use by several goroutines. All methods
// return Invalid for a key that [CheckKey] refuses, and Unavailable for a full
// disk or a service that does not answer.
type Store interface {
	// Put keeps content under a key and replaces what the key has. The content
	// must have the size and the SHA-256 of sum, else the error is Invalid. On an
	// error the key has what it had.
	Put(ctx context.Context, key string, sum Sum, content io.Reader) error
	// Open reads a part of a blob. NotFound if there is none. A range that begins
	// at or after the end is empty. The reader reports a lost connection as an error,
	// never as the end.
	Open(ctx context.Context, key string, r Range) (io.ReadCloser, error)
	// Stat describes a blob. NotFound if there is none.
	Stat(ctx context.Context, key string) (Info, error)
	// Delete removes a blob. It is not an error if there is none.
	Delete(ctx context.Context, key string) error
	// List gives the blobs whose keys begin with prefix, in the order of their
	// bytes, beginning after the key after. The first error ends it.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]
	// Upload makes a request by which somebody else can put exactly this content
	// until it expires; nil if the store cannot, then use Put.
	Upload(ctx context.Context, key string, sum Sum, expires time.Duration) (*Request, error)
	// Download makes a request by which somebody else can read the blob; nil if
	// the store cannot. It does not check that there is one.
	Download(ctx context.Context, key string, expires time.Duration) (*Request, error)
}

// Sum identifies content.
type Sum struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"` // 64 hexadecimal digits, lower case
}

// Info describes a blob. SHA256 is empty if the store does not know it; List
// never does.
type Info struct {
	Key string
	Sum
	Modified time.Time
}

// Range is a part of a blob: Length bytes from Offset on, or less at its end.
// Length 0 means to the end, so the zero value is all of it.
type Range struct{ Offset, Length int64 }

// Request is one that needs no other credentials. Its URL is a secret for as
// long as it is valid.
type Request struct {
	Method string
	URL    string
	Header map[string]string // to be sent as it is
}

// Check returns Invalid unless s can be the sum of content.
func (s Sum) Check() error {
	if s.Size < 0 {
		return errs.E(errs.Invalid, "a blob cannot have %d bytes", s.Size)
	}
	if len(s.SHA256) != 64 || strings.Trim(s.SHA256, "0123456789abcdef") != "" {
		return errs.E(errs.Invalid, "%.80q is not a SHA-256 in lower-case hexadecimal digits", s.SHA256)
	}
	return nil
}

// Check returns Invalid for negative numbers.
func (r Range) Check() error {
	if r.Offset < 0 || r.Length < 0 {
		return errs.E(errs.Invalid, "a range cannot begin at %d and have %d bytes", r.Offset, r.Length)
	}
	return nil
}

// MaxKey is how many bytes a key may have.
const MaxKey = 512

// CheckKey returns Invalid unless a key is safe on every platform and in every
// store: names of lower-case letters, digits, and - _ . with slashes between. A
// name has at most 200 bytes, begins with a letter or digit, does not end with a
// dot or in ".blob", and is not a device of Windows.
func CheckKey(key string) error {
	if len(key) > MaxKey {
		return errs.E(errs.Invalid, "the key %.40q… has %d bytes, more than %d", key, len(key), MaxKey)
	}
	for name := range strings.SplitSeq(key, "/") {
		if why := badName(name); why != "" {
			return errs.E(errs.Invalid, "%.100q is not a key of a blob: %s", key, why)
		}
	}
	return nil
}

func badName(name string) string {
	switch {
	case name == "":
		return "a name in it is empty"
	case len(name) > 200:
		return "a name in it has more than 200 bytes"
	case strings.ContainsFunc(name, notInKey):
		return "it may have lower-case letters, digits and -_. only"
	case name[0] == '.' || name[0] == '-' || name[0] == '_':
		return "a name in it does not begin with a letter or digit"
	case strings.HasSuffix(name, ".") || strings.HasSuffix(name, fileSuffix):
		return "a name in it ends with a dot or in " + fileSuffix
	}
	base, _, _ := strings.Cut(name, ".")
	switch base {
	case "con", "prn", "aux", "nul":
		return "Windows has a device of that name"
	}
	if len(base) == 4 && (base[:3] == "com" || base[:3] == "lpt") && base[3] >= '0' && base[3] <= '9' {
		return "Windows has a device of that name"
	}
	return ""
}

func notInKey(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && r != '.'
}
