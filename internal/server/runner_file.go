package server

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"refline/internal/api"
	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/store"
)

// AttemptFiles keeps what attempts send, and gives them what they may take. A key
// is a name of the runner's: that of an attempt's artifacts, or of a cache of its
// project. Which of them an attempt may read and write is decided here. Errors:
// NotFound if a key has nothing, Denied, and Conflict if it has another content
// than the one that is meant.
type AttemptFiles interface {
	// Info returns the sum of what a key has.
	Info(ctx context.Context, l store.Lease, key string) (blob.Sum, error)
	// Begin announces content: have says that it is there and the key has it now, to
	// is a place that the runner can send it to, nil for Put.
	Begin(ctx context.Context, l store.Lease, key string, sum blob.Sum) (have bool, to *blob.Request, err error)
	// Put takes content and gives it to the key.
	Put(ctx context.Context, l store.Lease, key string, sum blob.Sum, content io.Reader) error
	// Commit gives the key content that was sent to the place that Begin named.
	Commit(ctx context.Context, l store.Lease, key string, sum blob.Sum) error
	// Open reads a part, or names a place where it can be read.
	Open(ctx context.Context, l store.Lease, key string, sum blob.Sum, part blob.Range) (io.ReadCloser, *blob.Request, error)
	// Discard checks what a key has, and forgets it if it is damaged.
	Discard(ctx context.Context, l store.Lease, key string, sum blob.Sum) error
}

// fileCall finds the attempt and the key of a call.
func (a *RunnerAPI) fileCall(c *runnerCall) (l store.Lease, key string, err error) {
	if a.Files == nil {
		return l, "", errs.E(errs.NotFound, "the server keeps no files of jobs")
	}
	key = c.r.PathValue("key")
	if err := blob.CheckKey(key); err != nil {
		return l, "", err
	}
	l, err = a.lease(c)
	return l, key, err
}

// querySum reads size and sha256 of a query.
func querySum(c *runnerCall) (blob.Sum, error) {
	size, err := number(c, "size")
	if err != nil {
		return blob.Sum{}, err
	}
	sum := blob.Sum{Size: size, SHA256: c.r.URL.Query().Get("sha256")}
	return sum, sum.Check()
}

func (a *RunnerAPI) fileInfo(c *runnerCall) (any, error) {
	l, key, err := a.fileCall(c)
	if err != nil {
		return nil, err
	}
	sum, err := a.Files.Info(c.ctx, l, key)
	return api.FileSum{Size: sum.Size, SHA256: sum.SHA256}, err
}

// beginFile takes the announcement of content, or that it was sent to its place.
func (a *RunnerAPI) beginFile(c *runnerCall) (any, error) {
	l, key, err := a.fileCall(c)
	if err != nil {
		return nil, err
	}
	var in api.FileSum
	if err := c.decode(&in, api.MaxRunnerBody); err != nil {
		return nil, err
	}
	sum := blob.Sum{Size: in.Size, SHA256: in.SHA256}
	if err := sum.Check(); err != nil {
		return nil, err
	}
	if c.r.URL.Query().Has("commit") {
		return struct{}{}, a.Files.Commit(c.ctx, l, key, sum)
	}
	have, to, err := a.Files.Begin(c.ctx, l, key, sum)
	out := api.FileUpload{Have: have}
	if err == nil && to != nil {
		out.Method, out.URL, out.Header = to.Method, to.URL, to.Header
	}
	return out, err
}

// putFile takes content as it comes; its sum is checked on the way.
func (a *RunnerAPI) putFile(c *runnerCall) (any, error) {
	l, key, err := a.fileCall(c)
	if err != nil {
		return nil, err
	}
	sum, err := querySum(c)
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.Files.Put(c.ctx, l, key, sum, blob.NewVerifier(c.r.Body, sum))
}

func (a *RunnerAPI) discardFile(c *runnerCall) (any, error) {
	l, key, err := a.fileCall(c)
	if err != nil {
		return nil, err
	}
	sum, err := querySum(c)
	if err != nil {
		return nil, err
	}
	return struct{}{}, a.Files.Discard(c.ctx, l, key, sum)
}

// readFile sends content, or says where it can be read.
func (a *RunnerAPI) readFile(c *runnerCall) (any, error) {
	l, key, err := a.fileCall(c)
	if err != nil {
		return nil, err
	}
	sum, err := querySum(c)
	if err != nil {
		return nil, err
	}
	part, partial, err := rangeOf(c.r)
	if err != nil {
		return nil, err
	}
	body, place, err := a.Files.Open(c.ctx, l, key, sum, part)
	switch {
	case err != nil:
		return nil, err
	case place != nil:
		c.w.Header().Set("Location", place.URL)
		c.w.WriteHeader(http.StatusTemporaryRedirect)
		return streamed{}, nil
	}
	defer body.Close()
	c.w.Header().Set("Content-Type", "application/octet-stream")
	if partial {
		c.w.WriteHeader(http.StatusPartialContent)
	} else {
		c.w.Header().Set("Content-Length", strconv.FormatInt(sum.Size, 10))
	}
	if _, err := io.Copy(c.w, body); err != nil {
		panic(http.ErrAbortHandler) // the runner must not take a part for the whole
	}
	return streamed{}, nil
}

// streamed is the answer of a call that has written its own.
type streamed struct{}

// rangeOf reads a range of one part.
func rangeOf(r *http.Request) (part blob.Range, partial bool, err error) {
	text := r.Header.Get("Range")
	if text == "" {
		return part, false, nil
	}
	wrong := errs.E(errs.Invalid, "the range %q is not bytes=FROM-TO or bytes=FROM-", text)
	from, to, ok := strings.Cut(strings.TrimPrefix(text, "bytes="), "-")
	if !ok || !strings.HasPrefix(text, "bytes=") {
		return part, false, wrong
	}
	if part.Offset, err = strconv.ParseInt(from, 10, 64); err != nil {
		return part, false, wrong
	}
	if to != "" {
		last, err := strconv.ParseInt(to, 10, 64)
		if err != nil || last < part.Offset {
			return part, false, wrong
		}
		part.Length = last - part.Offset + 1
	}
	if err := part.Check(); err != nil {
		return part, false, fmt.Errorf("range: %w", err)
	}
	return part, true, nil
}
