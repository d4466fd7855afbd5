package podsandbox

import (
	"io"
	"sync"
)

// keys are bytes for a terminal that its command has not read yet. The receiver of
// frames must not wait for a command, so they are gathered, up to a bound.
type keys struct {
	mu    sync.Mutex
	more  *sync.Cond
	bytes []byte
	ended bool
}

// mostKeys is more than anybody types ahead; what comes then is dropped.
const mostKeys = 1 << 20

func newKeys() *keys {
	k := &keys{}
	k.more = sync.NewCond(&k.mu)
	return k
}

func (k *keys) add(p []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.bytes)+len(p) <= mostKeys && !k.ended {
		k.bytes = append(k.bytes, p...)
		k.more.Signal()
	}
}

func (k *keys) end() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	k.more.Broadcast()
}

// Read waits for bytes.
func (k *keys) Read(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for len(k.bytes) == 0 && !k.ended {
		k.more.Wait()
	}
	n := copy(p, k.bytes)
	k.bytes = k.bytes[n:]
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
