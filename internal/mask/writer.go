package mask

import (
	"errors"
	"io"
)

// Writer masks one stream. It must not be used by two goroutines at a time.
type Writer struct {
	stream
	w      io.Writer
	out    []byte
	closed bool
}

var errClosed = errors.New("write to a closed mask writer")

// Writer returns a writer that passes on to w what is written to it, masked.
// It costs nothing to make; use one for each stream, such as the standard
// output of one job, since what is held back belongs to one stream. While the
// set is empty, writes go straight to w.
func (s *Set) Writer(w io.Writer) *Writer {
	return &Writer{stream: stream{set: s}, w: w}
}

// Write passes p on in at most one write for each 64 KiB. It keeps nothing of
// p but bytes, fewer than 16, that may be the beginning of a match.
func (w *Writer) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errClosed
	}
	m := w.set.matcher()
	if m == nil {
		return w.w.Write(p)
	}
	if w.plain(m, p) { // most lines of most logs
		return w.w.Write(p)
	}
	n := len(p)
	for len(p) > 0 {
		chunk := p[:min(len(p), chunkSize)]
		p = p[len(chunk):]
		if err := w.pass(chunk, false); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// Flush passes on what was held back: the stream has ended, it is the
// beginning of no match. What is written after it starts a new stream.
func (w *Writer) Flush() error {
	if w.set.matcher() == nil {
		return nil
	}
	return w.pass(nil, true)
}

// Close flushes; writes after it fail. It does not close the writer below.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	w.closed = true
	return w.Flush()
}

func (w *Writer) pass(p []byte, final bool) error {
	s := w.next(p, final)
	err := w.give(&s)
	w.rest(&s, final)
	return err
}

// give passes on what a step gives out, masked.
func (w *Writer) give(s *step) error {
	if len(s.spans) == 0 {
		if s.from == s.to {
			return nil
		}
		_, err := w.w.Write(s.text[s.from:s.to])
		return err
	}
	w.out = w.out[:0]
	pos := s.from
	for i, sp := range s.spans {
		w.out = append(w.out, s.text[pos:sp.start]...)
		if i > 0 || !s.continues {
			w.out = append(w.out, Token...)
		}
		pos = sp.end
	}
	w.out = append(w.out, s.text[pos:s.to]...)
	if len(w.out) == 0 {
		return nil
	}
	_, err := w.w.Write(w.out)
	return err
}
