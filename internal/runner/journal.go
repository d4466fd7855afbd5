package runner

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"refline/internal/api"
)

// journal says how far an attempt is, for a runner that is started after this one
// was killed. It is a file in the attempt's folder that gets a line before each step;
// the last whole line counts.
type journal struct {
	Fence    int64          `json:"fence"`
	Run      int64          `json:"run"`
	Session  int64          `json:"session"`
	Phase    api.JobPhase   `json:"phase"`
	Executor string         `json:"executor,omitempty"` // what it may have made things in
	Result   *api.JobResult `json:"result,omitempty"`
	Cleared  bool           `json:"cleared,omitempty"`  // the log was emptied
	Launched bool           `json:"launched,omitempty"` // another process is to run it
}

const journalFile = "attempt.jsonl"

// write adds a line: an attempt has three, and three new files would cost more than
// all else that its runner does. The line need not be synced: a crash of the machine
// ends all that it could say. It starts with a line break, as the one before may have
// been cut by a full disk.
func (j *journal) write(dir string) error {
	text, err := json.Marshal(j)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, journalFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(slices.Concat([]byte("\n"), text, []byte("\n")))
	return errors.Join(err, f.Close())
}

// readJournal returns the last whole line of a journal.
func readJournal(path string) (j journal, ok bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return j, false
	}
	for line := range bytes.Lines(text) {
		var next journal
		if bytes.HasSuffix(line, []byte("\n")) && json.Unmarshal(line, &next) == nil {
			j, ok = next, true
		}
	}
	return j, ok
}

func writeJSON(path string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	temporary := path + ".new"
	if err := os.WriteFile(temporary, text, 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, path)
}

// readJournals reads what a runner left. A folder without a journal is of an attempt
// that had not been accepted.
func readJournals(parent string) ([]journal, error) {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []journal
	for _, e := range entries {
		j, ok := readJournal(filepath.Join(parent, e.Name(), journalFile))
		if !ok || strconv.FormatInt(j.Fence, 10) != e.Name() {
			if err := os.RemoveAll(filepath.Join(parent, e.Name())); err != nil {
				return nil, err
			}
			continue
		}
		list = append(list, j)
	}
	return list, nil
}

// sessionNote is the session that the runner has, for the next one in this folder.
type sessionNote struct {
	Server  string `json:"server"`
	Session int64  `json:"session"`
}

const sessionFile = "session.json"

func readSession(dir string) (n sessionNote) {
	text, err := os.ReadFile(filepath.Join(dir, sessionFile))
	if err != nil || json.Unmarshal(text, &n) != nil {
		return sessionNote{}
	}
	return n
}
