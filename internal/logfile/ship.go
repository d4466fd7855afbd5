package logfile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"refline/internal/blob"
	"refline/internal/errs"
)

// UseBlobs lets logs be shipped to a blob store, and those that are no longer in
// the folder be read from it. It is called before the first log is used.
func (d *Dir) UseBlobs(blobs blob.Store) { d.blobs = blobs }

// shipment is what of a log is in the blob store.
type shipment struct {
	mu    sync.Mutex
	known bool
	last  member // the one that the next byte belongs to; none if its end is its start
}

func (d *Dir) shipment(id ID) *shipment {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.shipments[id]
	if s == nil {
		s = &shipment{}
		d.shipments[id] = s
	}
	return s
}

// Ship copies what was appended to the blob store and returns how much of the
// log is durable there. Members are filled up to 4 MiB: until then, each Ship
// replaces the last one by a longer one.
func (d *Dir) Ship(ctx context.Context, id ID) (durable int64, err error) {
	s := d.shipment(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.ship(ctx, id, s)
}

func (d *Dir) ship(ctx context.Context, id ID, s *shipment) (durable int64, err error) {
	file, err := d.read(id)
	if errs.Is(err, errs.NotFound) {
		list, err := members(ctx, d.blobs, id)
		return endOf(list), err
	}
	if err != nil {
		return 0, err
	}
	defer file.Close()
	size, err := d.length(id, file)
	if err != nil {
		return 0, err
	}
	if !s.known {
		list, err := members(ctx, d.blobs, id)
		if err != nil {
			return 0, err
		}
		if len(list) > 0 {
			s.last = list[len(list)-1]
		}
		s.known = true
	}
	for s.last.end < size {
		if err := d.shipMember(ctx, id, s, size, file); err != nil {
			return s.last.end, err
		}
	}
	return s.last.end, nil
}

// shipMember writes the member of the next byte, as long as it can be.
func (d *Dir) shipMember(ctx context.Context, id ID, s *shipment, size int64, file *os.File) error {
	before := s.last
	if before.end-before.start == memberBytes {
		// The one after it: its lines are counted once more.
		lines, err := countLines(file, before.start, before.end)
		if err != nil {
			return err
		}
		s.last = member{start: before.end, end: before.end, lines: before.lines + lines}
		before = s.last
	}
	next := member{start: before.start, end: min(before.start+memberBytes, size), lines: before.lines}
	if err := putMember(ctx, d.blobs, id, next, file); err != nil {
		return err
	}
	s.last = next
	if before.end > before.start {
		// If that fails both are there, and readers take the longer one.
		_ = d.blobs.Delete(ctx, before.key(id))
	}
	return nil
}

func countLines(file io.ReaderAt, start, end int64) (int64, error) {
	count := lineCounter{out: io.Discard}
	_, err := io.Copy(&count, io.NewSectionReader(file, start, end-start))
	return count.lines, storageError(err)
}

// length is how much of a log may be read. The file of one that is being written
// may have more: what a full disk took and was not cut off yet.
func (d *Dir) length(id ID, file *os.File) (int64, error) {
	d.mu.Lock()
	l := d.open[id]
	d.mu.Unlock()
	if l != nil {
		size, _, _ := l.state()
		return size, nil
	}
	info, err := file.Stat()
	if err != nil {
		return 0, storageError(err)
	}
	return info.Size(), nil
}

// Fetch makes the log in the folder at least what the blob store has: for a
// server that goes on with the log of another one. It returns the length.
func (d *Dir) Fetch(ctx context.Context, id ID) (length int64, err error) {
	s := d.shipment(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	size, err := d.localSize(id)
	if err != nil {
		return 0, err
	}
	list, err := members(ctx, d.blobs, id)
	if err != nil || endOf(list) <= size {
		return size, err
	}
	r := newMemberReader(ctx, d.blobs, id, list, size)
	to := &appender{d: d, id: id, at: size}
	_, err = io.CopyBuffer(to, struct{ io.Reader }{r}, make([]byte, block))
	return to.at, errors.Join(err, r.Close())
}

// appender writes to the end of a log in the folder.
type appender struct {
	d  *Dir
	id ID
	at int64
}

func (a *appender) Write(p []byte) (int, error) {
	length, err := a.d.appendHere(a.id, a.at, p)
	if err != nil {
		return 0, err
	}
	a.at = length
	return len(p), nil
}

// Archived is a log that is in the blob store, whole.
type Archived struct {
	Prefix       string // of the keys of its blobs
	Bytes, Lines int64
	StoredBytes  int64
	SHA256       string // of the text
}

// Archive finishes a log, ships it, and removes it from the folder. From then on
// it is read from the blob store. It may be called again. keep is called when all of
// the log is in the blob store and before it is removed here; its error keeps the log.
// Conflict if somebody writes the log meanwhile. A log without a byte has no blob.
func (d *Dir) Archive(ctx context.Context, id ID, keep func(Archived) error) (Archived, error) {
	s := d.shipment(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	a := Archived{Prefix: id.prefix()}
	size, err := d.localSize(id)
	if err != nil {
		return a, err
	}
	if size > 0 {
		if err := d.finishHere(id); err != nil {
			return a, err
		}
		if _, err := d.ship(ctx, id, s); err != nil {
			return a, err
		}
	}
	list, err := members(ctx, d.blobs, id)
	if err != nil {
		return a, err
	}
	for _, m := range list {
		a.StoredBytes += m.stored
	}
	return a, d.replaceLocal(ctx, id, &a, list, keep)
}

// replaceLocal describes a log and removes its files if the members have all of
// it.
func (d *Dir) replaceLocal(ctx context.Context, id ID, a *Archived, list []member, keep func(Archived) error) error {
	before, err := os.Stat(d.file(id, ".log"))
	missing := errors.Is(err, fs.ErrNotExist)
	if err != nil && !missing {
		return storageError(err)
	}
	end := endOf(list)
	// The file here may be the beginning of a log that another server went on with.
	if missing || before.Size() < end {
		err = d.describe(newMemberReader(ctx, d.blobs, id, list, 0), a)
	} else if file, rerr := d.read(id); rerr == nil {
		err = d.describe(file, a)
	} else {
		err = rerr
	}
	if err != nil {
		return err
	}
	if a.Bytes != end {
		return errs.E(errs.Conflict, "%s was written while it was stored: store it again", id)
	}
	if err := keep(*a); err != nil || missing {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	now, err := os.Stat(d.file(id, ".log"))
	if err != nil || d.open[id] != nil || now.Size() != before.Size() || !now.ModTime().Equal(before.ModTime()) {
		return errs.E(errs.Conflict, "%s was written while it was stored: store it again", id)
	}
	delete(d.shipments, id)
	err = errors.Join(os.Remove(d.file(id, ".log")), ignoreMissing(os.Remove(d.file(id, ".idx"))))
	_ = os.Remove(filepath.Dir(d.file(id, ""))) // if it was the last one of the run
	return storageError(err)
}

// describe reads a log to its end.
func (d *Dir) describe(in io.ReadCloser, a *Archived) error {
	h := sha256.New()
	count := lineCounter{out: h}
	n, err := io.Copy(&count, in)
	a.Bytes, a.Lines, a.SHA256 = n, count.lines, hex.EncodeToString(h.Sum(nil))
	return storageError(errors.Join(err, in.Close()))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// clearShipped removes what the blob store has of a log, which begins anew.
func (d *Dir) clearShipped(id ID) error {
	s := d.shipment(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last, s.known = member{}, true
	return blob.DeleteAll(context.Background(), d.blobs, id.prefix())
}

// archived lists the members of a log that is not in the folder.
func (d *Dir) archived(ctx context.Context, id ID) ([]member, error) {
	if d.blobs == nil {
		return nil, errs.E(errs.NotFound, "%s has no log", id)
	}
	list, err := members(ctx, d.blobs, id)
	if err == nil && len(list) == 0 {
		err = errs.E(errs.NotFound, "%s has no log", id)
	}
	return list, err
}
