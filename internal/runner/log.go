package runner

import (
	"context"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"refline/internal/api"
	"refline/internal/engine"
)

// attemptLog is the log of an attempt on its way to the server.
type attemptLog struct {
	*stream
	a       *attempt
	cleared atomic.Bool // what the server has is thrown away with the result
}

var _ engine.Log = (*attemptLog)(nil)

func openLog(a *attempt) (*attemptLog, error) {
	s, err := openStream(filepath.Join(a.dir, "log"))
	if err != nil {
		return nil, err
	}
	s.chunk, s.delay = api.MaxLogChunk, 30*time.Millisecond
	s.send = func(ctx context.Context, offset int64, data []byte) (next int64, gap bool, err error) {
		err = a.r.retry(ctx, func() error {
			answer, err := a.r.client.AppendLog(ctx, a.journal.Session, a.fence, offset, data)
			next = answer.Offset
			if at, ok := api.GapAt(err); ok {
				next, gap, err = at, true, nil
			}
			return err
		})
		return next, gap, err
	}
	return &attemptLog{stream: s, a: a}, nil
}

// Append implements [engine.Log]: the bytes are on this computer's disk.
func (l *attemptLog) Append(_ context.Context, p []byte) error { return l.add(p) }

// Open implements [engine.Log].
func (l *attemptLog) Open(context.Context) (io.ReadCloser, error) { return l.reader(), nil }

// Clear implements [engine.Log]. The result clears the server's log once more, so
// that it is not left there whatever happens to this call.
func (l *attemptLog) Clear(ctx context.Context) error {
	l.sending.Lock()
	defer l.sending.Unlock()
	l.cleared.Store(true)
	if err := l.clear(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_ = l.a.r.client.ClearLog(ctx, l.a.journal.Session, l.a.fence)
	return nil
}
