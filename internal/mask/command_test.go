package mask

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

func TestAddMaskLines(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"a value":           {"before s3cret-pw\n::add-mask::s3cret-pw\nafter s3cret-pw\n", "before s3cret-pw\nafter [masked]\n"},
		"the first line":    {"::add-mask::s3cret-pw\ns3cret-pw", "[masked]"},
		"Windows":           {"::add-mask::s3cret-pw\r\ns3cret-pw\r\n", "[masked]\r\n"},
		"several lines":     {AddLine([]byte("one of them, 100%\nand another one")) + "and another one\none of them, 100%\n", "[masked]\n[masked]\n"},
		"too short":         {"::add-mask::short\nshort\n", "refline: secret \"add-mask\" cannot be masked: it has 5 bytes; at least 8 are needed, since shorter text is in ordinary output too\nshort\n"},
		"no line end":       {"x\n::add-mask::s3cret-pw", "x\n"},
		"inside a line":     {"x ::add-mask::s3cret-pw\n", "x ::add-mask::s3cret-pw\n"},
		"another command":   {"::group::x\n::add-mas\n::\n:", "::group::x\n::add-mas\n::\n:"},
		"nothing":           {"\n\n", "\n\n"},
		"a value of before": {"::add-mask::s3cret-pw\n::add-mask::other-pw\nother-pw s3cret-pw\n", "[masked] [masked]\n"},
	} {
		for size := 1; size < 40; size++ {
			var out bytes.Buffer
			w := (&Set{}).CommandWriter(&out)
			for rest := tt.in; rest != ""; {
				n := min(size, len(rest))
				if _, err := io.WriteString(w, rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := w.Close(); err != nil || out.String() != tt.want {
				t.Fatalf("%s, %d bytes at a time: got %q, %v; want %q", name, size, out.String(), err, tt.want)
			}
		}
	}
}

// What one job adds is masked in that job.
func TestFork(t *testing.T) {
	t.Parallel()
	s := setOf(t, "hunter2hunter")
	a, b := s.Fork(), s.Fork()
	if err := a.Add("a", []byte("only-in-a-job")); err != nil {
		t.Fatal(err)
	}
	if err := s.Add("late", []byte("later-in-the-run")); err != nil {
		t.Fatal(err)
	}
	const text = "hunter2hunter only-in-a-job later-in-the-run"
	for _, tt := range []struct {
		set  *Set
		want string
	}{
		{s, "[masked] only-in-a-job [masked]"}, {a, "[masked] [masked] later-in-the-run"},
		{b, "[masked] only-in-a-job later-in-the-run"}, {s.Fork(), "[masked] only-in-a-job [masked]"},
	} {
		if got := tt.set.String(text); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func FuzzAddMaskLines(f *testing.F) {
	f.Add([]byte("::add-mask::value-to-mask\nx value-to-mask"), []byte{3})
	f.Fuzz(func(t *testing.T, text, cuts []byte) {
		run := func(cuts []byte) string {
			var out bytes.Buffer
			w := (&Set{}).CommandWriter(&out)
			for i, rest := 0, text; len(rest) > 0; i++ {
				n := len(rest)
				if len(cuts) > 0 {
					n = min(n, int(cuts[i%len(cuts)])%40+1)
				}
				if _, err := w.Write(rest[:n]); err != nil {
					t.Fatal(err)
				}
				rest = rest[n:]
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		if !strings.Contains(string(text), AddPrefix) {
			if got := run(cuts); got != string(text) {
				t.Errorf("%q gives %q", text, got)
			}
		}
	})
}
