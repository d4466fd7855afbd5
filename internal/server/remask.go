package server

import (
	"bytes"
	"context"
	"slices"
	"sync"

	"refline/internal/api"
	"refline/internal/mask"
)

// remasker masks once more what runners send. A runner masks already; this is for one
// that is out of date, has a fault, or is not ours. It knows the secrets that were sent
// to each attempt, and asks for them again after a restart of the server.
type remasker struct {
	mu       sync.Mutex
	attempts map[int64]*attemptMask
}

// maxMasks bounds the attempts whose secrets are kept in memory. Those of others are
// asked for again.
const maxMasks = 2000

// attemptMask masks what one attempt sends. The zero value masks nothing.
type attemptMask struct {
	set *mask.Set // nil: there are no secrets

	mu     sync.Mutex
	next   int64  // offset of the log's bytes that come next
	tail   []byte // the bytes before, unmasked: a secret may begin in them
	stored []byte // as they are stored
}

// tailSize is one less than the shortest piece of a long secret that is masked, and
// than the longest secret that is only masked whole.
const tailSize = 15

// remember keeps the secrets that were sent to an attempt.
func (r *remasker) remember(fence int64, secrets []api.JobSecret) *attemptMask {
	m := &attemptMask{}
	for _, s := range secrets {
		if m.set == nil {
			m.set = &mask.Set{}
		}
		_ = m.set.Add(s.Name, []byte(s.Value)) // the runner reports what cannot be masked
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.attempts == nil {
		r.attempts = map[int64]*attemptMask{}
	}
	for old := range r.attempts {
		if len(r.attempts) < maxMasks {
			break
		}
		delete(r.attempts, old)
	}
	r.attempts[fence] = m
	return m
}

// of returns what masks an attempt's output.
func (r *remasker) of(ctx context.Context, fence int64, from Dispatcher) (*attemptMask, error) {
	r.mu.Lock()
	m := r.attempts[fence]
	r.mu.Unlock()
	if m != nil {
		return m, nil
	}
	secrets, err := from.Secrets(ctx, fence)
	if err != nil {
		return nil, err
	}
	return r.remember(fence, secrets), nil
}

func (r *remasker) forget(fence int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.attempts, fence)
}

func (m *attemptMask) bytes(text []byte) []byte {
	if m.set == nil {
		return text
	}
	return m.set.Bytes(text)
}

// log masks bytes of a log at their offset; their number stays, as offsets of what
// follows must. If a secret begins in the bytes before, which are stored already,
// before is what to write over the last of them.
func (m *attemptMask) log(offset int64, data []byte) (before, masked []byte) {
	if m.set == nil || len(data) == 0 {
		return nil, data
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if offset != m.next {
		m.tail, m.stored = nil, nil // sent again, or the first bytes after a restart
	}
	raw := slices.Concat(m.tail, data)
	masked = bytes.Clone(maskInPlace(m.set.Bytes, raw))
	cut := len(m.tail)
	for i, b := range m.stored { // what was masked with the bytes before it stays so
		if masked[i] == raw[i] {
			masked[i] = b
		}
	}
	if !bytes.Equal(masked[:cut], m.stored) {
		before = bytes.Clone(masked[:cut])
	}
	last := max(0, len(raw)-tailSize)
	m.next, m.tail, m.stored = offset+int64(len(data)), bytes.Clone(raw[last:]), bytes.Clone(masked[last:])
	return before, masked[cut:]
}

// maskInPlace replaces lines that hold a secret by as many signs as they have. A secret
// of several lines takes all of the bytes.
func maskInPlace(masked func([]byte) []byte, data []byte) []byte {
	if bytes.Equal(masked(data), data) {
		return data
	}
	out := bytes.Clone(data)
	for line := range bytes.Lines(out) { // shares the bytes of out
		if !bytes.Equal(masked(line), line) {
			blank(line)
		}
	}
	if !bytes.Equal(masked(out), out) {
		blank(out)
	}
	return out
}

func blank(text []byte) {
	for i, b := range text {
		if b != '\n' {
			text[i] = '*'
		}
	}
}
