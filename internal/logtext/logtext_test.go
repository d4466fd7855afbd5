package logtext

import "testing"

func TestContains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line, want string
		found      bool
	}{
		{"Copied ROWS", "rows", true}, {"copied", "rows", false}, {"\x1b[31mPart\x1b[0mner", "partner", true}, {"a\rb", "a", false}, {"a\rb\r", "b", true},
		{"\x1b[31mx", "31m", false}, {"300 \u212a", "k", true}, {"\u0130stanbul \x1b[1m", "i", true}, {"Ä", "ä", true}, {"", "x", false}, {"worst", "sworst", false}, {"a-b_c", "-B_", false}, {"a-B_c", "-b_", true},
	} {
		if got := Contains([]byte(c.line), c.want); got != c.found {
			t.Errorf("%q in %q: %v", c.want, c.line, got)
		}
	}
}

func BenchmarkContains(b *testing.B) {
	line := []byte("\x1b[32m00000001\x1b[0m copied a part of the table\rcopied 100 rows of it, and then another line of the usual length")
	for _, want := range []string{"nothing-like-this", "usual lengths"} {
		b.Run(want, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				Contains(line, want)
			}
		})
	}
}
