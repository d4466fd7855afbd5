package logfile

import (
	"bufio"
	"errors"
	"io"
	"math"
)

// Tail returns the last lines of a log, n at most; NotFound if there is no log. It
// reads from the last entries of the index on, not the whole.
func (d *Dir) Tail(id ID, n int) ([]Line, error) {
	list, start, err := d.tailFrom(id, math.MaxInt64, n)
	if err != nil || len(list) >= n || start.Offset == 0 {
		return list, err
	}
	list, _, err = d.tailFrom(id, max(start.Line-int64(n), 0), n)
	return list, err
}

// tailFrom reads from a place before the line after so many breaks to the end.
func (d *Dir) tailFrom(id ID, breaks int64, n int) ([]Line, entry, error) {
	start, in, err := d.readBefore(id, breaks)
	if err != nil {
		return nil, start, err
	}
	defer in.Close()
	r := lineReader{in: bufio.NewReaderSize(in, block), number: start.Line, offset: start.Offset}
	var list []Line
	for first := true; ; first = false {
		line, err := r.next(true)
		if errors.Is(err, io.EOF) {
			return list, start, nil
		}
		if err != nil {
			return nil, start, storageError(err)
		}
		if first && start.Offset > 0 {
			continue // the entry may be in the middle of a line
		}
		if len(list) == n {
			list = append(list[:0], list[1:]...)
		}
		list = append(list, line.clone())
	}
}
