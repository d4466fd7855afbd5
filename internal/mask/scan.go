package mask

import (
	"errors"
	"io"
)

// Match says where in a text a secret is, never what it is.
type Match struct {
	Offset int64  `json:"offset"` // of the first byte
	Length int64  `json:"length"` // in bytes
	Name   string `json:"name"`   // of the secret, as given to Add
	Form   Form   `json:"form"`
}

// maxRun is how much of a run of masked bytes is looked at to find out which
// secret it is: enough for a key, little enough for thousands of secrets that
// are side by side.
const maxRun = 4 << 10

// Scan reads r to its end and returns what a [Writer] would have masked in it,
// in order. Where bytes belong to several secrets there is one match for each
// that the others do not explain.
func (s *Set) Scan(r io.Reader) ([]Match, error) {
	sc := scanner{stream: stream{set: s}}
	buf := make([]byte, chunkSize)
	for {
		n, err := r.Read(buf)
		if n > 0 && s.matcher() != nil {
			sc.take(buf[:n], false)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return sc.matches, err
		}
	}
	if s.matcher() != nil {
		sc.take(nil, true)
		sc.endRun()
	}
	return sc.matches, nil
}

// scanner collects the masked runs of a stream.
type scanner struct {
	stream
	given   int64 // bytes given out by the stream
	start   int64 // of the run
	length  int64
	run     []byte // the run, up to maxRun
	matches []Match
}

func (sc *scanner) take(p []byte, final bool) {
	st := sc.next(p, final)
	for i, sp := range st.spans {
		if i > 0 || !st.continues {
			sc.endRun()
			sc.start = sc.given + int64(sp.start-st.from)
		}
		sc.length += int64(sp.end - sp.start)
		piece := st.text[sp.start:sp.end]
		sc.run = append(sc.run, piece[:min(len(piece), maxRun-len(sc.run))]...)
	}
	sc.given += int64(st.to - st.from)
	sc.rest(&st, final)
}

func (sc *scanner) endRun() {
	if sc.length == 0 {
		return
	}
	found := sc.set.matcher().identify(sc.run)
	for i := range found {
		found[i].Offset += sc.start
		if len(found) == 1 { // what joins its parts belongs to it
			found[i].Offset, found[i].Length = sc.start, sc.length
		}
	}
	sc.matches = append(sc.matches, found...)
	sc.run, sc.length = sc.run[:0], 0
}
