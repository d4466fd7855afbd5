// Package logfile stores the logs of attempts as append-only files with an
// index of lines, and reads them while they grow.
//
// It promises that a log has no gap and no byte twice, whatever is sent again
// or late; that a reader never holds up a writer; and that any line is found
// without reading the file from its start. Memory is bounded for lines and logs
// of any length. It does not know what a run is, who may read, or how a log is
// shown: bytes are masked before they come here.
//
// A folder belongs to one process at a time. With [Dir.UseBlobs] logs are also
// in a blob store, as gzip files of 4 MiB of text each: finished ones instead of
// the folder, and those of several servers while they grow, so that another one
// can go on.
package logfile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"refline/internal/blob"
	"refline/internal/errs"
)

// MaxBytes is the default limit of one log.
const MaxBytes = 1 << 30

// ID names the log of one attempt.
type ID struct{ Run, Attempt int64 }

// String returns "run 7, attempt 12".
func (id ID) String() string { return fmt.Sprintf("run %d, attempt %d", id.Run, id.Attempt) }

// Dir is a folder of logs: RUN/ATTEMPT.log beside RUN/ATTEMPT.idx. It is safe
// for use by several goroutines.
type Dir struct {
	path string
	max  int64
	now  func() time.Time

	blobs blob.Store // nil for none

	mu        sync.Mutex
	open      map[ID]*log
	shipments map[ID]*shipment
}

// Open uses a folder, which it makes if it is missing. A max of 0 is [MaxBytes].
func Open(path string, max int64, now func() time.Time) (*Dir, error) {
	if max <= 0 {
		max = MaxBytes
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, storageError(err)
	}
	return &Dir{path: path, max: max, now: now, open: map[ID]*log{}, shipments: map[ID]*shipment{}}, nil
}

// Append writes data at offset and returns how long the log is then. Bytes that
// the log has already are skipped. Errors: Conflict if offset is beyond the
// log's end (the returned length says where to go on), Invalid if the log would
// be larger than the limit (nothing of data is written), Unavailable if the
// disk refuses.
func (d *Dir) Append(id ID, offset int64, data []byte) (length int64, err error) {
	length, err = d.appendHere(id, offset, data)
	if d.blobs == nil || !errs.Is(err, errs.Conflict) {
		return length, err
	}
	// Another server may have taken what is missing.
	if length, err := d.Fetch(context.Background(), id); err != nil || length < offset {
		return length, cmp.Or(err, errs.E(errs.Conflict, "the log has %d bytes; bytes at %d leave a gap", length, offset))
	}
	return d.appendHere(id, offset, data)
}

func (d *Dir) appendHere(id ID, offset int64, data []byte) (length int64, err error) {
	for {
		l, err := d.writer(id)
		if err != nil {
			return 0, err
		}
		length, err := l.append(offset, data)
		if !errors.Is(err, os.ErrClosed) { // finished in between: open it again
			return length, err
		}
	}
}

// Overwrite replaces bytes that were appended a moment ago, as many as data has, by
// others with the same line breaks. Bytes that are only in the blob store stay.
func (d *Dir) Overwrite(id ID, offset int64, data []byte) error {
	for {
		l, err := d.writer(id)
		if err != nil {
			return err
		}
		if err = l.overwrite(offset, data); !errors.Is(err, os.ErrClosed) {
			return err
		}
	}
}

// Sync makes everything that was appended durable and returns the length that
// is. A log that nobody writes is durable already.
func (d *Dir) Sync(id ID) (durable int64, err error) {
	d.mu.Lock()
	l := d.open[id]
	d.mu.Unlock()
	if l == nil {
		return d.localSize(id)
	}
	return l.sync()
}

// Finish syncs a log and ends its followers. Appending to it again is possible
// and repeats the end.
func (d *Dir) Finish(id ID) error {
	if d.blobs != nil {
		d.mu.Lock()
		l := d.open[id]
		d.mu.Unlock()
		if _, err := os.Stat(d.file(id, ".log")); l == nil && errors.Is(err, fs.ErrNotExist) {
			// An empty file would hide what is in the blob store.
			if list, err := members(context.Background(), d.blobs, id); err != nil || len(list) > 0 {
				return err
			}
		}
	}
	return d.finishHere(id)
}

func (d *Dir) finishHere(id ID) error {
	l, err := d.writer(id)
	if err != nil {
		return err
	}
	_, err = l.sync()
	d.mu.Lock()
	delete(d.open, id)
	d.mu.Unlock()
	return errors.Join(err, l.close())
}

// Cut shortens a log to the length that was durable before a crash; what is
// beyond may be anything after a loss of power. A shorter log stays.
func (d *Dir) Cut(id ID, durable int64) error {
	path := d.file(id, ".log")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= durable {
		return nil
	}
	if err == nil {
		err = os.Truncate(path, durable)
	}
	return storageError(err)
}

// Clear empties a log that may hold what nobody must see. Its followers wait for
// what is written after.
func (d *Dir) Clear(id ID) error {
	for {
		l, err := d.writer(id)
		if err != nil {
			return err
		}
		err = l.clear()
		if errors.Is(err, os.ErrClosed) { // finished in between: open it again
			continue
		}
		if err == nil && d.blobs != nil {
			err = d.clearShipped(id)
		}
		return storageError(err)
	}
}

// Here goes through the logs that have a file in the folder.
func (d *Dir) Here() iter.Seq2[ID, error] {
	return func(yield func(ID, error) bool) {
		runs, err := os.ReadDir(d.path)
		if err != nil {
			yield(ID{}, storageError(err))
			return
		}
		for _, run := range runs {
			files, err := os.ReadDir(filepath.Join(d.path, run.Name()))
			if ignoreMissing(err) != nil {
				yield(ID{}, storageError(err))
				return
			}
			for _, f := range files {
				name, isLog := strings.CutSuffix(f.Name(), ".log")
				id, err := parseID(run.Name(), name)
				if isLog && err == nil && !yield(id, nil) {
					return
				}
			}
		}
	}
}

func parseID(run, attempt string) (id ID, err error) {
	if id.Run, err = strconv.ParseInt(run, 10, 64); err != nil {
		return id, err
	}
	id.Attempt, err = strconv.ParseInt(attempt, 10, 64)
	return id, err
}

// Remove deletes all logs of a run in the folder. What is in a blob store stays.
func (d *Dir) Remove(run int64) error {
	d.mu.Lock()
	for id, l := range d.open {
		if id.Run == run {
			_ = l.close()
			delete(d.open, id)
		}
	}
	for id := range d.shipments {
		if id.Run == run {
			delete(d.shipments, id)
		}
	}
	d.mu.Unlock()
	return storageError(os.RemoveAll(filepath.Join(d.path, strconv.FormatInt(run, 10))))
}

// Close syncs and closes what is open.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all []error
	for id, l := range d.open {
		_, err := l.sync()
		all = append(all, err, l.close())
		delete(d.open, id)
	}
	return errors.Join(all...)
}

func (d *Dir) file(id ID, ending string) string {
	return filepath.Join(d.path, strconv.FormatInt(id.Run, 10), strconv.FormatInt(id.Attempt, 10)+ending)
}

// writer returns the log's open file.
func (d *Dir) writer(id ID) (*log, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.open[id]; l != nil {
		return l, nil
	}
	l, err := openLog(d.file(id, ""), d.max, d.now)
	if err != nil {
		return nil, storageError(err)
	}
	d.open[id] = l
	return l, nil
}

// storageError gives a full disk its kind.
func storageError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return errs.E(errs.Unavailable, "the disk of the logs is full: %w", err)
	default:
		return fmt.Errorf("logs: %w", err)
	}
}
