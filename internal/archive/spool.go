package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"

	"refline/internal/blob"
)

// inMemory is the size up to which an archive needs no file.
const inMemory = 1 << 20

// Spooled is an archive that was made and can be read several times.
type Spooled struct {
	io.ReadSeeker
	Sum  blob.Sum
	file *os.File
}

// Close removes it.
func (s *Spooled) Close() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	if rerr := os.Remove(s.file.Name()); !errors.Is(rerr, fs.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// Spool makes an archive in memory, or in a file in dir when it is large.
func Spool(ctx context.Context, dir string, parts []Part, info []byte, limits Limits) (*Spooled, error) {
	w := &spooler{dir: dir, hash: sha256.New()}
	if err := Write(ctx, w, parts, info, limits); err != nil {
		s := Spooled{file: w.file}
		return nil, errors.Join(err, s.Close())
	}
	s := &Spooled{file: w.file, Sum: blob.Sum{Size: w.size, SHA256: hex.EncodeToString(w.hash.Sum(nil))}}
	if w.file == nil {
		s.ReadSeeker = bytes.NewReader(w.memory.Bytes())
		return s, nil
	}
	s.ReadSeeker = w.file
	if _, err := w.file.Seek(0, io.SeekStart); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// spooler is what an archive is written to.
type spooler struct {
	dir    string
	hash   hash.Hash
	size   int64
	memory bytes.Buffer
	file   *os.File
}

func (s *spooler) Write(p []byte) (int, error) {
	s.hash.Write(p)
	s.size += int64(len(p))
	if s.file == nil && s.size <= inMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		f, err := os.CreateTemp(s.dir, "archive-*")
		if err != nil {
			return 0, err
		}
		s.file = f
		_ = os.Remove(f.Name()) // where an open file can go, it leaves nothing when we are killed
		if _, err := f.Write(s.memory.Bytes()); err != nil {
			return 0, err
		}
		s.memory = bytes.Buffer{}
	}
	return s.file.Write(p)
}
