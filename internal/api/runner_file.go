package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"refline/internal/errs"
)

// FileSum identifies content that a runner sends or takes.
type FileSum struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// FileUpload says how content comes to the server: it is there already, it goes to
// a place of its own, or, with neither, to the server itself.
type FileUpload struct {
	Have   bool              `json:"have,omitempty"`
	Method string            `json:"method,omitempty"`
	URL    string            `json:"url,omitempty"`
	Header map[string]string `json:"header,omitempty"`
}

// FileInfo returns the sum of what a key has; NotFound if it has nothing.
func (c *RunnerClient) FileInfo(ctx context.Context, session, fence int64, key string) (sum FileSum, err error) {
	err = c.call(ctx, call{method: http.MethodGet, path: filePath(fence, "files", key), session: session, out: &sum})
	return sum, err
}

// BeginFile announces content.
func (c *RunnerClient) BeginFile(ctx context.Context, session, fence int64, key string, sum FileSum) (u FileUpload, err error) {
	err = c.call(ctx, call{method: http.MethodPost, path: filePath(fence, "files", key), session: session, in: sum, out: &u})
	return u, err
}

// CommitFile gives a key content that was sent to a place of its own.
func (c *RunnerClient) CommitFile(ctx context.Context, session, fence int64, key string, sum FileSum) error {
	return c.call(ctx, call{method: http.MethodPost, path: filePath(fence, "files", key) + "?commit=1", session: session, in: sum})
}

// DiscardFile reports that what a key has is damaged.
func (c *RunnerClient) DiscardFile(ctx context.Context, session, fence int64, key string, sum FileSum) error {
	return c.call(ctx, call{method: http.MethodDelete, path: filePath(fence, "files", key) + "?" + sum.query(), session: session})
}

// SendFile sends content to where u says. It ends when nothing moves for a while,
// however large the content is.
func (c *RunnerClient) SendFile(ctx context.Context, session, fence int64, key string, sum FileSum, u FileUpload, content io.Reader) error {
	ctx, moved, end := c.whileMoving(ctx)
	defer end()
	body := progress{content, moved}
	req, err := c.fileRequest(ctx, http.MethodPut, filePath(fence, "files", key)+"?"+sum.query(), session, body)
	if u.URL != "" {
		if req, err = http.NewRequestWithContext(ctx, u.Method, u.URL, body); err == nil {
			for name, value := range u.Header {
				req.Header.Set(name, value)
			}
		}
	}
	if err != nil {
		return errs.E(errs.Invalid, "send a file: %w", withoutURL(err))
	}
	req.ContentLength = sum.Size
	if sum.Size == 0 {
		req.Body = http.NoBody
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		return c.unreachable(ctx, withoutURL(err))
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, MaxRunnerBody))
	switch {
	case res.StatusCode/100 == 2:
		return nil
	case u.URL == "":
		return c.refused(res, text)
	default:
		return placeRefused(res)
	}
}

// OpenFile reads length bytes from offset on of what a key has, 0 for all that
// follow. Conflict if that is not the content which is meant any more.
func (c *RunnerClient) OpenFile(ctx context.Context, session, fence int64, key string, sum FileSum, offset, length int64) (io.ReadCloser, error) {
	ctx, moved, end := c.whileMoving(ctx)
	req, err := c.fileRequest(ctx, http.MethodGet, filePath(fence, "content", key)+"?"+sum.query(), session, nil)
	if err != nil {
		end()
		return nil, err
	}
	setRange(req, offset, length)
	res, err := c.HTTP.Do(req)
	if err == nil && res.StatusCode == http.StatusTemporaryRedirect {
		res, err = c.elsewhere(ctx, res, offset, length)
	}
	if err != nil {
		err = c.unreachable(ctx, withoutURL(err)) // before end, which is a cause too
		end()
		return nil, err
	}
	if res.StatusCode == http.StatusOK && offset == 0 || res.StatusCode == http.StatusPartialContent {
		return &download{Reader: progress{res.Body, moved}, body: res.Body, end: end}, nil
	}
	text, _ := io.ReadAll(io.LimitReader(res.Body, MaxRunnerBody))
	_ = res.Body.Close()
	end()
	if res.Request.Header.Get(HeaderSession) == "" {
		return nil, placeRefused(res)
	}
	return nil, c.refused(res, text)
}

// elsewhere reads from the place that the server names, without our token.
func (c *RunnerClient) elsewhere(ctx context.Context, res *http.Response, offset, length int64) (*http.Response, error) {
	place, err := res.Location()
	_ = res.Body.Close()
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, place.String(), nil)
	if err != nil {
		return nil, err
	}
	setRange(req, offset, length)
	return c.HTTP.Do(req)
}

// placeRefused is an error of a store of blobs. Its address is a secret.
func placeRefused(res *http.Response) error {
	kind := errs.Unavailable
	if res.StatusCode/100 == 4 && res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusRequestTimeout {
		kind = errs.Denied
	}
	return errs.E(kind, "the store of the server's files answers %s", res.Status)
}

// withoutURL drops an address, which may be a secret.
func withoutURL(err error) error {
	if e, ok := err.(*url.Error); ok { //nolint:errorlint // as the client returns it
		return e.Err
	}
	return err
}

func setRange(req *http.Request, offset, length int64) {
	switch {
	case length > 0:
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
}

func filePath(fence int64, what, key string) string {
	names := strings.Split(key, "/")
	for i, name := range names {
		names[i] = url.PathEscape(name)
	}
	return attemptPath(fence) + "/" + what + "/" + strings.Join(names, "/")
}

func (s FileSum) query() string {
	return url.Values{"size": {strconv.FormatInt(s.Size, 10)}, "sha256": {s.SHA256}}.Encode()
}

// fileRequest is a request whose body is sent as it comes.
func (c *RunnerClient) fileRequest(ctx context.Context, method, path string, session int64, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.URL, "/")+RunnerPath+path, body)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the address of the server: %w", err)
	}
	req.Header.Set(HeaderSession, strconv.FormatInt(session, 10))
	if c.Token != nil {
		req.Header.Set("Authorization", "Bearer "+c.Token())
	}
	return req, nil
}

// whileMoving returns a context that ends when nothing moves for twice the timeout
// of a call.
func (c *RunnerClient) whileMoving(ctx context.Context) (_ context.Context, moved func(), end func()) {
	limit := 2 * c.timeout()
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() {
		cancel(errs.E(errs.Unavailable, "the transfer of a file has not moved for %s", limit))
	})
	var last atomic.Int64
	moved = func() {
		if now := time.Now().Unix(); last.Swap(now) != now {
			timer.Reset(limit)
		}
	}
	return ctx, moved, func() { timer.Stop(); cancel(nil) }
}

type progress struct {
	io.Reader
	moved func()
}

// Read implements [io.Reader].
func (p progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.moved()
	return n, err
}

// download is a body that is being read.
type download struct {
	io.Reader
	body io.Closer
	end  func()
}

// Read implements [io.Reader]. A lost connection may pass.
func (d *download) Read(b []byte) (int, error) {
	n, err := d.Reader.Read(b)
	if err != nil && err != io.EOF { //nolint:errorlint // as readers return it
		err = errs.E(errs.Unavailable, "the transfer of a file broke off: %w", err)
	}
	return n, err
}

// Close implements [io.Closer].
func (d *download) Close() error {
	defer d.end()
	return d.body.Close()
}
