package source

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"time"
)

// copies keeps public files of other places in a folder, so that a pipeline
// compiles without a network. The zero value keeps nothing.
type copies struct{ dir string }

// kept is a file as it was fetched.
type kept struct {
	Name    string    `json:"name"` // what it is a copy of, for people
	ETag    string    `json:"etag,omitempty"`
	Checked time.Time `json:"checked"` // when its server last confirmed it
	Content []byte    `json:"content"`
	// Of a component: where it was found.
	Project string `json:"project,omitempty"`
	Ref     string `json:"ref,omitempty"`
	Path    string `json:"path,omitempty"`
	Version string `json:"version,omitempty"`
}

func (c copies) file(name string) string {
	sum := sha256.Sum256([]byte(name))
	return filepath.Join(c.dir, hex.EncodeToString(sum[:])+".json")
}

// get returns the copy of a file. A damaged copy is none.
func (c copies) get(name string) (kept, bool) {
	var k kept
	if c.dir == "" {
		return k, false
	}
	data, err := os.ReadFile(c.file(name))
	if err != nil || json.Unmarshal(data, &k) != nil || k.Name != name {
		return kept{}, false
	}
	return k, true
}

// put keeps a copy. It is for speed and for work without a network, so that a
// folder that cannot be written is not an error.
func (c copies) put(k kept) {
	if c.dir == "" {
		return
	}
	data, err := json.Marshal(k)
	if err != nil || os.MkdirAll(c.dir, 0o700) != nil {
		return
	}
	temp, err := os.CreateTemp(c.dir, "unfinished-*")
	if err != nil {
		return
	}
	_, err = temp.Write(data)
	if closed := temp.Close(); err != nil || closed != nil || os.Rename(temp.Name(), c.file(k.Name)) != nil {
		_ = os.Remove(temp.Name())
	}
}
