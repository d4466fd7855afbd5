// Package maskrun runs a command in this program's place and masks what it
// prints, on a pipe or on a terminal.
//
// Nothing of the secrets passes, and nothing else changes: the command sees a
// terminal where there is one, gets the signals and the keys, and its exit code
// is returned as an [ExitError]. The package does not know where secrets come
// from; it gets a [mask.Set].
package maskrun

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/term"

	"refline/internal/errs"
	"refline/internal/mask"
)

// Streams are what the command reads and where its masked output goes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// ErrReaderGone is the error of output that was closed by its reader, who has
// seen enough: there is nothing to say about it.
var ErrReaderGone = errors.New("the reader closed the output")

// Run runs a command with its output masked.
func Run(s Streams, set *mask.Set, cmd *exec.Cmd) error {
	cmd.Stdin = s.In
	if IsTerminal(s.Out) || IsTerminal(s.Err) {
		if done, err := onTerminal(s, set, cmd); done {
			return err
		}
	}
	out, errOut := set.CommandWriter(s.Out), set.CommandWriter(s.Err)
	cmd.Stdout, cmd.Stderr = out, errOut
	wait, err := Start(cmd, false)
	if err != nil {
		return err
	}
	return errors.Join(wait(), out.Close(), errOut.Close())
}

// Copy copies in to out as it comes, masked. An error of in is the end, after
// what came before it.
func Copy(set *mask.Set, out io.Writer, in io.Reader) error {
	w := set.CommandWriter(out)
	buf := make([]byte, 64<<10)
	for {
		n, err := in.Read(buf)
		if n > 0 {
			if _, werr := w.Write(buf[:n]); werr != nil {
				return writeError(werr)
			}
		}
		if err != nil {
			if cerr := w.Close(); cerr != nil {
				return writeError(cerr)
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return errs.E(errs.Unavailable, "read: %w", err)
		}
	}
}

// writeError is [ErrReaderGone] if the reader has closed the pipe.
func writeError(err error) error {
	if errors.Is(err, syscall.EPIPE) {
		return ErrReaderGone
	}
	return errs.E(errs.Unavailable, "write: %w", err)
}

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
