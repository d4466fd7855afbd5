package backup

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
)

// Target is the empty server that a backup is read into.
type Target struct {
	Store   *store.Store
	Blobs   blob.Store
	Logs    string // folder
	KeyFile string // where the key file is, or is put if the backup has one
}

// maxEntry bounds the entries that are read into memory.
const maxEntry = 64 << 20

// logName is the name of a log in its folder.
var logName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[0-9]{1,19}/[0-9]{1,19}\.log$`) })

// Read reads a backup into an empty server. The database is filled last, in one
// transaction; what else was written before an error is removed by the next try, or
// never named. Errors: Invalid for a stream that is not a backup, cut or changed;
// Conflict if the database is not empty or the backup is of another version; Denied
// without the key of encrypted values.
func Read(ctx context.Context, from io.Reader, into Target) (Summary, error) {
	pack, err := gzip.NewReader(from)
	if err != nil {
		return Summary{}, errs.E(errs.Invalid, "this is not a backup of a server: %w", err)
	}
	r := &reader{ctx: ctx, pack: pack, tar: tar.NewReader(pack), into: into}
	if err := r.head(); err != nil {
		return r.sum, err
	}
	if err := r.into.Store.Load(ctx, r.all); err != nil {
		return r.sum, err
	}
	return r.sum, nil
}

type reader struct {
	ctx     context.Context
	pack    *gzip.Reader
	tar     *tar.Reader
	into    Target
	entries int64
	sum     Summary
}

func (r *reader) next() (*tar.Header, error) {
	if err := context.Cause(r.ctx); err != nil {
		return nil, err
	}
	h, err := r.tar.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, damaged("it ends before its last entry")
	case err != nil:
		return nil, damaged("%v", err)
	case h.Typeflag != tar.TypeReg:
		return nil, damaged("entry %.200q is not a file", h.Name)
	}
	r.entries++
	r.sum.Bytes += h.Size
	return h, nil
}

func (r *reader) json(h *tar.Header, into any) error {
	if h.Size > maxEntry {
		return damaged("entry %.200q has %d bytes", h.Name, h.Size)
	}
	text, err := io.ReadAll(r.tar)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return damaged("entry %.200q: %v", h.Name, err)
	}
	return nil
}

// head reads what the backup is and whether it can be used here.
func (r *reader) head() error {
	h, err := r.next()
	if err != nil {
		return err
	}
	if h.Name != headName {
		return errs.E(errs.Invalid, "this is not a backup of a server: its first entry is %.200q", h.Name)
	}
	if err := r.json(h, &r.sum.Head); err != nil {
		return err
	}
	schema, err := r.into.Store.Schema(r.ctx)
	if err != nil {
		return err
	}
	switch {
	case r.sum.Format != Format:
		return errs.E(errs.Conflict, "the backup has format %d, this program reads %d: restore it with refline %s", r.sum.Format, Format, r.sum.Version)
	case r.sum.Schema != schema:
		return errs.E(errs.Conflict, "the backup has schema %d, this program %d: restore it with refline %s, then update", r.sum.Schema, schema, r.sum.Version)
	case r.sum.HasKey:
		return r.key()
	case len(r.sum.Keys) == 0:
		return nil
	}
	vault, err := secret.OpenVault(r.into.KeyFile)
	if errs.Is(err, errs.NotFound) {
		return errs.E(errs.Denied, "the backup has encrypted values and not their key: put the key file of the server at %s, or name it with --key-file", r.into.KeyFile)
	}
	if err != nil {
		return err
	}
	return r.fits(vault)
}

func (r *reader) fits(vault *secret.Vault) error {
	if missing := vault.Missing(r.sum.Keys); len(missing) > 0 {
		return errs.E(errs.Denied, "the key file %s does not have the key %s of the backup's encrypted values; put the file of that server there", r.into.KeyFile, strings.Join(missing, ", "))
	}
	return nil
}

// key puts the key file of the backup where the server looks for it.
func (r *reader) key() error {
	h, err := r.next()
	if err != nil {
		return err
	}
	if h.Name != keyName || h.Size > 1<<20 {
		return damaged("entry %.200q comes where the key is due", h.Name)
	}
	text, err := io.ReadAll(r.tar)
	if err != nil {
		return damaged("%v", err)
	}
	f, err := os.OpenFile(r.into.KeyFile, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		vault, err := secret.OpenVault(r.into.KeyFile)
		if err != nil {
			return err
		}
		return r.fits(vault)
	}
	if err != nil {
		return errs.E(errs.Unavailable, "the key file: %w", err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func (r *reader) all(put func(store.Chunk) error) error {
	for {
		h, err := r.next()
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(h.Name, tableDir):
			var c rows
			if err := r.json(h, &c); err != nil {
				return err
			}
			r.sum.Rows += int64(len(c.Rows))
			err = put(c.chunk())
		case strings.HasPrefix(h.Name, blobDir):
			r.sum.Blobs++
			sum := blob.Sum{Size: h.Size, SHA256: h.PAXRecords[sumRecord]}
			if err = r.into.Blobs.Put(r.ctx, strings.TrimPrefix(h.Name, blobDir), sum, r.tar); err != nil {
				err = fmt.Errorf("blob %s: %w", strings.TrimPrefix(h.Name, blobDir), err)
			}
		case strings.HasPrefix(h.Name, logDir):
			r.sum.Logs++
			err = r.log(strings.TrimPrefix(h.Name, logDir))
		case h.Name == endName:
			var e end
			if err := r.json(h, &e); err != nil {
				return err
			}
			if e.Entries != r.entries-1 {
				return damaged("it has %d entries, want %d", r.entries-1, e.Entries)
			}
			return r.checkEnd()
		default:
			err = damaged("unknown entry %.200q", h.Name)
		}
		if err != nil {
			return err
		}
	}
}

// checkEnd reads what follows the last entry, so that the checksum of all is compared.
func (r *reader) checkEnd() error {
	if _, err := r.tar.Next(); !errors.Is(err, io.EOF) {
		return damaged("something follows its last entry")
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(r.pack, maxEntry)); err != nil || n == maxEntry {
		return damaged("its end: %v", err)
	}
	return nil
}

func (r *reader) log(name string) error {
	if !logName().MatchString(name) {
		return damaged("%.200q is not the name of a log", name)
	}
	path := filepath.Join(r.into.Logs, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return errs.E(errs.Unavailable, "logs: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return errs.E(errs.Unavailable, "logs: %w", err)
	}
	if _, err = io.Copy(f, r.tar); err != nil {
		err = errs.E(errs.Unavailable, "log %s: %w", name, err)
	}
	return errors.Join(err, f.Sync(), f.Close())
}
