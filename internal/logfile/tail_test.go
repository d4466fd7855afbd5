package logfile_test

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"refline/internal/errs"
	"refline/internal/logfile"
)

// The last lines are those of the whole, with their numbers, wherever the index has
// its entries.
func TestTail(t *testing.T) {
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
		if _, err := d.Tail(logfile.ID{Run: 1 << 40, Attempt: 1}, 3); !errs.Is(err, errs.NotFound) {
			rt.Fatalf("no log: %v", err)
		}
		lengths := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(0, 30), rapid.IntRange(65530, 65540), rapid.IntRange(0, 150000)), 1, 20).Draw(rt, "lengths")
		var text []byte
		for _, n := range lengths {
			text = append(append(text, bytes.Repeat([]byte{byte('a' + n%26)}, n)...), '\n')
		}
		if _, err := d.Append(id, 0, text); err != nil {
			rt.Fatal(err)
		}
		n := rapid.IntRange(1, 25).Draw(rt, "n")
		got, err := d.Tail(id, n)
		if err != nil {
			rt.Fatal(err)
		}
		want := lengths[max(len(lengths)-n, 0):]
		if len(got) != len(want) {
			rt.Fatalf("got %d lines, want %d", len(got), len(want))
		}
		for i, length := range want {
			number := int64(len(lengths) - len(want) + i + 1)
			if got[i].Number != number || len(got[i].Text) != min(length, logfile.MaxLine) {
				rt.Fatalf("line %d: number %d with %d bytes, want %d with %d", i, got[i].Number, len(got[i].Text), number, length)
			}
		}
	})
}
