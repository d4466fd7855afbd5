package server

import (
	"strings"
	"testing"

	"refline/internal/api"
	"refline/internal/mask"
)

// TestMaskInPlace: what is masked a second time keeps its length, since offsets count.
func TestMaskInPlace(t *testing.T) {
	t.Parallel()
	set := &mask.Set{}
	for name, value := range map[string]string{"SHORT": "s3cret-value-1", "LONG": "first line of it\nsecond line of it\nthird line of it"} {
		if err := set.Add(name, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ in, want string }{
		{"nothing here\n", "nothing here\n"},
		{"before\nit is s3cret-value-1 here\nafter\n", "before\n" + strings.Repeat("*", len("it is s3cret-value-1 here")) + "\nafter\n"},
		{"[masked]\n", "[masked]\n"},
		{"a\nfirst line of it\nsecond line of it\nthird line of it\nb\n", "a\n" + strings.Repeat("*", 16) + "\n" + strings.Repeat("*", 17) + "\n" + strings.Repeat("*", 16) + "\nb\n"},
	} {
		got := string(maskInPlace(set.Bytes, []byte(c.in)))
		if got != c.want {
			t.Errorf("%q: got %q, want %q", c.in, got, c.want)
		}
	}
}

// TestLogMasksOverChunks: whichever way a log is cut into chunks, no part of a secret is
// left, neither of one that is masked whole only nor of one that is masked in pieces.
func TestLogMasksOverChunks(t *testing.T) {
	t.Parallel()
	const short, long = "kanarie-17", "a-long-secret-of-more-than-thirty-bytes"
	const text = "hello\nuse " + short + " now\nand " + long + "\nbye\n"
	want := "hello\n" + strings.Repeat("*", len("use "+short+" now")) + "\n" + strings.Repeat("*", len("and "+long)) + "\nbye\n"
	for size := 1; size <= len(text); size++ {
		var r remasker
		m := r.remember(1, []api.JobSecret{{Name: "SHORT", Value: short}, {Name: "LONG", Value: long}})
		var log []byte
		for from := 0; from < len(text); from += size {
			before, data := m.log(int64(from), []byte(text[from:min(from+size, len(text))]))
			copy(log[from-len(before):], before)
			log = append(log, data...)
		}
		got := string(log)
		if len(got) != len(text) || strings.Count(got, "\n") != strings.Count(text, "\n") {
			t.Fatalf("chunks of %d: %d bytes, want %d with the same lines", size, len(got), len(text))
		}
		if !strings.HasPrefix(got, "hello\n") || !strings.HasSuffix(got, "\nbye\n") {
			t.Errorf("chunks of %d: other lines changed: %q", size, got)
		}
		for n := 0; n+4 <= len(short); n++ {
			if size >= len(short)-1 && strings.Contains(got, short[n:n+4]) {
				t.Errorf("chunks of %d: %q of the short secret is left in %q", size, short[n:n+4], got)
			}
		}
		if size == len(text) && got != want {
			t.Errorf("one chunk: got %q, want %q", got, want)
		}
	}
}

// TestAgreeProtocol: a version works with itself and the one before; otherwise it is
// said which program is too old.
func TestAgreeProtocol(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		runner, server, want int
		text                 string
	}{
		{1, 1, 1, ""}, {3, 3, 3, ""}, {2, 3, 2, ""}, {3, 2, 2, ""},
		{1, 3, 0, "update the runner"}, {4, 2, 0, "update the server"}, {0, 1, 0, "names no protocol"},
	} {
		got, err := api.AgreeProtocol(c.runner, c.server)
		if got != c.want || (err != nil) != (c.text != "") || err != nil && !strings.Contains(err.Error(), c.text) {
			t.Errorf("runner %d, server %d: got %d, %v; want %d, %q", c.runner, c.server, got, err, c.want, c.text)
		}
	}
}
