package blob

import (
	"context"
	"io"
)

// Transfer moves blobs between a runner and the server that keeps them. A key
// is a name of the caller's (an attempt's artifacts, a project's cache); which
// blob it has is the server's to know.
type Transfer interface {
	// Info returns the sum of what a key has. NotFound if it has nothing.
	Info(ctx context.Context, key string) (Sum, error)
	// Upload gives content to a key and replaces what the key has. A server that
	// has the same content already does not read it again. On an error the key has
	// what it had. Content is a file so that a lost connection can be repeated.
	Upload(ctx context.Context, key string, sum Sum, content io.ReadSeeker) error
	// Open reads a part of what a key has. sum is the content that is meant:
	// Conflict if the key has another one by now.
	Open(ctx context.Context, key string, sum Sum, r Range) (io.ReadCloser, error)
	// Discard reports that what a key has is damaged. The server checks that
	// itself before it forgets it.
	Discard(ctx context.Context, key string, sum Sum) error
}
