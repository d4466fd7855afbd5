package backup

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/store"
)

// Source is the server that is backed up.
type Source struct {
	Store   *store.Store
	Blobs   blob.Store
	Logs    string // the folder of logs
	KeyFile string // "": the key stays out of the backup
	Version string
	Now     func() time.Time
}

// Write writes a backup. The database is read at one moment; blobs and logs after it:
// they are kept for a day after the last row that names them.
func Write(ctx context.Context, to io.Writer, from Source) (Summary, error) {
	pack, err := gzip.NewWriterLevel(to, gzip.BestSpeed)
	if err != nil {
		return Summary{}, err
	}
	w := &writer{ctx: ctx, tar: tar.NewWriter(pack), from: from, now: from.Now()}
	if err := w.all(); err != nil {
		return w.sum, err
	}
	return w.sum, errors.Join(w.tar.Close(), pack.Close())
}

type writer struct {
	ctx     context.Context
	tar     *tar.Writer
	from    Source
	now     time.Time
	entries int64
	sum     Summary
}

func (w *writer) all() error {
	_, used, err := w.from.Store.VaultKeys(w.ctx)
	if err != nil {
		return err
	}
	w.sum.Head = Head{Format: Format, Version: w.from.Version, Created: w.now.UTC(), Keys: used, HasKey: w.from.KeyFile != ""}
	if w.sum.Schema, err = w.from.Store.Schema(w.ctx); err != nil {
		return err
	}
	if err := w.json(headName, w.sum.Head); err != nil {
		return err
	}
	if w.from.KeyFile != "" {
		key, err := os.ReadFile(w.from.KeyFile)
		if err != nil {
			return errs.E(errs.NotFound, "the key file: %w", err)
		}
		if err := w.entry(tar.Header{Name: keyName, Mode: 0o600, Size: int64(len(key))}, bytes.NewReader(key)); err != nil {
			return err
		}
	}
	number := 0
	err = w.from.Store.Dump(w.ctx, func(c store.Chunk) error {
		number++
		w.sum.Rows += int64(len(c.Rows))
		return w.json(fmt.Sprintf("%s%06d-%s.json", tableDir, number, c.Table), rowsOf(c))
	})
	if err != nil {
		return err
	}
	// A log may move from the folder to the blobs meanwhile, never the other way.
	if err := w.logs(); err != nil {
		return err
	}
	if err := w.blobs(); err != nil {
		return err
	}
	return w.json(endName, end{Entries: w.entries})
}

func (w *writer) json(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return w.entry(tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}, bytes.NewReader(text))
}

// entry writes exactly the bytes that the header names.
func (w *writer) entry(h tar.Header, content io.Reader) error {
	if err := context.Cause(w.ctx); err != nil {
		return err
	}
	h.ModTime, h.Typeflag, h.Format = w.now, tar.TypeReg, tar.FormatPAX
	if err := w.tar.WriteHeader(&h); err != nil {
		return writeError(err)
	}
	n, err := io.Copy(w.tar, io.LimitReader(content, h.Size))
	if err != nil {
		return writeError(err)
	}
	if n < h.Size {
		return errs.E(errs.Unavailable, "%s: has %d bytes, want %d", h.Name, n, h.Size)
	}
	w.entries++
	w.sum.Bytes += n
	return nil
}

func writeError(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return errs.E(errs.Unavailable, "write the backup: %w", err)
	}
	return err
}

func (w *writer) blobs() error {
	for info, err := range w.from.Blobs.List(w.ctx, "", "") {
		if err != nil {
			return err
		}
		if err := w.blob(info.Key); err != nil {
			return fmt.Errorf("blob %s: %w", info.Key, err)
		}
	}
	return nil
}

// blob writes one blob. One that was removed meanwhile is left out: the rows of the
// backup do not name it.
func (w *writer) blob(key string) error {
	info, err := w.from.Blobs.Stat(w.ctx, key)
	if err == nil && info.SHA256 == "" {
		info.SHA256, err = w.hash(key)
	}
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	content, err := w.from.Blobs.Open(w.ctx, key, blob.Range{})
	if errs.Is(err, errs.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	defer content.Close()
	w.sum.Blobs++
	return w.entry(tar.Header{Name: blobDir + key, Mode: 0o600, Size: info.Size, PAXRecords: map[string]string{sumRecord: info.SHA256}}, content)
}

func (w *writer) hash(key string) (string, error) {
	content, err := w.from.Blobs.Open(w.ctx, key, blob.Range{})
	if err != nil {
		return "", err
	}
	defer content.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, content); err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// logs writes the logs of the folder. One that grows is as long as it is now.
func (w *writer) logs() error {
	err := filepath.WalkDir(w.from.Logs, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() || !strings.HasSuffix(path, ".log") {
			return err
		}
		rel, err := filepath.Rel(w.from.Logs, path)
		if err != nil {
			return err
		}
		return w.log(path, filepath.ToSlash(rel))
	})
	if err != nil {
		return fmt.Errorf("logs: %w", err)
	}
	return nil
}

func (w *writer) log(path, name string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w.sum.Logs++
	return w.entry(tar.Header{Name: logDir + name, Mode: 0o600, Size: info.Size()}, f)
}
