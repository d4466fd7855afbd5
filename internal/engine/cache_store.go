package engine

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/lock"
)

// Caches is the store of a user's caches on this computer: a folder with
//
//	keys/<hash of project and key>.json   which entry is current
//	entries/<id>/.lock, files/            the files, which nobody writes again
//
// An entry is made under a lock and named by its key when it is whole, so a
// reader sees the old one or the new one. A reader holds the entry's lock too,
// shared; what no key names and nobody holds is removed. Several processes may
// use a store at once.
type Caches struct {
	dir   string
	limit int64
}

// NewCaches opens the store in dir, which need not be there yet. Beyond limit
// bytes (0: without limit) those not used for the longest time are removed.
// Files that two caches share count twice.
func NewCaches(dir string, limit int64) *Caches { return &Caches{dir: dir, limit: limit} }

// cacheNote is what a key's file says.
type cacheNote struct {
	Project string    `json:"project"`
	Key     string    `json:"key"`
	Entry   string    `json:"entry"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`
	Saved   time.Time `json:"saved"`
	Digest  string    `json:"digest"` // of names, sizes, times and permissions
}

// CacheInfo describes one cache.
type CacheInfo struct {
	Project string    `json:"project"`
	Key     string    `json:"key"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`
	Saved   time.Time `json:"saved"`
	Used    time.Time `json:"used"` // saved or restored last
}

// cacheEntry is an entry that is held open for reading.
type cacheEntry struct {
	note cacheNote
	dir  string
	lock *os.File
	tree *Tree
}

func (e *cacheEntry) close()        { lock.Release(e.lock) }
func (e *cacheEntry) files() string { return filepath.Join(e.dir, artifactFiles) }

// verify looks whether the entry's files are those that were stored.
func (e *cacheEntry) verify() error {
	root, err := openFolder(e.files())
	if err != nil {
		return err
	}
	defer root.close()
	t := &Tree{base: e.files(), dir: e.files(), load: func() error { return nil }}
	if err := t.scan(root, "."); err != nil {
		return err
	}
	if t.digest() != e.note.Digest {
		return errs.E(errs.Conflict, "its files are not those that were saved")
	}
	e.tree = t
	return nil
}

// digest is a hash of everything about the tree but the content.
func (t *Tree) digest() string {
	h := sha256.New()
	w := bufio.NewWriter(h)
	for _, d := range t.dirs {
		fmt.Fprintf(w, "%q %o\n", d.path, d.mode)
		for _, n := range d.files {
			if n.kind == isLink {
				fmt.Fprintf(w, "%q -> %q\n", n.name, n.target)
			} else {
				fmt.Fprintf(w, "%q %o %d %d\n", n.name, n.mode, n.size, n.mtime)
			}
		}
	}
	_ = w.Flush()
	return hex.EncodeToString(h.Sum(nil))
}

func (c *Caches) entries() string { return filepath.Join(c.dir, "entries") }

func (c *Caches) keyFile(project, key string) string {
	sum := sha256.Sum256([]byte(project + "\x00" + key))
	return filepath.Join(c.dir, "keys", hex.EncodeToString(sum[:16])+".json")
}

// open finds the current entry of a key and holds it; nil when there is none.
func (c *Caches) open(project, key string) (*cacheEntry, error) {
	for range 3 {
		note, err := readNote(c.keyFile(project, key))
		if notThere(err) || errs.Is(err, errs.Invalid) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if note.Project != project || note.Key != key {
			return nil, nil
		}
		dir := filepath.Join(c.entries(), note.Entry)
		held, err := lock.OpenExisting(filepath.Join(dir, lock.FileName), lock.ModeShared)
		if notThere(err) {
			continue // replaced meanwhile: the key names another one by now
		}
		if err != nil {
			return nil, err
		}
		if _, err := os.Lstat(filepath.Join(dir, artifactFiles)); err == nil {
			return &cacheEntry{note: note, dir: dir, lock: held}, nil
		}
		lock.Release(held)
	}
	return nil, nil
}

func readNote(file string) (cacheNote, error) {
	var note cacheNote
	data, err := os.ReadFile(file)
	if err != nil {
		return note, err
	}
	if err := json.Unmarshal(data, &note); err != nil || !filepath.IsLocal(note.Entry) || strings.ContainsAny(note.Entry, `/\`) {
		return note, errs.E(errs.Invalid, "%s is damaged", file)
	}
	return note, nil
}

// add makes an entry by fill and gives it its key.
func (c *Caches) add(note cacheNote, fill func(dir string) error) error {
	note.Entry = rand.Text()
	dir := filepath.Join(c.entries(), note.Entry)
	unlock, err := lock.Folder(dir)
	if err != nil {
		return err
	}
	defer unlock()
	e := cacheEntry{dir: dir}
	err = fill(e.files())
	if err == nil {
		note.Digest, err = digestOf(e.files())
	}
	if err == nil {
		err = c.name(note)
	}
	if err != nil {
		return errors.Join(err, removeAll(dir))
	}
	return nil
}

func digestOf(dir string) (string, error) {
	root, err := openFolder(dir)
	if err != nil {
		return "", err
	}
	defer root.close()
	t := &Tree{}
	if err := t.scan(root, "."); err != nil {
		return "", err
	}
	return t.digest(), nil
}

// name makes an entry the current one of its key.
func (c *Caches) name(note cacheNote) error {
	data, err := json.Marshal(note)
	if err != nil {
		return err
	}
	file := c.keyFile(note.Project, note.Key)
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return err
	}
	held, err := c.lockKeys()
	if err != nil {
		return err
	}
	defer lock.Release(held)
	temporary := file + "." + note.Entry + partialSuffix
	if err := os.WriteFile(temporary, data, 0o666); err != nil {
		return errors.Join(err, removeAll(temporary))
	}
	return os.Rename(temporary, file)
}

// lockKeys keeps others from changing which keys there are.
func (c *Caches) lockKeys() (*os.File, error) {
	return lock.Open(filepath.Join(c.dir, "keys", lock.FileName), lock.ModeExclusive)
}

// touch marks a cache as used now.
func (c *Caches) touch(note cacheNote) {
	now := time.Now()
	_ = os.Chtimes(c.keyFile(note.Project, note.Key), now, now) // only the order of removal hangs on it
}

// forget takes a damaged entry's name away.
func (c *Caches) forget(note cacheNote) error {
	held, err := c.lockKeys()
	if err != nil {
		return err
	}
	defer lock.Release(held)
	file := c.keyFile(note.Project, note.Key)
	if now, err := readNote(file); err != nil || now.Entry != note.Entry {
		return nil // somebody saved a new one
	}
	return os.Remove(file)
}

// keyFiles lists the files that say which entry a key has.
func (c *Caches) keyFiles() ([]string, error) {
	dir := filepath.Join(c.dir, "keys")
	entries, err := os.ReadDir(dir)
	if notThere(err) {
		return nil, nil
	}
	var files []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, err
}

// List gives all caches, those used last first.
func (c *Caches) List() ([]CacheInfo, error) {
	files, err := c.keyFiles()
	if err != nil {
		return nil, err
	}
	var list []CacheInfo
	for _, file := range files {
		note, err := readNote(file)
		if err != nil {
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		list = append(list, CacheInfo{note.Project, note.Key, note.Files, note.Bytes, note.Saved, info.ModTime()})
	}
	slices.SortFunc(list, func(a, b CacheInfo) int {
		return cmp.Or(b.Used.Compare(a.Used), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Key, b.Key))
	})
	return list, nil
}

// Clear removes the caches of a project and key, where empty means any, and
// tells how many and how large they were. Those that a job reads at this
// moment go when it has done so.
func (c *Caches) Clear(project, key string) (n int, bytes int64, err error) {
	list, err := c.List()
	if err != nil {
		return 0, 0, err
	}
	var gone []CacheInfo
	for _, info := range list {
		if (project == "" || info.Project == project) && (key == "" || info.Key == key) {
			gone = append(gone, info)
			bytes += info.Bytes
		}
	}
	return len(gone), bytes, errors.Join(c.unname(gone), c.collect())
}

func (c *Caches) unname(gone []CacheInfo) error {
	if len(gone) == 0 {
		return nil
	}
	held, err := c.lockKeys()
	if err != nil {
		return err
	}
	defer lock.Release(held)
	for _, info := range gone {
		if err := os.Remove(c.keyFile(info.Project, info.Key)); err != nil && !notThere(err) {
			return err
		}
	}
	return nil
}

// tidy removes what is beyond the limit, but not the cache of project and key,
// and what is left of others.
func (c *Caches) tidy(project, key string) error {
	if c.limit <= 0 {
		return c.collect()
	}
	list, err := c.List()
	if err != nil {
		return err
	}
	var total int64
	var gone []CacheInfo
	for _, info := range list {
		total += info.Bytes
		if total > c.limit && (info.Project != project || info.Key != key) {
			gone = append(gone, info)
			total -= info.Bytes
		}
	}
	return errors.Join(c.unname(gone), c.collect())
}

// collect removes the entries that no key names and nobody holds.
func (c *Caches) collect() error {
	return lock.Sweep(c.entries(), lock.SweepOptions{Remove: RemoveFolder, Keep: c.named})
}

func (c *Caches) named() (map[string]bool, error) {
	files, err := c.keyFiles()
	named := map[string]bool{}
	for _, file := range files {
		if note, err := readNote(file); err == nil {
			named[note.Entry] = true
		}
	}
	return named, err
}

// sameContent reports whether two files have the same bytes.
func sameContent(a string, root *os.Root, b string) bool {
	x, err := os.Open(a)
	if err != nil {
		return false
	}
	defer x.Close()
	y, err := root.Open(b)
	if err != nil {
		return false
	}
	defer y.Close()
	p, q := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, err := io.ReadFull(x, p)
		m, err2 := io.ReadFull(y, q)
		if n != m || !bytes.Equal(p[:n], q[:m]) {
			return false
		}
		if err != nil || err2 != nil {
			return isEnd(err) && isEnd(err2)
		}
	}
}

func isEnd(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) }
