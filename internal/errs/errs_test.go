package errs

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"
)

func TestKindOf(t *testing.T) {
	t.Parallel()
	inner := E(NotFound, "no file %q", "a")
	full := &fs.PathError{Op: "write", Path: "f", Err: diskFullErrors[0]}
	for _, c := range []struct {
		name string
		err  error
		want Kind
	}{
		{"nil", nil, Internal},
		{"unclassified", errors.New("x"), Internal},
		{"at its origin", inner, NotFound},
		{"wrapped", fmt.Errorf("read: %w", inner), NotFound},
		{"the outermost counts", E(Denied, "read: %w", inner), Denied},
		{"a full disk", fmt.Errorf("copy: %w", full), Unavailable},
		{"a full disk behind another kind", E(Conflict, "keep artifacts: %w", full), Unavailable},
		{"another error of the system", &fs.PathError{Op: "open", Path: "f", Err: syscall.EACCES}, Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := KindOf(c.err); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			if got := Is(c.err, c.want); got != (c.err != nil) {
				t.Errorf("Is(%v, %s) = %t", c.err, c.want, got)
			}
		})
	}
}

func TestECanWrap(t *testing.T) {
	t.Parallel()
	err := E(Unavailable, "open: %w", fs.ErrNotExist)
	if !errors.Is(err, fs.ErrNotExist) || err.Error() != "open: file does not exist" {
		t.Errorf("got %v", err)
	}
}
