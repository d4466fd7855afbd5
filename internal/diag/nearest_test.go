package diag

import "testing"

func TestNearest(t *testing.T) {
	t.Parallel()
	known := []string{"script", "stage", "stages", "services", "before_script", "build"}
	for _, c := range []struct{ word, want string }{
		{"scirpt", "script"},
		{"biuld", "build"},
		{"stgaes", "stages"},
		{"before_scipt", "before_script"},
		{"xyzzy", ""},
		{"", ""},
		{"a", ""},
	} {
		if got := Nearest(c.word, known); got != c.want {
			t.Errorf("Nearest(%q) = %q, want %q", c.word, got, c.want)
		}
	}
}
