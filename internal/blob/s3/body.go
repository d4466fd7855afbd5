package s3

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"refline/internal/blob"
	"refline/internal/errs"
)

// httpRange writes a range as a header; nil for all.
func httpRange(r blob.Range) *string {
	if r == (blob.Range{}) {
		return nil
	}
	text := fmt.Sprintf("bytes=%d-", r.Offset)
	if r.Length > 0 && r.Offset <= 1<<63-1-r.Length {
		text += strconv.FormatInt(r.Offset+r.Length-1, 10)
	}
	return &text
}

// body is an answer that is being read. It ends with an error when no byte
// comes for a while, and when there are fewer than announced.
type body struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	in     io.ReadCloser
	left   int64
	stall  *time.Timer
}

func newBody(ctx context.Context, cancel context.CancelCauseFunc, in io.ReadCloser, size int64) *body {
	b := &body{ctx: ctx, cancel: cancel, in: in, left: size}
	b.stall = time.AfterFunc(patience, func() {
		cancel(errs.E(errs.Unavailable, "the blob store sent nothing for %s", patience))
	})
	return b
}

func (b *body) Read(p []byte) (int, error) {
	b.stall.Reset(patience)
	n, err := b.in.Read(p)
	b.stall.Stop() // while the caller does something else
	b.left -= int64(n)
	switch {
	case err == nil:
		return n, nil
	case b.ctx.Err() != nil:
		return n, context.Cause(b.ctx)
	case err == io.EOF && b.left <= 0: //nolint:errorlint // as readers return it
		return n, io.EOF
	default:
		return n, errs.E(errs.Unavailable, "the connection to the blob store was lost: %w", noEOF(err))
	}
}

// noEOF keeps an early end from looking like an orderly one.
func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // as readers return it
		return io.ErrUnexpectedEOF
	}
	return err
}

func (b *body) Close() error {
	b.stall.Stop()
	b.cancel(nil)
	return b.in.Close()
}

// onlyRead hides WriteTo of request bodies. The SDK closes a body as soon as the
// answer is there, and its WriteTo then returns io.EOF, which net/http takes for
// a failed request.
func onlyRead(s *middleware.Stack) error {
	return s.Finalize.Add(middleware.FinalizeMiddlewareFunc("OnlyRead", func(
		ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler,
	) (middleware.FinalizeOutput, middleware.Metadata, error) {
		if req, ok := in.Request.(*smithyhttp.Request); ok {
			if stream, ok := req.GetStream().(io.ReadSeeker); ok {
				plain, err := req.SetStream(struct{ io.ReadSeeker }{stream})
				if err != nil {
					return middleware.FinalizeOutput{}, middleware.Metadata{}, err
				}
				in.Request = plain
			}
		}
		return next.HandleFinalize(ctx, in)
	}), middleware.After)
}
