package cache

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/lock"
	"refline/internal/workspace"
)

// Folder is the store of a user's caches on this computer: a folder with
//
//	keys/<hash of project and key>.json   which entry is current
//	entries/<id>/.lock, files/            the files, which are never written again
//
// An entry is made under a lock and named by its key when it is whole, so a reader
// sees the old one or the new one. A reader holds the entry's lock too, shared. An
// entry without a key and without a holder is removed. Several processes may use a
// store at once.
type Folder struct {
	dir   string
	limit int64
}

var _ Store = (*Folder)(nil)

const (
	filesDir      = "files"
	partialSuffix = ".partial"
)

// NewFolder opens the store in dir, which need not exist yet. Beyond limit
// bytes (0: without limit) those not used for the longest time are removed.
// Files that two caches share count twice.
func NewFolder(dir string, limit int64) *Folder { return &Folder{dir: dir, limit: limit} }

// entryNote is what a key's file says.
type entryNote struct {
	Project string    `json:"project"`
	Key     string    `json:"key"`
	Entry   string    `json:"entry"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`
	Saved   time.Time `json:"saved"`
	Digest  string    `json:"digest"` // of names, sizes, times and permissions
}

// Info describes one cache.
type Info struct {
	Project string    `json:"project"`
	Key     string    `json:"key"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"`
	Saved   time.Time `json:"saved"`
	Used    time.Time `json:"used"` // saved or restored last
}

func (i *Info) id() ID { return ID{i.Project, i.Key} }

// entry is an entry that is held open for reading.
type entry struct {
	note entryNote
	dir  string
	lock *os.File
	tree *workspace.Tree
}

func (e *entry) close()        { lock.Release(e.lock) }
func (e *entry) files() string { return filepath.Join(e.dir, filesDir) }

// verify checks that the entry's files are those that were stored.
func (e *entry) verify() error {
	t, err := workspace.Scan(e.files())
	if err != nil {
		return err
	}
	if t.Digest() != e.note.Digest {
		return errs.E(errs.Conflict, "its files are not the ones that were saved")
	}
	e.tree = t
	return nil
}

func (c *Folder) entries() string { return filepath.Join(c.dir, "entries") }

func (c *Folder) keyFile(project, key string) string {
	sum := sha256.Sum256([]byte(project + "\x00" + key))
	return filepath.Join(c.dir, "keys", hex.EncodeToString(sum[:16])+".json")
}

// open finds the current entry of a key and holds it; nil when there is none.
func (c *Folder) open(project, key string) (*entry, error) {
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
		if _, err := os.Lstat(filepath.Join(dir, filesDir)); err == nil {
			return &entry{note: note, dir: dir, lock: held}, nil
		}
		lock.Release(held)
	}
	return nil, nil
}

func readNote(file string) (entryNote, error) {
	var note entryNote
	data, err := os.ReadFile(file)
	if err != nil {
		return note, err
	}
	if err := json.Unmarshal(data, &note); err != nil || !filepath.IsLocal(note.Entry) || strings.ContainsAny(note.Entry, `/\`) {
		return note, errs.E(errs.Invalid, "%s is damaged", file)
	}
	return note, nil
}

// Get implements [Store].
func (c *Folder) Get(ctx context.Context, id ID, into *os.Root, seen map[string]workspace.Identity) (Entry, error) {
	e, err := c.open(id.Project, id.Key)
	if err != nil {
		return Entry{}, err
	}
	if e == nil {
		return Entry{}, errs.E(errs.NotFound, "no cache is saved for %s", id.Key)
	}
	defer e.close()
	if err := e.verify(); err != nil {
		return Entry{}, errors.Join(fmt.Errorf("%w: %w", ErrDamaged, err), c.forget(e.note))
	}
	if err := e.tree.Restore(ctx, into, seen); err != nil {
		return Entry{}, err
	}
	c.touch(e.note)
	return Entry{Version: e.note.Entry, Files: e.note.Files, Bytes: e.note.Bytes}, nil
}

// Put implements [Store]. Files that the current entry has too become second
// names of those.
func (c *Folder) Put(ctx context.Context, id ID, files *workspace.Selection, before Restored, move bool) (saved bool, err error) {
	saved, err = c.put(ctx, id, files, before, move)
	if err == nil {
		err = c.tidy(id)
	}
	return saved && err == nil, err
}

func (c *Folder) put(ctx context.Context, id ID, files *workspace.Selection, before Restored, move bool) (saved bool, err error) {
	old, err := c.open(id.Project, id.Key)
	if err != nil {
		return false, err
	}
	how := workspace.CopyOptions{Move: move}
	if old != nil {
		defer old.close()
		if old.verify() == nil {
			if before.Version != old.note.Entry {
				before.Seen = workspace.Seen{}
			}
			same, all := files.Compare(ctx, old.tree, before.Seen)
			if all {
				c.touch(old.note)
				return false, nil
			}
			how.Old, how.Same = old.files(), same
		}
	}
	note := entryNote{Project: id.Project, Key: id.Key, Saved: time.Now().UTC()}
	note.Files, note.Bytes = files.Size()
	return true, c.add(note, func(dir string) error { return files.CopyTo(ctx, dir, how) })
}

// add makes an entry by fill and gives it its key.
func (c *Folder) add(note entryNote, fill func(dir string) error) error {
	note.Entry = rand.Text()
	dir := filepath.Join(c.entries(), note.Entry)
	unlock, err := lock.Folder(dir)
	if err != nil {
		return err
	}
	defer unlock()
	e := entry{dir: dir}
	err = fill(e.files())
	if err == nil {
		note.Digest, err = digestOf(e.files())
	}
	if err == nil {
		err = c.name(note)
	}
	if err != nil {
		return errors.Join(err, workspace.RemoveAll(dir))
	}
	return nil
}

func digestOf(dir string) (string, error) {
	t, err := workspace.Scan(dir)
	if err != nil {
		return "", err
	}
	return t.Digest(), nil
}

// name makes an entry the current one of its key.
func (c *Folder) name(note entryNote) error {
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
		return errors.Join(err, workspace.RemoveAll(temporary))
	}
	return os.Rename(temporary, file)
}

// lockKeys keeps others from changing which keys there are.
func (c *Folder) lockKeys() (*os.File, error) {
	return lock.Open(filepath.Join(c.dir, "keys", lock.FileName), lock.ModeExclusive)
}

// touch marks a cache as used now.
func (c *Folder) touch(note entryNote) {
	now := time.Now()
	_ = os.Chtimes(c.keyFile(note.Project, note.Key), now, now) // only the order of removal depends on it
}

// forget takes a damaged entry's name away.
func (c *Folder) forget(note entryNote) error {
	held, err := c.lockKeys()
	if err != nil {
		return err
	}
	defer lock.Release(held)
	file := c.keyFile(note.Project, note.Key)
	if now, err := readNote(file); err != nil || now.Entry != note.Entry {
		return nil // there is a new one
	}
	return os.Remove(file)
}

// keyFiles lists the files that say which entry a key has.
func (c *Folder) keyFiles() ([]string, error) {
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
func (c *Folder) List() ([]Info, error) {
	files, err := c.keyFiles()
	if err != nil {
		return nil, err
	}
	var list []Info
	for _, file := range files {
		note, err := readNote(file)
		if err != nil {
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		list = append(list, Info{note.Project, note.Key, note.Files, note.Bytes, note.Saved, info.ModTime()})
	}
	slices.SortFunc(list, func(a, b Info) int {
		return cmp.Or(b.Used.Compare(a.Used), cmp.Compare(a.Project, b.Project), cmp.Compare(a.Key, b.Key))
	})
	return list, nil
}

// Clear removes the caches of a project and key, where empty means any. It returns
// how many there were and their size. Those that a job reads at this moment are
// removed when it has done so.
func (c *Folder) Clear(project, key string) (n int, bytes int64, err error) {
	list, err := c.List()
	if err != nil {
		return 0, 0, err
	}
	var gone []Info
	for _, info := range list {
		if (project == "" || info.Project == project) && (key == "" || info.Key == key) {
			gone = append(gone, info)
			bytes += info.Bytes
		}
	}
	return len(gone), bytes, errors.Join(c.unname(gone), c.collect())
}

func (c *Folder) unname(gone []Info) error {
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

// tidy removes what is beyond the limit, but not the cache id, and what is left
// of others.
func (c *Folder) tidy(id ID) error {
	if c.limit <= 0 {
		return c.collect()
	}
	list, err := c.List()
	if err != nil {
		return err
	}
	var total int64
	var gone []Info
	for _, info := range list {
		total += info.Bytes
		if total > c.limit && info.id() != id {
			gone = append(gone, info)
			total -= info.Bytes
		}
	}
	return errors.Join(c.unname(gone), c.collect())
}

// collect removes the entries without a key and without a holder.
func (c *Folder) collect() error {
	return lock.Sweep(c.entries(), lock.SweepOptions{Remove: workspace.Remove, Keep: c.named})
}

func (c *Folder) named() (map[string]bool, error) {
	files, err := c.keyFiles()
	named := map[string]bool{}
	for _, file := range files {
		if note, err := readNote(file); err == nil {
			named[note.Entry] = true
		}
	}
	return named, err
}

// notThere reports whether err says that a file does not exist.
func notThere(err error) bool { return errors.Is(err, fs.ErrNotExist) }
