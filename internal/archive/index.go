package archive

import (
	"encoding/binary"
	"io/fs"
	"time"

	"refline/internal/workspace"
)

const (
	maxIndex    = 256 << 20 // compressed
	maxIndexRaw = 1 << 30
	maxInfo     = 1 << 20
)

// index says what an archive has, and where.
type index struct {
	info    []byte
	frames  []int64 // where each begins, and where the last one ends
	entries []indexEntry
}

// indexEntry is an entry under its name in the archive.
type indexEntry struct {
	workspace.Entry
	offset int64 // of a file's content in the tar
}

// marshal writes the index as numbers (varint) and texts (a length and bytes):
// the info, the frames' sizes, and the entries.
func (x *index) marshal() []byte {
	text := func(b []byte, s string) []byte { return append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	b := text(nil, string(x.info))
	b = binary.AppendUvarint(b, uint64(len(x.frames)-1))
	for i := range len(x.frames) - 1 {
		b = binary.AppendUvarint(b, uint64(x.frames[i+1]-x.frames[i]))
	}
	b = binary.AppendUvarint(b, uint64(len(x.entries)))
	for i := range x.entries {
		e := &x.entries[i]
		b = text(b, e.Path)
		b = binary.AppendUvarint(b, uint64(e.Mode.Perm()))
		switch {
		case e.Dir:
			b = append(b, 'd')
		case e.Link != "":
			b = text(append(b, 'l'), e.Link)
		default:
			b = binary.AppendUvarint(append(b, 'f'), uint64(e.Size))
			b = binary.AppendUvarint(b, uint64(e.offset))
			b = binary.AppendVarint(b, e.ModTime.UnixNano())
		}
	}
	return b
}

// indexReader takes an index apart. After a number or text that cannot be, all
// others are zero.
type indexReader struct {
	rest []byte
	bad  bool
}

func (r *indexReader) number() int64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 || n > 1<<62 {
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[size:]
	return int64(n)
}

func (r *indexReader) signed() int64 {
	n, size := binary.Varint(r.rest)
	if size <= 0 {
		r.rest, r.bad = nil, true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *indexReader) text() string {
	n := r.number()
	if n > int64(len(r.rest)) {
		r.rest, r.bad = nil, true
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

// unmarshal reads an index. size is that of the archive before it, which the
// frames fill. It believes nothing: what it returns is consistent.
func unmarshal(data []byte, size int64, limits Limits) (*index, error) {
	r := &indexReader{rest: data}
	x := &index{info: []byte(r.text()), frames: []int64{0}}
	count := r.number()
	if count > int64(len(r.rest)) { // each has a byte at least
		return nil, damaged("its index has %d frames", count)
	}
	for range count {
		next := x.frames[len(x.frames)-1] + r.number()
		if next < 0 || next > size {
			return nil, damaged("a frame of its index is not in it")
		}
		x.frames = append(x.frames, next)
	}
	count = r.number()
	if r.bad || count > int64(len(r.rest)) || len(x.info) > maxInfo {
		return nil, damaged("its index cannot be read")
	}
	x.entries = make([]indexEntry, 0, count)
	total := int64(len(x.frames)-1) * frameSize
	for range count {
		e, err := r.entry(total)
		if err == nil {
			err = limits.count(&e.Entry)
		}
		if err != nil {
			return nil, err
		}
		x.entries = append(x.entries, e)
	}
	return x, nil
}

// entry reads one entry. total is how many bytes the tar has at most.
func (r *indexReader) entry(total int64) (indexEntry, error) {
	e := indexEntry{Entry: workspace.Entry{File: workspace.File{Path: r.text(), Mode: fs.FileMode(r.number()) & fs.ModePerm}}}
	kind := byte(0)
	if len(r.rest) > 0 {
		kind, r.rest = r.rest[0], r.rest[1:]
	}
	switch kind {
	case 'd':
		e.Dir = true
	case 'l':
		e.Link = r.text()
	case 'f':
		e.Size, e.offset = r.number(), r.number()
		e.ModTime = time.Unix(0, r.signed())
	default:
		r.bad = true
	}
	if r.bad || e.offset > total || e.Size > total-e.offset {
		return e, damaged("its index cannot be read")
	}
	return e, nil
}
