package process

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"refline/internal/executor"
)

// drainTime is how long to read on, without any output, after a command and its
// known processes are gone. Then a process out of reach holds the pipe open.
const drainTime = time.Second

// output copies what a command prints to two writers. A command gets files as they
// are, and a pipe for each other writer; one pipe if both writers are the same.
type output struct {
	stdout, stderr io.Writer // for exec.Cmd: *os.File, or nil
	readers        []*os.File
	writers        []*os.File // our copies of the command's ends
	sinks          []io.Writer
	done           chan error // one value for each reader
}

func openOutput(cmd executor.Command) (*output, error) {
	o := &output{}
	var err error
	if o.stdout, err = o.end(cmd.Stdout); err != nil {
		return nil, err
	}
	if cmd.OneOutput() {
		o.stderr = o.stdout
		return o, nil
	}
	if o.stderr, err = o.end(cmd.Stderr); err != nil {
		o.abandon()
		return nil, err
	}
	return o, nil
}

// end returns the command's end of what w gets.
func (o *output) end(w io.Writer) (io.Writer, error) {
	switch w := w.(type) {
	case nil:
		return nil, nil
	case *os.File:
		return w, nil
	}
	pr, pw, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	o.readers, o.writers, o.sinks = append(o.readers, pr), append(o.writers, pw), append(o.sinks, w)
	return pw, nil
}

// abandon closes all ends when the command did not start.
func (o *output) abandon() {
	for _, f := range append(o.readers, o.writers...) {
		f.Close()
	}
}

// started begins to copy, once the command has its own ends.
func (o *output) started() {
	for _, f := range o.writers {
		f.Close()
	}
	o.done = make(chan error, len(o.readers))
	for i, r := range o.readers {
		go func() { o.done <- pump(o.sinks[i], r) }()
	}
}

// finish returns when all output is written, with the writers' first error.
func (o *output) finish() error {
	var first error
	timer := time.AfterFunc(drainTime, func() {
		for _, r := range o.readers {
			_ = r.SetReadDeadline(time.Now()) // wakes pump
		}
	})
	defer timer.Stop()
	for range o.readers {
		if err := <-o.done; first == nil {
			first = err
		}
	}
	return first
}

// pump copies to the end of src, also after dst has failed: a full log must not make
// a command hang or die of a broken pipe. After a read deadline on src it goes on
// only while there is something to read.
func pump(dst io.Writer, src *os.File) (werr error) {
	defer src.Close()
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	ending := false
	for {
		n, err := src.Read(*buf)
		if n > 0 && werr == nil {
			_, werr = dst.Write((*buf)[:n])
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && !ending {
			ending, err = true, nil
		}
		if err != nil {
			return werr
		}
		if ending {
			_ = src.SetReadDeadline(time.Now().Add(drainTime))
		}
	}
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}
