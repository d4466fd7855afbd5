package runner

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// stream is bytes on their way to the server. They stay in a file until the attempt
// is over: what the server lost, or what was sent before this process was killed,
// is sent again from where the server wants to go on.
type stream struct {
	send  sendFunc
	chunk int           // bytes sent at once
	lines bool          // chunks end with a line
	delay time.Duration // for which bytes are gathered

	mu   sync.Mutex
	file *os.File
	size int64
	sent int64 // that the server has

	wake    chan struct{}
	sending sync.Mutex // held during a request
}

// sendFunc sends bytes at an offset. It returns where to go on: after them, or
// where the server misses some (gap).
type sendFunc func(ctx context.Context, offset int64, data []byte) (next int64, gap bool, err error)

// openStream opens the file, which may be left from before a restart: then the server
// is taken to have all of it, and it answers where that is wrong.
func openStream(path string) (*stream, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &stream{file: f, size: info.Size(), sent: info.Size(), wake: make(chan struct{}, 1)}, nil
}

func (s *stream) close() { _ = s.file.Close() }

// add appends bytes. They are on this computer then, and sent soon.
func (s *stream) add(p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.file.WriteAt(p, s.size); err != nil {
		return err
	}
	s.size += int64(len(p))
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// clear throws away all bytes.
func (s *stream) clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size, s.sent = 0, 0
	return s.file.Truncate(0)
}

// reader reads what there is.
func (s *stream) reader() io.ReadCloser {
	s.mu.Lock()
	defer s.mu.Unlock()
	return io.NopCloser(io.NewSectionReader(s.file, 0, s.size))
}

// follow sends bytes as they come, until ctx is done or one call fails for good.
func (s *stream) follow(ctx context.Context) error {
	timer := time.NewTimer(s.delay)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		}
		timer.Reset(s.delay)
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := s.push(ctx, 0); err != nil {
			return err
		}
	}
}

// push sends all but the last keep bytes.
func (s *stream) push(ctx context.Context, keep int64) error {
	s.sending.Lock()
	defer s.sending.Unlock()
	for {
		offset, data, err := s.next(keep)
		if err != nil || len(data) == 0 {
			return err
		}
		next, gap, err := s.send(ctx, offset, data)
		if err != nil {
			return err
		}
		if !gap && next <= offset {
			next = offset + int64(len(data))
		}
		s.goOn(next)
	}
}

// goOn sets where the server goes on.
func (s *stream) goOn(next int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = min(next, s.size)
}

// next reads the next chunk; none if only keep bytes are left.
func (s *stream) next(keep int64) (offset int64, data []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.size-s.sent <= keep {
		return s.sent, nil, nil
	}
	data = make([]byte, min(s.size-s.sent, int64(s.chunk)))
	if _, err := s.file.ReadAt(data, s.sent); err != nil {
		return 0, nil, err
	}
	if s.lines {
		data = data[:bytes.LastIndexByte(data, '\n')+1]
	}
	return s.sent, data, nil
}

// rest returns the bytes that the server does not have, after push.
func (s *stream) rest() (offset int64, data []byte, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	data = make([]byte, s.size-s.sent)
	_, err = s.file.ReadAt(data, s.sent)
	if errors.Is(err, io.EOF) && len(data) == 0 {
		err = nil
	}
	return s.sent, data, err
}
