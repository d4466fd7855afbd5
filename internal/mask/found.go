package mask

import (
	"bytes"
	"io"
)

// Found is one place of a secret in a file.
type Found struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // from 1; of a file that can be read twice
	Match
}

// AddLines reads as far as the last match and fills in the lines of all, which
// are in order.
func AddLines(out []Found, r io.Reader) {
	buf := make([]byte, 64<<10)
	line, at := 1, int64(0)
	for i := 0; i < len(out); {
		n, err := r.Read(buf)
		done := 0
		for ; i < len(out) && out[i].Offset < at+int64(n); i++ {
			upTo := int(out[i].Offset - at)
			if upTo > done {
				line += bytes.Count(buf[done:upTo], []byte("\n"))
				done = upTo
			}
			out[i].Line = line
		}
		line += bytes.Count(buf[done:n], []byte("\n"))
		at += int64(n)
		if err != nil {
			return
		}
	}
}
