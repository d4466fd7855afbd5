package runner

import (
	"context"
	"io"

	"refline/internal/api"
	"refline/internal/blob"
)

// transfer moves the files of one attempt to and from the server.
type transfer struct {
	r              *runner
	session, fence int64
}

var _ blob.Transfer = (*transfer)(nil)

func apiSum(s blob.Sum) api.FileSum { return api.FileSum{Size: s.Size, SHA256: s.SHA256} }

// Info implements [blob.Transfer].
func (t *transfer) Info(ctx context.Context, key string) (blob.Sum, error) {
	var sum api.FileSum
	err := t.r.retry(ctx, func() (err error) {
		sum, err = t.r.client.FileInfo(ctx, t.session, t.fence, key)
		return err
	})
	return blob.Sum{Size: sum.Size, SHA256: sum.SHA256}, err
}

// Upload implements [blob.Transfer]. What is lost on the way is sent again.
func (t *transfer) Upload(ctx context.Context, key string, sum blob.Sum, content io.ReadSeeker) error {
	return t.r.retry(ctx, func() error {
		to, err := t.r.client.BeginFile(ctx, t.session, t.fence, key, apiSum(sum))
		if err != nil || to.Have {
			return err
		}
		if _, err := content.Seek(0, io.SeekStart); err != nil {
			return err
		}
		err = t.r.client.SendFile(ctx, t.session, t.fence, key, apiSum(sum), to, io.NopCloser(content))
		if err != nil || to.URL == "" {
			return err
		}
		return t.r.client.CommitFile(ctx, t.session, t.fence, key, apiSum(sum))
	})
}

// Open implements [blob.Transfer].
func (t *transfer) Open(ctx context.Context, key string, sum blob.Sum, part blob.Range) (body io.ReadCloser, err error) {
	err = t.r.retry(ctx, func() error {
		body, err = t.r.client.OpenFile(ctx, t.session, t.fence, key, apiSum(sum), part.Offset, part.Length)
		return err
	})
	return body, err
}

// Discard implements [blob.Transfer].
func (t *transfer) Discard(ctx context.Context, key string, sum blob.Sum) error {
	return t.r.client.DiscardFile(ctx, t.session, t.fence, key, apiSum(sum))
}
