package maskrun

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"refline/internal/errs"
	"refline/internal/mask"
)

func newSet(t *testing.T) *mask.Set {
	t.Helper()
	set := &mask.Set{}
	if err := set.Add("TOKEN", []byte("a-long-random-token")); err != nil {
		t.Fatal(err)
	}
	return set
}

func TestRun(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("/bin/sh"); err != nil {
		t.Skip("needs a shell")
	}
	for script, code := range map[string]int{"exit 0": 0, "exit 7": 7, "kill -TERM $$": 128 + 15} {
		var out, errOut strings.Builder
		cmd := exec.Command("/bin/sh", "-c", `read -r line; echo "$line"; printf a-long-random- >&2; printf token >&2; `+script)
		err := Run(Streams{In: strings.NewReader("my a-long-random-token\n"), Out: &out, Err: &errOut}, newSet(t), cmd)
		var exit ExitError
		if code == 0 && err != nil || code != 0 && (!errors.As(err, &exit) || int(exit) != code) {
			t.Errorf("%s: got %v, want exit code %d", script, err, code)
		}
		if out.String() != "my [masked]\n" || errOut.String() != "[masked]" {
			t.Errorf("%s: printed %q and %q", script, out.String(), errOut.String())
		}
	}
	if err := Run(Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}, newSet(t), exec.Command("/no/such/program")); !errs.Is(err, errs.Invalid) {
		t.Errorf("a program that is missing: got %v", err)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	in := iotest.OneByteReader(strings.NewReader("x a-long-random-token y"))
	if err := Copy(newSet(t), &out, in); err != nil || out.String() != "x [masked] y" {
		t.Errorf("got %q, %v", out.String(), err)
	}
	out.Reset()
	broken := io.MultiReader(strings.NewReader("before "), iotest.ErrReader(errors.New("gone")))
	if err := Copy(newSet(t), &out, broken); !errs.Is(err, errs.Unavailable) || out.String() != "before " {
		t.Errorf("a broken input: got %q, %v", out.String(), err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	if err := Copy(newSet(t), w, strings.NewReader("text\n")); !errors.Is(err, ErrReaderGone) && !errors.Is(err, syscall.EPIPE) {
		t.Errorf("a closed output: got %v, want ErrReaderGone", err)
	}
}
