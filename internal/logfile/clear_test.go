package logfile_test

import (
	"testing"

	"refline/internal/errs"
)

// TestClear: a log that is emptied begins anew, whether it is being written or has
// been finished.
func TestClear(t *testing.T) {
	t.Parallel()
	d := open(t, t.TempDir(), 0)
	for _, finished := range []bool{false, true} {
		add(t, d, 0, "one\ntwo\nthree\n")
		if finished {
			if err := d.Finish(id); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.Clear(id); err != nil {
			t.Fatal(err)
		}
		if got := content(t, d); got != "" {
			t.Errorf("finished %v: got %q, want nothing", finished, got)
		}
		if _, err := d.Append(id, 4, []byte("two\n")); !errs.Is(err, errs.Conflict) {
			t.Errorf("finished %v: a late byte: got %v, want a conflict", finished, err)
		}
		add(t, d, 0, "four\nfive\n")
		lines, err := d.Lines(id, 2, 5)
		if err != nil || len(lines) != 1 || string(lines[0].Text) != "five" {
			t.Errorf("finished %v: got %v, %v; want line 2, five", finished, lines, err)
		}
		if err := d.Clear(id); err != nil {
			t.Fatal(err)
		}
	}
}
