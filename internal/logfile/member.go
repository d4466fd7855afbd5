package logfile

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"refline/internal/blob"
	"refline/internal/errs"
)

// memberBytes is how many bytes of a log one blob has. All but the last one
// begin and end at a multiple of it.
const memberBytes = 4 << 20

// member is a part of a log in a blob store: a gzip file whose name says what it
// has. All of them one after the other are a gzip file too.
type member struct {
	start, end int64 // offsets in the log
	lines      int64 // line breaks before start
	stored     int64 // bytes of the blob
}

// prefix is how the keys of a log's members begin.
func (id ID) prefix() string { return fmt.Sprintf("log/%d/%d/", id.Run, id.Attempt) }

// key sorts as the offsets do.
func (m member) key(id ID) string {
	return fmt.Sprintf("%s%015d-%015d-%015d.gz", id.prefix(), m.start, m.end, m.lines)
}

func parseMember(id ID, info blob.Info) (m member, ok bool) {
	m.stored = info.Size
	n, err := fmt.Sscanf(strings.TrimPrefix(info.Key, id.prefix()), "%d-%d-%d.gz", &m.start, &m.end, &m.lines)
	return m, err == nil && n == 3 && m.key(id) == info.Key
}

// members lists what a blob store has of a log, in order and without gaps. Where
// a crash left two members with one start, the longer one counts.
func members(ctx context.Context, blobs blob.Store, id ID) ([]member, error) {
	var list []member
	for info, err := range blobs.List(ctx, id.prefix(), "") {
		if err != nil {
			return nil, fmt.Errorf("logs: %w", err)
		}
		m, ok := parseMember(id, info)
		if !ok {
			continue
		}
		if last := len(list) - 1; last >= 0 && list[last].start == m.start {
			list = list[:last] // the names are in order of their ends
		}
		end := int64(0)
		if len(list) > 0 {
			end = list[len(list)-1].end
		}
		if m.start != end {
			break // what is behind a gap is not the log
		}
		list = append(list, m)
	}
	return list, nil
}

func endOf(list []member) int64 {
	if len(list) == 0 {
		return 0
	}
	return list[len(list)-1].end
}

// compressors are kept: a new one costs more than a short log.
var compressors = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// putMember writes a part of a log, which is read from its file.
func putMember(ctx context.Context, blobs blob.Store, id ID, m member, file io.ReaderAt) error {
	var packed bytes.Buffer
	w := compressors.Get().(*gzip.Writer)
	defer compressors.Put(w)
	w.Reset(&packed)
	n, err := io.Copy(w, io.NewSectionReader(file, m.start, m.end-m.start))
	if err = cmp.Or(err, w.Close()); err != nil {
		return storageError(err)
	}
	if n < m.end-m.start {
		return errs.E(errs.Conflict, "%s became shorter while it was stored", id)
	}
	sum, err := blob.SumOf(bytes.NewReader(packed.Bytes()))
	if err == nil {
		err = blobs.Put(ctx, m.key(id), sum, &packed)
	}
	return err
}

// lineCounter counts the line breaks that pass.
type lineCounter struct {
	out   io.Writer
	lines int64
}

func (c *lineCounter) Write(p []byte) (int, error) {
	c.lines += int64(bytes.Count(p, []byte{'\n'}))
	return c.out.Write(p)
}

// memberReader reads a log from its members.
type memberReader struct {
	ctx   context.Context
	blobs blob.Store
	id    ID
	rest  []member
	at    int64 // the next byte
	body  io.ReadCloser
	text  *gzip.Reader
}

func newMemberReader(ctx context.Context, blobs blob.Store, id ID, list []member, offset int64) *memberReader {
	return &memberReader{ctx: ctx, blobs: blobs, id: id, rest: after(list, offset), at: offset}
}

// after returns the members that have bytes from offset on.
func after(list []member, offset int64) []member {
	first := slices.IndexFunc(list, func(m member) bool { return m.end > offset })
	if first < 0 {
		return nil
	}
	return list[first:]
}

func (r *memberReader) Read(p []byte) (int, error) {
	for {
		if r.text == nil {
			if len(r.rest) == 0 {
				return 0, io.EOF
			}
			if err := r.open(); err != nil {
				return 0, err
			}
		}
		n, err := r.text.Read(p)
		r.at += int64(n)
		if errors.Is(err, io.EOF) {
			err = r.next()
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

// open opens a member and skips what is before the next byte.
func (r *memberReader) open() error {
	body, err := r.blobs.Open(r.ctx, r.rest[0].key(r.id), blob.Range{})
	if errs.Is(err, errs.NotFound) { // replaced by a longer one since the list was made
		list, lerr := members(r.ctx, r.blobs, r.id)
		if r.rest = after(list, r.at); lerr != nil || len(r.rest) == 0 {
			return fmt.Errorf("%s in the blob store: %w", r.id, cmp.Or(lerr, err))
		}
		body, err = r.blobs.Open(r.ctx, r.rest[0].key(r.id), blob.Range{})
	}
	if err != nil {
		return fmt.Errorf("%s in the blob store: %w", r.id, err)
	}
	r.body = body
	text, err := gzip.NewReader(body)
	if err == nil {
		r.text = text
		_, err = io.CopyN(io.Discard, text, r.at-r.rest[0].start)
	}
	if err != nil {
		return fmt.Errorf("%s in the blob store: %w", r.id, err)
	}
	return nil
}

// next ends a member, which must have what its name says.
func (r *memberReader) next() error {
	m := r.rest[0]
	r.rest = r.rest[1:]
	if err := r.Close(); err != nil {
		return err
	}
	if r.at != m.end {
		return fmt.Errorf("%s in the blob store: %w", r.id, blob.ErrDamaged)
	}
	return nil
}

func (r *memberReader) Close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body, r.text = nil, nil
	return err
}
