package mask

import (
	"bytes"
	"strings"
	"testing"
)

// tester is what testing and rapid have in common here.
type tester interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// reference masks by the definition, slowly: a byte is masked when it lies in
// a piece or a whole pattern.
type reference struct {
	matches    map[string]bool // pieces and whole patterns
	beginnings map[string]bool // of matches, shorter than they are
}

func newReference(patterns []pattern) reference {
	r := reference{make(map[string]bool), make(map[string]bool)}
	for _, p := range patterns {
		if len(p.text) < minPiece {
			r.matches[p.text] = true
			continue
		}
		for i := 0; i+minPiece <= len(p.text); i++ {
			piece := p.text[i : i+minPiece]
			for n := 0; n < maxSoft && soft(piece, 0); n++ {
				piece = piece[1:]
			}
			r.matches[piece] = true
		}
	}
	for t := range r.matches {
		for i := 1; i < len(t); i++ {
			r.beginnings[t[:i]] = true
		}
	}
	return r
}

func (r reference) mask(text []byte) string {
	masked := make([]bool, len(text))
	for i := range text {
		for size := MinSecret; size <= minPiece && i+size <= len(text); size++ {
			if r.matches[string(text[i:i+size])] {
				for j := i; j < i+size; j++ {
					masked[j] = true
				}
			}
		}
	}
	for i := len(text) - 1; i >= 0; i-- { // white space that ends a run is not masked
		if (i+1 == len(text) || !masked[i+1]) && strings.IndexByte(" \t\r\n", text[i]) >= 0 {
			masked[i] = false
		}
	}
	var b strings.Builder
	for i, c := range text {
		switch {
		case !masked[i]:
			b.WriteByte(c)
		case i == 0 || !masked[i-1]:
			b.WriteString(Token)
		}
	}
	return b.String()
}

// hold returns how many bytes at the end of text may still become a match.
func (r reference) hold(text []byte) int {
	for size := min(minPiece-1, len(text)); size > 0; size-- {
		if r.beginnings[string(text[len(text)-size:])] {
			return size
		}
	}
	return 0
}

// leaks returns a piece of a pattern that is in out, "" if there is none.
func leaks(patterns []pattern, out string) string {
	for _, plain := range strings.Split(out, Token) {
		if len(plain) < MinSecret {
			continue
		}
		windows := make(map[string]bool)
		for i := 0; i+minPiece <= len(plain); i++ {
			windows[plain[i:i+minPiece]] = true
		}
		for _, p := range patterns {
			if len(p.text) < minPiece {
				if strings.Contains(plain, p.text) {
					return p.text
				}
				continue
			}
			for i := 0; i+minPiece <= len(p.text); i++ {
				if windows[p.text[i:i+minPiece]] {
					return p.text[i : i+minPiece]
				}
			}
		}
	}
	return ""
}

// write writes text in chunks of the sizes that cuts gives, over and over.
func write(t tester, s *Set, text []byte, cuts []byte) string {
	t.Helper()
	var out bytes.Buffer
	w := s.Writer(&out)
	for i := 0; len(text) > 0; i++ {
		n := len(text)
		if len(cuts) > 0 {
			n = min(n, int(cuts[i%len(cuts)])%40+1)
		}
		if _, err := w.Write(text[:n]); err != nil {
			t.Fatal(err)
		}
		text = text[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// compose builds a text out of pieces of patterns and of noise, as steered by
// script: it makes overlaps, repetitions and broken pieces likely.
func compose(patterns []pattern, script []byte) []byte {
	var text []byte
	for i := 0; i+2 < len(script); i += 3 {
		op, a, b := script[i], int(script[i+1]), int(script[i+2])
		if op%4 == 0 || len(patterns) == 0 {
			text = append(text, script[i:i+3]...)
			continue
		}
		p := patterns[(a*7+int(op))%len(patterns)].text
		from := b * len(p) / 256
		to := len(p)
		if op%4 != 1 {
			to = min(len(p), from+int(op)%40)
		}
		text = append(text, p[from:to]...)
	}
	return text
}

func checkAgainstReference(t tester, secrets [][]byte, script, cuts []byte) {
	t.Helper()
	var s Set
	for _, v := range secrets {
		if err := s.Add("secret", v); err != nil {
			continue
		}
		if len(cuts) > 0 && cuts[0]%2 == 1 {
			s.matcher() // a set that is used already grows
		}
	}
	s.matcher()
	text := compose(s.patterns, script)
	if len(text) > 4000 {
		text = text[:4000]
	}
	ref := newReference(s.patterns)
	want := ref.mask(text)
	if got := string(s.Bytes(text)); got != want {
		t.Fatalf("Bytes differs from the definition\n in  %q\n got  %q\n want %q", text, got, want)
	}
	if got := write(t, &s, text, cuts); got != want {
		t.Fatalf("the output depends on how the input is cut (%v)\n in  %q\n got  %q\n want %q", cuts, text, got, want)
	}
	if piece := leaks(s.patterns, want); piece != "" {
		t.Fatalf("leaked %q\n in  %q\n out %q", piece, text, want)
	}
	if m := s.matcher(); m != nil {
		for n := 1; n <= len(text); n += 1 + len(text)/50 {
			want, got := ref.hold(text[:n]), m.hold(text[:n])
			if got < want || got > want && got > headSize {
				t.Fatalf("held %d bytes of the end of %q, want %d", got, text[:n], want)
			}
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("correct horse battery staple"), []byte("hunter2hunter2"), []byte("abcdefghijklmnopqrstuvw"), []byte{3, 1})
	f.Add([]byte("line one of it\nline two\nand three, the last"), []byte("12345678"), bytes.Repeat([]byte{1, 9, 0}, 9), []byte{0})
	f.Add(bytes.Repeat([]byte("ab"), 20), bytes.Repeat([]byte("a"), 20), bytes.Repeat([]byte{6, 3, 77}, 20), []byte{5})
	f.Add([]byte(`{"key":"a string in JSON","n":1}`), []byte("x: y: z: w: v: u"), bytes.Repeat([]byte{7, 200, 30}, 20), []byte{0, 30})
	f.Fuzz(func(t *testing.T, a, b, script, cuts []byte) {
		if len(a) > 60 || len(b) > 60 || len(script) > 300 || len(cuts) > 50 {
			t.Skip("long inputs make the slow reference slower, not better")
		}
		checkAgainstReference(t, [][]byte{a, b}, script, cuts)
	})
}
