package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"refline/internal/errs"
)

// ErrDamaged is the error for content that is not what its sum says.
var ErrDamaged = errs.E(errs.Conflict, "the content is not what was stored")

// SumOf returns the sum of content.
func SumOf(content io.Reader) (Sum, error) {
	h := sha256.New()
	n, err := io.Copy(h, content)
	return Sum{Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}, err
}

// Verifier passes content on and ends with an error of kind Invalid unless it
// has the sum: for content that somebody sends. It reads at most one byte more
// than the sum says.
type Verifier struct {
	want Sum
	in   io.Reader
	hash hash.Hash
	read int64
}

// NewVerifier returns one for content.
func NewVerifier(content io.Reader, want Sum) *Verifier {
	return &Verifier{want: want, in: io.LimitReader(content, want.Size+1), hash: sha256.New()}
}

// Read implements [io.Reader].
func (v *Verifier) Read(p []byte) (int, error) {
	n, err := v.in.Read(p)
	v.hash.Write(p[:n])
	v.read += int64(n)
	switch {
	case v.read > v.want.Size:
		return 0, errs.E(errs.Invalid, "the content has more than the %d bytes that were announced", v.want.Size)
	case errors.Is(err, io.EOF) && v.read < v.want.Size:
		return n, errs.E(errs.Invalid, "the content has %d bytes, %d were announced", v.read, v.want.Size)
	case errors.Is(err, io.EOF) && hex.EncodeToString(v.hash.Sum(nil)) != v.want.SHA256:
		return n, errs.E(errs.Invalid, "the content does not have the SHA-256 that was announced")
	}
	return n, err
}

// Opener opens a part of one blob.
type Opener func(ctx context.Context, r Range) (io.ReadCloser, error)

// OpenerOf returns a function that opens parts of the blob of a key.
func OpenerOf(s Store, key string) Opener {
	return func(ctx context.Context, r Range) (io.ReadCloser, error) { return s.Open(ctx, key, r) }
}

// retries is how often a read is taken up again without a byte in between.
const retries = 4

// NewReader reads a whole blob and goes on where it was when a connection is
// lost. It ends with [ErrDamaged] if the content does not have the sum.
func NewReader(ctx context.Context, open Opener, want Sum) io.ReadCloser {
	return &resumed{ctx: ctx, open: open, want: want, hash: sha256.New(), pause: 100 * time.Millisecond}
}

type resumed struct {
	ctx   context.Context
	open  Opener
	want  Sum
	hash  hash.Hash
	body  io.ReadCloser
	read  int64
	tries int
	pause time.Duration
	err   error
}

func (r *resumed) Close() error {
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body = nil
	return body.Close()
}

// Read implements [io.Reader]. An error stays.
func (r *resumed) Read(p []byte) (n int, err error) {
	if r.err == nil {
		n, r.err = r.more(p)
	}
	return n, r.err
}

func (r *resumed) more(p []byte) (int, error) {
	for {
		if r.read == r.want.Size && r.body != nil {
			return 0, r.end()
		}
		n, err := r.next(p[:min(int64(len(p)), r.want.Size-r.read)])
		if n > 0 {
			r.tries = 0
			r.hash.Write(p[:n])
			r.read += int64(n)
			return n, nil
		}
		if err := r.again(err); err != nil {
			return 0, err
		}
	}
}

// next reads from the open body, or opens the rest.
func (r *resumed) next(p []byte) (int, error) {
	if r.body == nil {
		body, err := r.open(r.ctx, Range{Offset: r.read})
		if err != nil {
			return 0, err
		}
		r.body = body
	}
	if len(p) == 0 { // of an empty blob
		return 0, nil
	}
	return r.body.Read(p)
}

// again decides what follows a read without a byte.
func (r *resumed) again(err error) error {
	switch {
	case err == nil:
		return nil
	case r.ctx.Err() != nil:
		return context.Cause(r.ctx)
	case !errs.Is(err, errs.Unavailable) && !errs.Is(err, errs.Internal):
		return err
	}
	_ = r.Close()
	r.tries++
	switch {
	case errors.Is(err, io.EOF) && r.tries > 1: // twice at the same place: it ends there
		return fmt.Errorf("%w: it has %d bytes of %d", ErrDamaged, r.read, r.want.Size)
	case r.tries > retries:
		return err
	}
	select {
	case <-time.After(r.pause << r.tries):
		return nil
	case <-r.ctx.Done():
		return context.Cause(r.ctx)
	}
}

// end checks the whole. A connection that is lost behind the last byte does not
// matter.
func (r *resumed) end() error {
	if n, _ := io.ReadFull(r.body, make([]byte, 1)); n > 0 {
		return fmt.Errorf("%w: it has more than %d bytes", ErrDamaged, r.want.Size)
	}
	if hex.EncodeToString(r.hash.Sum(nil)) != r.want.SHA256 {
		return fmt.Errorf("%w: its SHA-256 differs", ErrDamaged)
	}
	return io.EOF
}

// Verify reads a blob and returns [ErrDamaged] if it does not have the sum.
func Verify(ctx context.Context, s Store, key string, want Sum) error {
	r := NewReader(ctx, OpenerOf(s, key), want)
	_, err := io.Copy(io.Discard, r)
	return errors.Join(err, r.Close())
}
