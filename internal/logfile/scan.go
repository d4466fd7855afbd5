package logfile

import (
	"bufio"
	"context"
	"errors"
	"io"
)

// Scan gives the lines of a log that is read elsewhere to each, until that returns
// false. The text of a line is valid during the call only.
func Scan(ctx context.Context, in io.Reader, each func(Line) bool) error {
	r := lineReader{in: bufio.NewReaderSize(in, block)}
	for {
		if r.number%1024 == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := r.next(true)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return storageError(err)
		}
		if !each(line) {
			return nil
		}
	}
}
