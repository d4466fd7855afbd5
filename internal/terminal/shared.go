package terminal

import "io"

// Shared is a terminal that programs use one after the other.
type Shared struct {
	In io.Reader

	keys *keyReader // nil before the first program
}
