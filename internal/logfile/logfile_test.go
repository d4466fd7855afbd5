package logfile_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"refline/internal/errs"
	"refline/internal/logfile"
)

var id = logfile.ID{Run: 7, Attempt: 12}

func open(t testing.TB, path string, max int64) *logfile.Dir {
	t.Helper()
	d, err := logfile.Open(path, max, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func add(t testing.TB, d *logfile.Dir, offset int64, text string) int64 {
	t.Helper()
	n, err := d.Append(id, offset, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func content(t testing.TB, d *logfile.Dir) string {
	t.Helper()
	r, err := d.Reader(id, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestAppend holds the promise of no gap and no byte twice.
func TestAppend(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), 20)
	if n := add(t, d, 0, "hello "); n != 6 {
		t.Errorf("length %d, want 6", n)
	}
	if n := add(t, d, 0, "hello "); n != 6 {
		t.Errorf("sent again: length %d, want 6", n)
	}
	if n := add(t, d, 3, "lo world"); n != 11 {
		t.Errorf("overlapping: length %d, want 11", n)
	}
	if n, err := d.Append(id, 12, []byte("x")); n != 11 || !errs.Is(err, errs.Conflict) {
		t.Errorf("a gap: got %d, %v, want 11 and a conflict", n, err)
	}
	if n, err := d.Append(id, 11, []byte("more than 20 bytes")); n != 11 || !errs.Is(err, errs.Invalid) {
		t.Errorf("over the limit: got %d, %v, want 11 and invalid", n, err)
	}
	if got := content(t, d); got != "hello world" {
		t.Errorf("got %q", got)
	}
	if n, err := d.Sync(id); n != 11 || err != nil {
		t.Errorf("sync: %d, %v", n, err)
	}
	if err := d.Finish(id); err != nil {
		t.Fatal(err)
	}
	if n := add(t, d, 11, "!"); n != 12 {
		t.Errorf("after the end: length %d, want 12", n)
	}
	if err := d.Remove(id.Run); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Reader(id, 0); !errs.Is(err, errs.NotFound) {
		t.Errorf("removed: got %v, want not found", err)
	}
}

// TestReopen: after a crash a log goes on where it was, its index is mended.
func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := strings.Repeat("a line of some length\n", 20000)
	first := open(t, dir, 0)
	add(t, first, 0, text)
	index := filepath.Join(dir, "7", "12.idx")
	for name, damage := range map[string]func() error{
		"none":                 func() error { return nil },
		"the index is gone":    func() error { return os.Remove(index) },
		"the index is cut":     func() error { return os.Truncate(index, 40) },
		"the index is too new": func() error { return os.Truncate(filepath.Join(dir, "7", "12.log"), 100_000) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		d := open(t, dir, 0)
		size, err := d.Size(id)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Count(text[:size], "\n") + 1
		add(t, d, size, "the next line\n")
		lines, err := d.Lines(id, int64(want), 1)
		if err != nil || len(lines) != 1 || !strings.HasSuffix(string(lines[0].Text), "the next line") {
			t.Errorf("%s: line %d of %d: %d lines (%v)", name, want, want, len(lines), err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, "7", "12.log"), size); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCut: what was not durable before a loss of power is not trusted.
func TestCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := open(t, dir, 0)
	add(t, d, 0, "durable, and not")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, dir, 0)
	if err := again.Cut(id, 7); err != nil {
		t.Fatal(err)
	}
	if err := again.Cut(logfile.ID{Run: 9, Attempt: 9}, 7); err != nil {
		t.Errorf("without a log: %v", err)
	}
	add(t, again, 7, "!")
	if got := content(t, again); got != "durable!" {
		t.Errorf("got %q", got)
	}
}

// TestLines compares with splitting the whole text, for lines around the size of
// blocks and of the limit.
func TestLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	run := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		run++
		id := logfile.ID{Run: run, Attempt: 1}
		d, err := logfile.Open(dir, 0, time.Now)
		if err != nil {
			rt.Fatal(err)
		}
		defer d.Close()
		var text []byte
		for _, n := range rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 30), rapid.IntRange(65500, 65600), rapid.IntRange(0, 200000)), 1, 20).Draw(rt, "lengths") {
			line := append(bytes.Repeat([]byte{byte('a' + n%26)}, n), '\n')
			if _, err := d.Append(id, int64(len(text)), line); err != nil {
				rt.Fatal(err)
			}
			text = append(text, line...)
		}
		if rapid.Bool().Draw(rt, "unfinished") {
			if _, err := d.Append(id, int64(len(text)), []byte("end")); err != nil {
				rt.Fatal(err)
			}
			text = append(text, "end"...)
		}
		all := bytes.SplitAfter(text, []byte{'\n'})
		if len(all[len(all)-1]) == 0 {
			all = all[:len(all)-1]
		}
		from := rapid.IntRange(1, len(all)+1).Draw(rt, "from")
		got, err := d.Lines(id, int64(from), 3)
		if err != nil {
			rt.Fatal(err)
		}
		want := all[from-1 : min(from+2, len(all))]
		if len(got) != len(want) {
			rt.Fatalf("got %d lines, want %d", len(got), len(want))
		}
		offset := len(bytes.Join(all[:from-1], nil))
		for i, w := range want {
			line := bytes.TrimSuffix(w, []byte{'\n'})
			cut := len(line) > logfile.MaxLine
			if cut {
				line = line[:logfile.MaxLine]
			}
			g := got[i]
			if g.Number != int64(from+i) || g.Offset != int64(offset) || g.Cut != cut || !bytes.Equal(g.Text, line) {
				rt.Fatalf("line %d: got number %d at %d, %d bytes, cut %v; want %d, %d, %v", from+i, g.Number, g.Offset, len(g.Text), g.Cut, offset, len(line), cut)
			}
			offset += len(w)
		}
	})
}

func TestSearch(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), 0)
	var b strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&b, "%d even=%v\n", i, i%2 == 0)
	}
	add(t, d, 0, b.String())
	hits, more, err := d.Search(context.Background(), id, func(text []byte) bool { return bytes.HasPrefix(text, []byte("29")) })
	if err != nil || more || len(hits) != 111 || hits[0].Number != 30 || hits[110].Number != 3000 {
		t.Errorf("got %d hits, more %v, %v", len(hits), more, err)
	}
	hits, more, err = d.Search(context.Background(), id, func(text []byte) bool { return bytes.Contains(text, []byte("true")) })
	if err != nil || !more || len(hits) != logfile.MaxHits {
		t.Errorf("got %d hits, more %v, %v; want %d and more", len(hits), more, err, logfile.MaxHits)
	}
}

// TestFollow: many readers see every byte once and in order while a log grows;
// one that never reads holds up no one.
func TestFollow(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), 0)
	add(t, d, 0, "begin\n")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	stuck, release := context.WithCancel(ctx)
	go func() {
		_ = d.Follow(ctx, id, 0, func(int64, []byte) error { <-stuck.Done(); return nil })
	}()
	defer release()
	const readers = 20
	var wait sync.WaitGroup
	got := make([]string, readers)
	for i := range readers {
		wait.Go(func() {
			var text []byte
			err := d.Follow(ctx, id, 0, func(at int64, data []byte) error {
				if at != int64(len(text)) {
					return fmt.Errorf("a chunk at %d after %d bytes", at, len(text))
				}
				text = append(text, data...)
				return nil
			})
			if err != nil {
				t.Error(err)
			}
			got[i] = string(text)
		})
	}
	offset := int64(6)
	for i := range 2000 {
		offset = add(t, d, offset, fmt.Sprintf("line %d\n", i))
	}
	if err := d.Finish(id); err != nil {
		t.Fatal(err)
	}
	wait.Wait()
	want := content(t, d)
	for i, text := range got {
		if text != want {
			t.Errorf("reader %d saw %d bytes, want %d", i, len(text), len(want))
		}
	}
	if _, err := d.Reader(logfile.ID{Run: 1, Attempt: 1}, 0); !errs.Is(err, errs.NotFound) {
		t.Errorf("got %v, want not found", err)
	}
}

func BenchmarkAppend(b *testing.B) {
	d := open(b, b.TempDir(), 1<<40)
	line := bytes.Repeat([]byte("0123456789abcde\n"), 64)
	offset := int64(0)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		n, err := d.Append(id, offset, line)
		if err != nil {
			b.Fatal(err)
		}
		offset = n
	}
}
