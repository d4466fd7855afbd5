package archive

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"

	"refline/internal/workspace"
)

// encoder compresses frames, several at once. It is quick rather than thorough:
// most archives are read once or twice.
var encoder = sync.OnceValue(func() *zstd.Encoder {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(workers()),
		zstd.WithWindowSize(frameSize), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(true))
	if err != nil {
		panic(err) // the options are constants
	}
	return e
})

func workers() int { return min(runtime.GOMAXPROCS(0), 4) }

// Write writes an archive of the parts, with info, which [Reader.Info] returns.
// Invalid if they are beyond the limits.
func Write(ctx context.Context, w io.Writer, parts []Part, info []byte, limits Limits) error {
	f := newFrames(w)
	p := packer{out: tar.NewWriter(f), frames: f, limits: limits, index: index{info: info}, buffer: make([]byte, 64<<10)}
	err := p.parts(ctx, parts)
	if err == nil {
		err = p.out.Close()
	}
	if err = cmp.Or(f.close(err != nil), err); err != nil {
		return err
	}
	p.index.frames = f.starts
	tail, err := p.index.encode()
	if err == nil {
		_, err = w.Write(tail)
	}
	return err
}

type packer struct {
	out    *tar.Writer
	frames *frames
	limits Limits
	index  index
	buffer []byte // that contents are copied through
}

func (p *packer) parts(ctx context.Context, parts []Part) error {
	for _, part := range parts {
		err := part.Files.Each(ctx, func(e workspace.Entry, content io.Reader) error {
			return p.add(part.Name, e, content)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *packer) add(part string, e workspace.Entry, content io.Reader) error {
	if err := p.limits.count(&e); err != nil {
		return err
	}
	e.Path = part + "/" + e.Path
	h := &tar.Header{Name: e.Path, Mode: int64(e.Mode.Perm()), Format: tar.FormatPAX}
	switch {
	case e.Dir:
		h.Typeflag, h.Name = tar.TypeDir, e.Path+"/"
	case e.Link != "":
		h.Typeflag, h.Linkname, h.ModTime = tar.TypeSymlink, e.Link, e.ModTime
	default:
		h.Typeflag, h.Size, h.ModTime = tar.TypeReg, e.Size, e.ModTime
	}
	if err := p.out.WriteHeader(h); err != nil {
		return fmt.Errorf("%q: %w", e.Path, err)
	}
	p.index.entries = append(p.index.entries, indexEntry{Entry: e, offset: p.frames.size})
	if content == nil {
		return nil
	}
	_, err := io.CopyBuffer(struct{ io.Writer }{p.out}, struct{ io.Reader }{content}, p.buffer)
	return err
}

// frames cuts what is written into frames, and compresses several at once. They
// are written in order.
type frames struct {
	out    io.Writer
	buffer []byte
	size   int64   // bytes that came
	starts []int64 // offset of each frame in the output, and of its end

	jobs   chan *frame // in order; as long as may be under way
	free   chan []byte
	done   sync.WaitGroup
	err    error
	failed chan struct{} // closed when err is set
}

// frame is one that is being compressed.
type frame struct {
	in  []byte
	out chan []byte
}

func newFrames(w io.Writer) *frames {
	f := &frames{out: w, starts: []int64{0}, jobs: make(chan *frame, workers()), free: make(chan []byte, workers()+2), failed: make(chan struct{})}
	f.done.Go(f.write)
	return f
}

// Write implements [io.Writer].
func (f *frames) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if f.buffer == nil {
			f.buffer = f.space()
		}
		part := p[:min(len(p), frameSize-len(f.buffer))]
		f.buffer = append(f.buffer, part...)
		p = p[len(part):]
		if len(f.buffer) == frameSize {
			if err := f.flush(); err != nil {
				return 0, err
			}
		}
	}
	f.size += int64(n)
	return n, nil
}

func (f *frames) space() []byte {
	select {
	case space := <-f.free:
		return space[:0]
	default:
		return make([]byte, 0, frameSize)
	}
}

// flush hands the buffer over to be compressed.
func (f *frames) flush() error {
	if len(f.buffer) == 0 {
		return nil
	}
	job := &frame{in: f.buffer, out: make(chan []byte, 1)}
	f.buffer = nil
	select {
	case <-f.failed:
		return f.err
	case f.jobs <- job:
	}
	go func() { job.out <- encoder().EncodeAll(job.in, f.space()) }()
	return nil
}

// write writes the frames as they become ready.
func (f *frames) write() {
	at := int64(0)
	for job := range f.jobs {
		data := <-job.out
		if f.err != nil {
			continue
		}
		if _, err := f.out.Write(data); err != nil {
			f.err = err
			close(f.failed)
			continue
		}
		at += int64(len(data))
		f.starts = append(f.starts, at)
		for _, space := range [][]byte{job.in, data} {
			select {
			case f.free <- space:
			default:
			}
		}
	}
}

// close writes what is left, unless it is to be thrown away.
func (f *frames) close(broken bool) error {
	var err error
	if !broken {
		err = f.flush()
	}
	close(f.jobs)
	f.done.Wait()
	return cmp.Or(f.err, err)
}

// encode gives the skippable frame with the index.
func (x *index) encode() ([]byte, error) {
	packed := encoder().EncodeAll(x.marshal(), make([]byte, headBytes, 4096))
	size := len(packed) - headBytes
	if size > maxIndex {
		return nil, errors.New("the names of the files are too long for the index of an archive")
	}
	binary.LittleEndian.PutUint32(packed, skipMagic)
	binary.LittleEndian.PutUint32(packed[4:], uint32(size+tailBytes))
	packed = binary.LittleEndian.AppendUint64(packed, uint64(size))
	return append(packed, indexMagic...), nil
}
