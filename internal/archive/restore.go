package archive

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"refline/internal/workspace"
)

// newDecoder decodes frames of an archive in bounded memory, with so many
// goroutines.
func newDecoder(r io.Reader, goroutines int) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(goroutines), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderMaxMemory(maxIndexRaw))
}

// Restore reads an archive from its start to its end and puts the files of a
// part into a workspace. If seen is not nil, it gets what [workspace.NewRestorer]
// says. On an error nothing of the archive is in the workspace, unless the error
// is [workspace.ErrReplaced] too. An archive that cannot be read is
// [blob.ErrDamaged]; errors of r come back as they are. r must report an early end as an error, as [blob.NewReader]
// does.
func Restore(ctx context.Context, r io.Reader, part string, into *os.Root, seen map[string]workspace.Identity, limits Limits) (files int, bytes int64, err error) {
	restorer := workspace.NewRestorer(into, seen)
	defer restorer.Close()
	err = walk(ctx, r, limits, func(e workspace.Entry, content io.Reader) error {
		name, ok := strings.CutPrefix(e.Path, part+"/")
		if !ok {
			return nil
		}
		if !e.Dir {
			files++
			bytes += e.Size
		}
		e.Path = name
		return restorer.Add(e, content)
	})
	if err == nil {
		err = restorer.Finish()
	}
	if err != nil {
		return 0, 0, errors.Join(err, restorer.Undo())
	}
	return files, bytes, nil
}

// source remembers the error of a reader, which decoders wrap in theirs.
type source struct {
	in  io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// Each visits the files and links of a part in the order of an archive, which is read
// from its start to its end. Content is nil for a link. r must report an early end as an
// error, as [blob.NewReader] does.
func Each(ctx context.Context, r io.Reader, part string, limits Limits, visit func(f workspace.File, content io.Reader) error) error {
	return walk(ctx, r, limits, func(e workspace.Entry, content io.Reader) error {
		name, inside := strings.CutPrefix(e.Path, part+"/")
		if !inside || e.Dir {
			return nil
		}
		f := e.File
		f.Path = name
		return visit(f, content)
	})
}

// walk visits the entries of an archive, under their names in it, and reads the
// stream to its end.
func walk(ctx context.Context, r io.Reader, limits Limits, visit func(workspace.Entry, io.Reader) error) error {
	in := &source{in: r}
	decoder, err := newDecoder(in, workers())
	if err != nil {
		return err
	}
	defer decoder.Close()
	tape := &contentReader{in: tar.NewReader(decoder)}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := tape.in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return in.failure(err)
		}
		e, err := entryOf(h)
		if err != nil {
			return err
		}
		if err := limits.count(&e); err != nil {
			return err
		}
		var content io.Reader
		if e.IsFile() {
			content = tape
		}
		if err := visit(e, content); err != nil {
			if tape.err != nil {
				return in.failure(tape.err)
			}
			return err
		}
	}
	// The rest is not decoded, which may be much, but read: its sum is checked there.
	decoder.Close()
	if in.err != nil {
		return in.err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// failure tells what is wrong with the content from what is wrong with its way
// here.
func (s *source) failure(err error) error {
	if s.err != nil {
		return s.err
	}
	return damaged("%w", err)
}

// contentReader remembers the error of a content.
type contentReader struct {
	in  *tar.Reader
	err error
}

func (r *contentReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // as readers return it
		r.err = err
	}
	return n, err
}

// entryOf reads a header. Only what [Write] writes is taken.
func entryOf(h *tar.Header) (workspace.Entry, error) {
	e := workspace.Entry{File: workspace.File{Path: strings.TrimSuffix(h.Name, "/"), Mode: fs.FileMode(h.Mode) & fs.ModePerm}, ModTime: h.ModTime}
	switch h.Typeflag {
	case tar.TypeDir:
		e.Dir = true
	case tar.TypeSymlink:
		if e.Link = h.Linkname; e.Link == "" {
			return e, damaged("the link %.200q leads nowhere", h.Name)
		}
	case tar.TypeReg:
		e.Size = h.Size
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") {
				return e, damaged("%.200q is a sparse file", h.Name)
			}
		}
	default:
		return e, damaged("%.200q is not a file, link or directory", h.Name)
	}
	return e, nil
}
