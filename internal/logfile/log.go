package logfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"refline/internal/errs"
)

// block is how many bytes of a log have one entry of the index.
const block = 64 << 10

// entry says which line begins at or before an offset: the log's bytes up to
// offset hold line line breaks. An index is a file of entries in order.
type entry struct {
	Line   int64
	Offset int64
	Time   int64 // when the bytes at Offset came, in Unix milliseconds
}

const entryBytes = 24

// log is one log that is being written.
type log struct {
	max   int64
	now   func() time.Time
	mu    sync.Mutex
	file  *os.File
	index *os.File
	size  int64
	lines int64 // line breaks so far
	next  int64 // the offset at which the next entry is due
	grown chan struct{}
	ended bool
}

// openLog opens or makes PATH.log and PATH.idx, and mends an index that a crash
// left shorter or longer than the log.
func openLog(path string, max int64, now func() time.Time) (*log, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	l := &log{max: max, now: now, grown: make(chan struct{})}
	var err error
	if l.file, err = os.OpenFile(path+".log", os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if l.index, err = os.OpenFile(path+".idx", os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		_ = l.file.Close()
		return nil, err
	}
	if err := l.recover(); err != nil {
		_ = l.close()
		return nil, err
	}
	return l, nil
}

// recover counts lines from the last entry of the index that fits the log.
func (l *log) recover() error {
	info, err := l.file.Stat()
	if err != nil {
		return err
	}
	entries, err := readIndex(l.index)
	if err != nil {
		return err
	}
	for len(entries) > 0 && entries[len(entries)-1].Offset > info.Size() {
		entries = entries[:len(entries)-1]
	}
	if err := l.index.Truncate(int64(len(entries)) * entryBytes); err != nil {
		return err
	}
	if n := len(entries); n > 0 {
		last := entries[n-1]
		l.size, l.lines, l.next = last.Offset, last.Line, last.Offset+block
	}
	tail := bufio.NewReaderSize(io.NewSectionReader(l.file, l.size, info.Size()-l.size), block)
	buffer := make([]byte, block)
	for {
		n, err := tail.Read(buffer)
		if ierr := l.count(buffer[:n]); ierr != nil {
			return ierr
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// count takes bytes at the end of the log into the index.
func (l *log) count(data []byte) error {
	var due []byte
	for len(data) > 0 {
		if l.size >= l.next {
			due = binary.LittleEndian.AppendUint64(due, uint64(l.lines))
			due = binary.LittleEndian.AppendUint64(due, uint64(l.size))
			due = binary.LittleEndian.AppendUint64(due, uint64(l.now().UnixMilli()))
			l.next = l.size + block
		}
		part := data[:min(int64(len(data)), l.next-l.size)]
		l.lines += int64(bytes.Count(part, []byte{'\n'}))
		l.size += int64(len(part))
		data = data[len(part):]
	}
	if len(due) == 0 {
		return nil
	}
	end, err := l.index.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = l.index.WriteAt(due, end)
	}
	return err
}

func (l *log) append(offset int64, data []byte) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return l.size, os.ErrClosed
	case offset < 0 || offset > l.size:
		return l.size, errs.E(errs.Conflict, "the log has %d bytes; bytes at %d leave a gap", l.size, offset)
	case offset+int64(len(data)) <= l.size:
		return l.size, nil // all of it is known
	case offset+int64(len(data)) > l.max:
		return l.size, errs.E(errs.Invalid, "the log is larger than %d bytes", l.max)
	}
	data = data[l.size-offset:]
	if _, err := l.file.WriteAt(data, l.size); err != nil {
		// What a full disk took is cut off again: the writer repeats all of it.
		return l.size, errors.Join(storageError(err), l.file.Truncate(l.size))
	}
	if err := l.count(data); err != nil {
		return l.size, storageError(err)
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return l.size, nil
}

// overwrite replaces bytes that are there; line breaks stay where they are.
func (l *log) overwrite(offset int64, data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.ended:
		return os.ErrClosed
	case offset < 0 || offset+int64(len(data)) > l.size:
		return errs.E(errs.Conflict, "the log has %d bytes; there are none at %d to overwrite", l.size, offset)
	}
	_, err := l.file.WriteAt(data, offset)
	return storageError(err)
}

func (l *log) clear() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return os.ErrClosed
	}
	l.size, l.lines, l.next = 0, 0, 0
	return errors.Join(l.file.Truncate(0), l.file.Sync(), l.index.Truncate(0))
}

func (l *log) sync() (int64, error) {
	l.mu.Lock()
	size := l.size
	l.mu.Unlock()
	// The index can be made again from the log, so its own sync does not matter.
	if err := l.file.Sync(); err != nil {
		return 0, storageError(err)
	}
	return size, nil
}

// state returns what a follower waits for.
func (l *log) state() (size int64, grown <-chan struct{}, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.size, l.grown, l.ended
}

func (l *log) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		close(l.grown)
	}
	return errors.Join(l.file.Close(), l.index.Close())
}

func readIndex(f *os.File) ([]entry, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	entries := make([]entry, info.Size()/entryBytes)
	err = binary.Read(io.NewSectionReader(f, 0, int64(len(entries))*entryBytes), binary.LittleEndian, entries)
	return entries, err
}
