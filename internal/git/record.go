package git

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// record is what a checkout needs to know about a commit in the mirror: where
// its history ends, and the tags that came with it. In a mirror of shallow
// fetches both differ from commit to commit. Depth 0 is recorded only when the
// mirror holds all history that the remote has, and then all its tags are good.
type record struct {
	path    string // of the file; its age is that of the last use
	shallow string
	tags    []refEntry
}

func recordPath(mirror string, depth int, commit string) string {
	return filepath.Join(mirror, "have", strconv.Itoa(depth), commit)
}

// record finds the commit with enough history, and its tag object.
func (r *Remote) record(c Resolved, depth int) (record, bool) {
	depths := []int{0, depth}
	if entries, err := os.ReadDir(filepath.Join(r.mirror(), "have")); err == nil && depth > 0 {
		for _, e := range entries {
			if d, err := strconv.Atoi(e.Name()); err == nil && d > depth {
				depths = append(depths, d)
			}
		}
	}
	for _, d := range depths {
		text, err := os.ReadFile(recordPath(r.mirror(), d, c.Commit))
		if err != nil || c.Object != "" && !strings.Contains(string(text), "object "+c.Object+"\n") {
			continue
		}
		rec := record{path: recordPath(r.mirror(), d, c.Commit)}
		for line := range strings.Lines(string(text)) {
			if id, ok := strings.CutPrefix(line, "shallow "); ok {
				rec.shallow += id
			}
		}
		if d == 0 {
			rec.tags, err = listRefs(r.mirror(), "refs/tags/")
			return rec, err == nil
		}
		rec.tags = parsePackedRefs(string(text), []string{"refs/tags/"})
		return rec, true
	}
	return record{}, false
}

func (r *Remote) writeRecord(mirror string, c Resolved, depth int) error {
	var text strings.Builder
	shallow, err := os.ReadFile(filepath.Join(mirror, "shallow"))
	if err != nil {
		depth = 0 // the history turned out to be whole
	}
	for line := range strings.Lines(string(shallow)) {
		text.WriteString("shallow " + strings.TrimSpace(line) + "\n")
	}
	if c.Object != "" {
		text.WriteString("object " + c.Object + "\n")
	}
	if depth > 0 {
		tags, err := listRefs(mirror, "refs/tags/")
		if err != nil {
			return onDisk(err, "the tags in the mirror of %s", r.URL())
		}
		text.WriteString(writePackedRefs(tags))
	}
	path := recordPath(mirror, depth, c.Commit)
	err = os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = writeWhole(path, text.String())
	}
	if err != nil {
		return onDisk(err, "the mirror of %s", r.URL())
	}
	return nil
}

// writeWhole makes the file appear with all its content or not at all.
func writeWhole(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
