package variable

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/secret"
)

// Edit lets an editor change the variables as YAML, in a file that only this user
// can read, in memory if the system has such a folder. If the edited text cannot be
// used, again says whether to edit once more; else nothing is changed.
func (f *File) Edit(edit func(path string) error, check func(secret.Variable) error, again func(error) bool) error {
	dir, err := os.MkdirTemp(memoryFolder(), "refline-edit-")
	if err != nil {
		return errs.E(errs.Unavailable, "folder for the editor: %w", err)
	}
	defer os.RemoveAll(dir)
	text, err := f.Plain()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "variables.yml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return errs.E(errs.Unavailable, "file for the editor: %w", err)
	}
	for {
		if err := edit(path); err != nil {
			return err
		}
		edited, err := os.ReadFile(path)
		if err != nil {
			return errs.E(errs.NotFound, "the editor left no file: %w", inputfile.Pathless(err))
		}
		changed, err := checkEdited(edited, check)
		if err == nil {
			f.File = changed
			return nil
		}
		if !again(err) {
			return fmt.Errorf("nothing is changed: %w", err)
		}
	}
}

func checkEdited(text []byte, check func(secret.Variable) error) (*secret.File, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errs.E(errs.Invalid, "the text is empty; to have no variables write: variables: []")
	}
	f, err := secret.Parse("variables.yml", text)
	if err != nil {
		return nil, err
	}
	var bad []error
	for _, x := range f.Variables {
		if x.Masked {
			bad = append(bad, check(x))
		}
	}
	return f, errors.Join(bad...)
}

// memoryFolder is a folder that is on no disk; "" if there is none.
func memoryFolder() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}
