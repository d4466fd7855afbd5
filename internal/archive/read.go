package archive

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"

	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/workspace"
)

// Reader reads single files of an archive. It is safe for use by several
// goroutines.
type Reader struct {
	open  blob.Opener
	index *index
}

// firstRead is how much of an archive's end is read at first: the index of about
// 1,000 files.
const firstRead = 32 << 10

// Open reads the index of an archive of so many bytes. [blob.ErrDamaged] if it
// cannot be read.
func Open(ctx context.Context, open blob.Opener, size int64, limits Limits) (*Reader, error) {
	tail, err := readRange(ctx, open, blob.Range{Offset: max(0, size-firstRead), Length: min(size, firstRead)})
	if err != nil {
		return nil, err
	}
	if len(tail) < tailBytes || string(tail[len(tail)-8:]) != indexMagic {
		return nil, damaged("it has no index")
	}
	length := binary.LittleEndian.Uint64(tail[len(tail)-tailBytes:])
	if length > maxIndex || int64(length)+tailBytes+headBytes > size {
		return nil, damaged("its index is too large")
	}
	most := cmp.Or(limits.Index, maxIndexRaw)
	if int64(length) > most {
		return nil, errs.E(errs.Invalid, "the index of the archive has %d bytes, more than are read here", length)
	}
	begin := size - tailBytes - int64(length)
	if missing := int64(length) + tailBytes - int64(len(tail)); missing > 0 {
		more, err := readRange(ctx, open, blob.Range{Offset: begin, Length: missing})
		if err != nil {
			return nil, err
		}
		tail = append(more, tail...)
	}
	if int64(len(tail)) < int64(length)+tailBytes {
		return nil, damaged("it is shorter than it was")
	}
	raw, err := decodeAll(tail[len(tail)-tailBytes-int(length):len(tail)-tailBytes], most)
	if err != nil {
		return nil, err
	}
	x, err := unmarshal(raw, begin-headBytes, limits)
	if err != nil {
		return nil, err
	}
	return &Reader{open: open, index: x}, nil
}

func readRange(ctx context.Context, open blob.Opener, r blob.Range) ([]byte, error) {
	if r.Length == 0 {
		return nil, nil
	}
	body, err := open(ctx, r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(body, r.Length))
	return data, errors.Join(err, body.Close())
}

// decodeAll decodes an index of at most so many bytes.
func decodeAll(packed []byte, most int64) ([]byte, error) {
	decoder, err := newDecoder(bytes.NewReader(packed), 1)
	if err != nil {
		return nil, err
	}
	defer decoder.Close()
	raw, err := io.ReadAll(io.LimitReader(decoder, most+1))
	switch {
	case err != nil || int64(len(raw)) > maxIndexRaw:
		return nil, damaged("its index cannot be decoded")
	case int64(len(raw)) > most:
		return nil, errs.E(errs.Invalid, "the index of the archive has more than %d bytes, which are not read here", most)
	}
	return raw, nil
}

// Info returns what [Write] was given.
func (r *Reader) Info() []byte { return r.index.info }

// List gives the files and links of a part, sorted by path.
func (r *Reader) List(part string) []workspace.File {
	var list []workspace.File
	for i := range r.index.entries {
		e := &r.index.entries[i]
		if name, ok := strings.CutPrefix(e.Path, part+"/"); ok && !e.Dir {
			f := e.File
			f.Path = name
			list = append(list, f)
		}
	}
	slices.SortFunc(list, func(x, y workspace.File) int { return strings.Compare(x.Path, y.Path) })
	return list
}

// OpenFile opens a file of a part. It follows links inside the part only.
// NotFound if there is no such file.
func (r *Reader) OpenFile(ctx context.Context, part, name string) (io.ReadCloser, error) {
	f, _, err := r.OpenSized(ctx, part, name)
	return f, err
}

// OpenSized is [Reader.OpenFile] with the size of the file.
func (r *Reader) OpenSized(ctx context.Context, part, name string) (io.ReadCloser, int64, error) {
	e := r.find(part, name)
	if e == nil {
		return nil, 0, errs.E(errs.NotFound, "the artifacts have no file %.200q", name)
	}
	f, err := r.openEntry(ctx, e)
	return f, e.Size, err
}

func (r *Reader) openEntry(ctx context.Context, e *indexEntry) (io.ReadCloser, error) {
	if e.Size == 0 {
		return io.NopCloser(strings.NewReader("")), nil
	}
	first, last := e.offset/frameSize, (e.offset+e.Size-1)/frameSize
	if last+1 >= int64(len(r.index.frames)) {
		return nil, damaged("%.200q is behind its end", e.Path)
	}
	from, to := r.index.frames[first], r.index.frames[last+1]
	body, err := r.open(ctx, blob.Range{Offset: from, Length: to - from})
	if err != nil {
		return nil, err
	}
	in := &source{in: body}
	decoder, err := newDecoder(in, 1)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	f := &file{body: body, source: in, decoder: decoder, left: e.Size}
	if _, err := io.CopyN(io.Discard, decoder, e.offset-first*frameSize); err != nil {
		return nil, errors.Join(in.failure(err), f.Close())
	}
	return f, nil
}

// file is a file of an archive that is open.
type file struct {
	body    io.Closer
	source  *source
	decoder *zstd.Decoder
	left    int64
}

func (f *file) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	n, err := f.decoder.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	switch {
	case f.left == 0:
		return n, nil
	case err != nil:
		return n, f.source.failure(err)
	}
	return n, nil
}

func (f *file) Close() error {
	f.decoder.Close()
	return f.body.Close()
}

// find gives the file at a path, nil if there is none. Links are followed as a
// file system does, one name after the other.
func (r *Reader) find(part, name string) *indexEntry {
	entries := map[string]*indexEntry{}
	for i := range r.index.entries {
		e := &r.index.entries[i]
		if rel, ok := strings.CutPrefix(e.Path, part+"/"); ok {
			entries[rel] = e
		}
	}
	at, rest := ".", path.Clean(name)
	for range 1000 { // names, and links to follow
		first, more, _ := strings.Cut(rest, "/")
		if strings.HasPrefix(rest, "/") || first == ".." && at == "." {
			return nil // it leads outside
		}
		e := entries[path.Join(at, first)]
		rest = strings.TrimLeft(more, "/")
		switch {
		case first == "..":
			at = path.Dir(at)
		case e != nil && e.Link != "":
			// Not cleaned: "link/.." need not be where the link is.
			rest = strings.TrimSuffix(e.Link+"/"+rest, "/")
			continue
		default:
			at = path.Join(at, first)
		}
		if rest == "" {
			break
		}
	}
	if e := entries[at]; e != nil && e.IsFile() && rest == "" {
		return e
	}
	return nil
}
