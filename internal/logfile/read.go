package logfile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"sort"

	"refline/internal/errs"
)

// Size returns how many bytes a log has, 0 if there is none.
func (d *Dir) Size(id ID) (int64, error) {
	size, err := d.localSize(id)
	if err != nil || size > 0 || d.blobs == nil {
		return size, err
	}
	list, err := members(context.Background(), d.blobs, id)
	return endOf(list), err
}

// localSize is the size of the log in the folder.
func (d *Dir) localSize(id ID) (int64, error) {
	info, err := os.Stat(d.file(id, ".log"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, storageError(err)
	}
	return info.Size(), nil
}

// Reader reads a log from offset to its end as it is now. NotFound if there is
// none.
func (d *Dir) Reader(id ID, offset int64) (io.ReadCloser, error) {
	return d.reader(context.Background(), id, offset)
}

func (d *Dir) reader(ctx context.Context, id ID, offset int64) (io.ReadCloser, error) {
	f, err := d.read(id)
	if errs.Is(err, errs.NotFound) {
		list, err := d.archived(ctx, id)
		if err != nil {
			return nil, err
		}
		return newMemberReader(ctx, d.blobs, id, list, offset), nil
	}
	if err != nil {
		return nil, err
	}
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		_ = f.Close()
		return nil, storageError(err)
	}
	return f, nil
}

func (d *Dir) read(id ID) (*os.File, error) {
	f, err := os.Open(d.file(id, ".log"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errs.E(errs.NotFound, "%s has no log", id)
	}
	return f, storageError(err)
}

// Follow hands over a log's bytes from offset on, those to come too, until the
// log is finished or ctx is done (no error then). A chunk has at most 64 KiB and
// is only valid during the call; at is its offset. A slow reader holds up only
// itself: it reads the file, nothing is queued for it.
func (d *Dir) Follow(ctx context.Context, id ID, offset int64, chunk func(at int64, data []byte) error) error {
	var f *os.File
	buffer := make([]byte, block)
	for {
		d.mu.Lock()
		l := d.open[id]
		d.mu.Unlock()
		var grown <-chan struct{}
		ended := true
		if l != nil {
			_, grown, ended = l.state()
		}
		if f == nil {
			opened, err := d.read(id)
			if errs.Is(err, errs.NotFound) && l == nil {
				return d.followArchived(ctx, id, offset, chunk)
			}
			if err != nil {
				return err
			}
			defer opened.Close()
			f = opened
		}
		for ctx.Err() == nil {
			n, err := f.ReadAt(buffer, offset)
			if n > 0 {
				if err := chunk(offset, buffer[:n]); err != nil {
					return err
				}
				offset += int64(n)
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return storageError(err)
			}
		}
		if ended || ctx.Err() != nil {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil
		}
	}
}

// followArchived hands over a log that is only in the blob store, which is
// complete.
func (d *Dir) followArchived(ctx context.Context, id ID, offset int64, chunk func(at int64, data []byte) error) error {
	r, err := d.reader(ctx, id, offset)
	if err != nil {
		return err
	}
	defer r.Close()
	buffer := make([]byte, block)
	for {
		n, err := r.Read(buffer)
		if n > 0 {
			if err := chunk(offset, buffer[:n]); err != nil {
				return err
			}
			offset += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF), ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// Line is one line of a log, without its line break.
type Line struct {
	Number int64 // from 1
	Offset int64 // of its first byte
	Text   []byte
	Cut    bool // the line is longer than MaxLine; Text is its beginning
}

// MaxLine bounds the text of one [Line].
const MaxLine = 64 << 10

func (l Line) clone() Line {
	l.Text = bytes.Clone(l.Text)
	return l
}

// Lines returns up to n lines from line number from on; none after the end.
// NotFound if there is no log.
func (d *Dir) Lines(id ID, from int64, n int) ([]Line, error) {
	from = max(from, 1)
	start, in, err := d.readBefore(id, from-1)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r := lineReader{in: bufio.NewReaderSize(in, block), number: start.Line, offset: start.Offset}
	// The entry may be in the middle of a line, whose beginning is further up.
	var list []Line
	for len(list) < n {
		keep := r.number+1 >= from
		line, err := r.next(keep)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, storageError(err)
		}
		if line.Number >= from {
			list = append(list, line.clone())
		}
	}
	return list, nil
}

// readBefore reads a log from a place before the line after so many breaks.
func (d *Dir) readBefore(id ID, breaks int64) (entry, io.ReadCloser, error) {
	f, err := d.read(id)
	if errs.Is(err, errs.NotFound) {
		ctx := context.Background()
		list, err := d.archived(ctx, id)
		if err != nil {
			return entry{}, nil, err
		}
		var start entry
		for _, m := range list {
			if m.lines < breaks {
				start = entry{Line: m.lines, Offset: m.start}
			}
		}
		return start, newMemberReader(ctx, d.blobs, id, list, start.Offset), nil
	}
	if err != nil {
		return entry{}, nil, err
	}
	start := d.before(id, breaks)
	if _, err := f.Seek(start.Offset, io.SeekStart); err != nil {
		_ = f.Close()
		return start, nil, storageError(err)
	}
	return start, f, nil
}

// before returns the last entry with fewer line breaks than breaks, or the
// start: from there on the line after so many breaks is still to come whole.
func (d *Dir) before(id ID, breaks int64) entry {
	index, err := os.Open(d.file(id, ".idx"))
	if err != nil {
		return entry{}
	}
	defer index.Close()
	entries, err := readIndex(index)
	if err != nil {
		return entry{}
	}
	at := sort.Search(len(entries), func(i int) bool { return entries[i].Line >= breaks })
	if at == 0 {
		return entry{}
	}
	return entries[at-1]
}

// lineReader reads lines of any length in bounded memory.
type lineReader struct {
	in     *bufio.Reader
	number int64 // of the lines that are over
	offset int64
	text   []byte
}

// next reads one line, whose text is valid until the next call; without keep it
// only counts it.
func (r *lineReader) next(keep bool) (Line, error) {
	line := Line{Number: r.number + 1, Offset: r.offset}
	r.text = r.text[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		r.offset += int64(len(part))
		text, ended := bytes.CutSuffix(part, []byte{'\n'})
		if keep && len(text) > 0 {
			room := MaxLine - len(r.text)
			line.Cut = line.Cut || len(text) > room
			r.text = append(r.text, text[:min(len(text), room)]...)
		}
		switch {
		case ended:
			r.number++
			line.Text = r.text
			return line, nil
		case errors.Is(err, io.EOF) && r.offset == line.Offset:
			return Line{}, io.EOF
		case errors.Is(err, io.EOF):
			r.number++
			line.Text = r.text
			return line, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return Line{}, err
		}
	}
}

// MaxHits bounds a search.
const MaxHits = 1000

// Search returns the lines that match, in order, MaxHits at most; more says
// that there are others. It sees the first [MaxLine] bytes of a line.
func (d *Dir) Search(ctx context.Context, id ID, matches func(text []byte) bool) (hits []Line, more bool, err error) {
	f, err := d.reader(ctx, id, 0)
	if err != nil {
		return nil, false, err
	}
	defer f.Close()
	r := lineReader{in: bufio.NewReaderSize(f, block)}
	for {
		if r.number%1024 == 0 && ctx.Err() != nil {
			return hits, true, context.Cause(ctx)
		}
		line, err := r.next(true)
		if errors.Is(err, io.EOF) {
			return hits, false, nil
		}
		if err != nil {
			return nil, false, storageError(err)
		}
		if !matches(line.Text) {
			continue
		}
		if len(hits) == MaxHits {
			return hits, true, nil
		}
		hits = append(hits, line.clone())
	}
}
