package secret

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"refline/internal/errs"
)

const (
	vaultHeader = `# Keys of a Refline server. They encrypt its variables and deploy keys; without this
# file those cannot be read. Keep a copy apart from the backups of the data.
`
	vaultLine    = "refline-vault-key-1 "
	maxVaultFile = 64 << 10
)

// OpenVault reads the key file at path. NotFound if there is none, Denied if
// others can read it, Invalid if it holds no key. Errors quote no key.
func OpenVault(path string) (*Vault, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errs.E(errs.NotFound, "there is no key file %s", path)
	case err != nil:
		return nil, errs.E(errs.Denied, "key file: %w", err)
	case !info.Mode().IsRegular() || info.Size() > maxVaultFile:
		return nil, errs.E(errs.Invalid, "key file %s: not a file of at most %d KiB", path, maxVaultFile>>10)
	}
	// A group may read it: that is how Kubernetes mounts secrets for a user.
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o037 != 0 {
		return nil, errs.E(errs.Denied, "key file %s: other users can use it (mode %04o): chmod 600 %s, or in Kubernetes defaultMode: 0440", path, mode, path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errs.E(errs.Denied, "key file: %w", err)
	}
	return parseVault(path, text)
}

func parseVault(path string, text []byte) (*Vault, error) {
	v := &Vault{}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		s := strings.TrimSpace(string(line))
		if s == "" || s[0] == '#' {
			continue
		}
		// The id before the key shows a key that is damaged.
		rest, ok := strings.CutPrefix(s, vaultLine)
		id, encoded, _ := strings.Cut(rest, " ")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || err != nil || len(key) != chacha20poly1305.KeySize || newVaultKey(key).id != id {
			return nil, errs.E(errs.Invalid, "key file %s: line %d is damaged; put the file back from its copy", path, number)
		}
		v.keys = append(v.keys, newVaultKey(key))
	}
	if len(v.keys) == 0 {
		return nil, errs.E(errs.Invalid, "key file %s holds no key; put the file back from its copy, or remove it if there is nothing encrypted yet", path)
	}
	return v, nil
}

func (v *Vault) text() []byte {
	var b bytes.Buffer
	b.WriteString(vaultHeader)
	for _, k := range v.keys {
		fmt.Fprintf(&b, "%s%s %s\n", vaultLine, k.id, base64.StdEncoding.EncodeToString(k.key))
	}
	return b.Bytes()
}

// CreateVault makes a key file with one key, for this user only. It is on disk
// when CreateVault returns. Conflict if there is a file.
func CreateVault(path string) (*Vault, error) {
	v := &Vault{keys: []vaultKey{randomVaultKey()}}
	err := v.write(path, func(from, to string) error {
		err := os.Link(from, to) // unlike a rename it never replaces a file
		if errors.Is(err, errors.ErrUnsupported) {
			if _, statErr := os.Lstat(to); errors.Is(statErr, fs.ErrNotExist) {
				return os.Rename(from, to)
			}
		}
		return err
	})
	if errors.Is(err, fs.ErrExist) {
		return nil, errs.E(errs.Conflict, "key file %s: another server made one at the same time; start again", path)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Rotate adds a key to the file, which encrypts from now on, and returns the
// vault with it. Values of the older keys stay readable.
func (v *Vault) Rotate(path string) (*Vault, error) {
	next := &Vault{keys: append(append([]vaultKey(nil), v.keys...), randomVaultKey())}
	if err := next.write(path, os.Rename); err != nil {
		return nil, err
	}
	return next, nil
}

// Retire removes all keys but the one that encrypts from the file. Nothing may be
// encrypted with the others any more.
func (v *Vault) Retire(path string) (*Vault, error) {
	next := &Vault{keys: v.keys[len(v.keys)-1:]}
	if err := next.write(path, os.Rename); err != nil {
		return nil, err
	}
	return next, nil
}

func randomVaultKey() vaultKey {
	key := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(key) // it never fails: crypto/rand ends the program instead
	return newVaultKey(key)
}

// write puts the keys into a new file beside path and moves it there.
func (v *Vault) write(path string, move func(from, to string) error) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return errs.E(errs.Unavailable, "folder of the key file: %w", err)
	}
	temp, err := os.CreateTemp(dir, "."+filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return errs.E(errs.Unavailable, "key file: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(v.text())
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = move(temp.Name(), path)
	}
	if err != nil {
		return errs.E(errs.Unavailable, "key file %s: %w", path, err)
	}
	// The name must be on disk before anything is encrypted with the key.
	if folder, err := os.Open(dir); err == nil {
		_ = folder.Sync() // some systems cannot sync a folder
		_ = folder.Close()
	}
	return nil
}
