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
