package terminal

import "io"

// keyReader reads the terminal for one shell after the other: a read that still
// waits when a shell has ended must not take the next one's first key.
type keyReader struct{ pressed chan []byte }

func newKeyReader(in io.Reader) *keyReader {
	k := &keyReader{pressed: make(chan []byte)}
	go func() {
		defer close(k.pressed)
		for {
			buf := make([]byte, 256)
			n, err := in.Read(buf)
			if n > 0 {
				k.pressed <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return k
}

// keys are those pressed until done is closed.
type keys struct {
	*keyReader
	done <-chan struct{}
	rest []byte
}

func (k *keys) Read(p []byte) (int, error) {
	if len(k.rest) == 0 {
		select {
		case <-k.done:
			return 0, io.ErrClosedPipe
		case pressed, ok := <-k.pressed:
			if !ok {
				return 0, io.EOF
			}
			k.rest = pressed
		}
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}
