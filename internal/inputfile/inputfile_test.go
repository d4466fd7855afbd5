package inputfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/errs"
)

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := os.WriteFile(path, []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(path, "file", 5); err != nil || string(got) != "12345" {
		t.Errorf("got %q, %v", got, err)
	}
	for name, tc := range map[string]struct {
		path  string
		limit int64
		kind  errs.Kind
		want  string
	}{
		"too large":      {path, 4, errs.Invalid, "shown: it has more than"},
		"missing":        {filepath.Join(dir, "none"), 5, errs.NotFound, "shown: "},
		"a folder":       {dir, 5, errs.Invalid, "shown: not a regular file"},
		"without an end": {os.DevNull, 5, errs.Invalid, "shown: not a regular file"},
	} {
		_, err := Read(tc.path, "shown", tc.limit)
		if !errs.Is(err, tc.kind) || !strings.HasPrefix(err.Error(), tc.want) || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: got %v, want %s and %q", name, err, tc.kind, tc.want)
		}
	}
}
