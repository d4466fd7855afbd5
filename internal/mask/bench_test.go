package mask

import (
	"bytes"
	"fmt"
	"io"
	"math/rand"
	"testing"
)

// naive replaces whole values in each write, as most systems do.
type naive struct {
	w      io.Writer
	values [][]byte
}

func (n naive) Write(p []byte) (int, error) {
	b := p
	for _, v := range n.values {
		b = bytes.ReplaceAll(b, v, []byte(Token))
	}
	_, err := n.w.Write(b)
	return len(p), err
}

func BenchmarkWriter(b *testing.B) {
	corpus := bytes.Repeat(ordinaryLogs(b), 4)
	for _, n := range []int{0, 1, 10, 100, 1000} {
		values := mixedSecrets(n)
		var s Set
		for i, v := range values {
			if err := s.Add(fmt.Sprintf("secret %d", i), v); err != nil {
				b.Fatal(err)
			}
		}
		s.matcher()
		for _, size := range []int{100, 32 << 10} {
			b.Run(fmt.Sprintf("secrets=%d/write=%d", n, size), func(b *testing.B) {
				benchmarkWrites(b, s.Writer(io.Discard), corpus, size)
			})
			b.Run(fmt.Sprintf("secrets=%d/write=%d/naive", n, size), func(b *testing.B) {
				benchmarkWrites(b, naive{io.Discard, values}, corpus, size)
			})
		}
	}
}

func benchmarkWrites(b *testing.B, w io.Writer, corpus []byte, size int) {
	b.SetBytes(int64(len(corpus)))
	b.ReportAllocs()
	for b.Loop() {
		for rest := corpus; len(rest) > 0; {
			n := min(size, len(rest))
			if _, err := w.Write(rest[:n]); err != nil {
				b.Fatal(err)
			}
			rest = rest[n:]
		}
	}
}

// BenchmarkSet measures what the first write after a change pays.
func BenchmarkSet(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		values := mixedSecrets(n)
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var s Set
				for i, v := range values {
					if err := s.Add(fmt.Sprintf("secret %d", i), v); err != nil {
						b.Fatal(err)
					}
				}
				s.matcher()
			}
		})
	}
}

// BenchmarkTokens measures the start with many secrets of a usual length.
func BenchmarkTokens(b *testing.B) {
	r := rand.New(rand.NewSource(1))
	values := make([][]byte, 10_000)
	for i := range values {
		values[i] = token(r, 20+r.Intn(21))
	}
	b.ReportAllocs()
	for b.Loop() {
		var s Set
		for i, v := range values {
			if err := s.Add(fmt.Sprintf("secret %d", i), v); err != nil {
				b.Fatal(err)
			}
		}
		s.matcher()
	}
}

// BenchmarkAdd measures what one more secret costs while writers run.
func BenchmarkAdd(b *testing.B) {
	for _, n := range []int{10, 100, 1000} {
		b.Run(fmt.Sprintf("secrets=%d", n), func(b *testing.B) {
			var s Set
			for i, v := range mixedSecrets(n) {
				if err := s.Add(fmt.Sprintf("secret %d", i), v); err != nil {
					b.Fatal(err)
				}
			}
			s.matcher()
			r := rand.New(rand.NewSource(1))
			for b.Loop() {
				if err := s.Add("one more", token(r, 40)); err != nil {
					b.Fatal(err)
				}
				s.matcher()
			}
		})
	}
}
