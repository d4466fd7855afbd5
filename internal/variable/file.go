// Package variable keeps the variables of a project: files of variables on
// this computer, what is read from dotenv files and exports, and what moves
// from and to a project of GitLab.
//
// It knows no flags and no configuration: paths, keys and the identity of a
// project are arguments. Values are never part of a message.
package variable

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"refline/internal/errs"
	"refline/internal/secret"
)

// File is a file of variables on this computer.
type File struct {
	*secret.File
	Path string // "" if there is none yet
}

// ProjectPath returns the path of a project's own file below a state folder.
// project identifies it: the same for every clone of a repository.
func ProjectPath(state, project string) string {
	sum := sha256.Sum256([]byte(project))
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r < 0x80 && ValidName("x"+string(r)) {
			return r
		}
		return '-'
	}, filepath.Base(project))
	return filepath.Join(state, folder, name+"-"+hex.EncodeToString(sum[:6])+".yml")
}

const folder = "variables"

// AnyProject reports whether any project has a file below a state folder.
func AnyProject(state string) bool {
	_, err := os.Stat(filepath.Join(state, folder))
	return err == nil
}

// Open reads a file of variables. If it does not exist, the error is
// errs.NotFound, or with mayBeNew the file is empty.
func Open(path string, keys secret.Identities, mayBeNew bool) (*File, error) {
	f, err := secret.Open(path, keys)
	if mayBeNew && errs.Is(err, errs.NotFound) {
		return &File{File: &secret.File{}, Path: path}, nil
	}
	if err != nil {
		return nil, err
	}
	return &File{File: f, Path: path}, nil
}

// Write saves the file, in a folder that only this user can read if it is new.
func (f *File) Write() error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o700); err != nil {
		return errs.E(errs.Denied, "folder of variables: %w", err)
	}
	return f.Save(f.Path)
}

// Index returns the position of the variable with the name and the scope of x,
// -1 if there is none.
func (f *File) Index(x secret.Variable) int {
	return slices.IndexFunc(f.Variables, func(have secret.Variable) bool { return sameID(have, x) })
}

func sameID(a, b secret.Variable) bool { return a.Name == b.Name && a.Environment == b.Environment }

// Identities reads this user's key for encrypted files; none if there is no
// such file.
func Identities(path string) (secret.Identities, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return secret.Identities{}, nil
	}
	if err != nil {
		return secret.Identities{}, errs.E(errs.Denied, "key for variables: %w", err)
	}
	return secret.ParseIdentities(text)
}

// OwnRecipient returns the public half of this user's key, which it makes at
// first use.
func OwnRecipient(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if r, ok := strings.CutPrefix(strings.TrimSpace(line), "# public key: "); ok {
				return r, nil
			}
		}
		return "", errs.E(errs.Invalid, "%s: it has no line \"# public key: age1…\"", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", errs.E(errs.Denied, "key for variables: %w", err)
	}
	key, recipient, err := secret.NewIdentity()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", errs.E(errs.Denied, "folder for the key for variables: %w", err)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", errs.E(errs.Conflict, "key for variables: %w", err)
	}
	_, err = f.Write(key.Reveal())
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errs.E(errs.Unavailable, "key for variables: %w", err)
	}
	return recipient, nil
}
