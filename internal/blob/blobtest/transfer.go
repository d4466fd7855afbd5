package blobtest

import (
	"context"
	"io"
	"sync"

	"refline/internal/blob"
	"refline/internal/errs"
)

// Transfer is a [blob.Transfer] as a server with a store does it: content by
// its sum, and which sum a key has.
type Transfer struct {
	Store blob.Store

	mu      sync.Mutex
	keys    map[string]blob.Sum
	Sent    int                               // uploads that were read
	Opened  []blob.Range                      // what was read
	Content func(io.Reader) io.Reader         // what becomes of what is sent; nil: all arrives
	Body    func(io.ReadCloser) io.ReadCloser // what becomes of what is read; nil: all arrives
}

var _ blob.Transfer = (*Transfer)(nil)

// Info implements [blob.Transfer].
func (t *Transfer) Info(_ context.Context, key string) (blob.Sum, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum, ok := t.keys[key]
	if !ok {
		return sum, errs.E(errs.NotFound, "%s has nothing", key)
	}
	return sum, nil
}

// Place is the blob of a content.
func Place(sum blob.Sum) string { return "c/" + sum.SHA256 }

// Upload implements [blob.Transfer].
func (t *Transfer) Upload(ctx context.Context, key string, sum blob.Sum, content io.ReadSeeker) error {
	if _, err := t.Store.Stat(ctx, Place(sum)); errs.Is(err, errs.NotFound) {
		t.mu.Lock()
		t.Sent++
		t.mu.Unlock()
		var in io.Reader = content
		if t.Content != nil {
			in = t.Content(content)
		}
		if err := t.Store.Put(ctx, Place(sum), sum, in); err != nil {
			return err
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.keys == nil {
		t.keys = map[string]blob.Sum{}
	}
	t.keys[key] = sum
	return nil
}

// Open implements [blob.Transfer].
func (t *Transfer) Open(ctx context.Context, key string, sum blob.Sum, r blob.Range) (io.ReadCloser, error) {
	now, err := t.Info(ctx, key)
	if err != nil {
		return nil, err
	}
	if now != sum {
		return nil, errs.E(errs.Conflict, "%s has another content by now", key)
	}
	t.mu.Lock()
	t.Opened = append(t.Opened, r)
	t.mu.Unlock()
	body, err := t.Store.Open(ctx, Place(sum), r)
	if err == nil && t.Body != nil {
		body = t.Body(body)
	}
	return body, err
}

// Discard implements [blob.Transfer].
func (t *Transfer) Discard(ctx context.Context, key string, sum blob.Sum) error {
	if err := blob.Verify(ctx, t.Store, Place(sum), sum); err == nil {
		return nil
	}
	t.mu.Lock()
	delete(t.keys, key)
	t.mu.Unlock()
	return t.Store.Delete(ctx, Place(sum))
}
