package credential

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
	"refline/internal/sshagent"
)

// DeployKey describes a stored key.
type DeployKey struct {
	Name        string   `json:"name"`
	Write       bool     `json:"write"`
	Repos       []string `json:"repos,omitempty"`
	Hosts       []string `json:"hosts"` // host or host:port
	Public      string   `json:"public"`
	Fingerprint string   `json:"fingerprint"`
}

// AddHost adds a host once.
func (k *DeployKey) AddHost(h Host) {
	if s := h.String(); !slices.Contains(k.Hosts, s) {
		k.Hosts = append(k.Hosts, s)
	}
}

// SetPublic fills in the public half and the fingerprint of a private key.
func (k *DeployKey) SetPublic(private []byte) error {
	signer, err := sshagent.ParseKey(private)
	if err != nil {
		return err
	}
	comment := ""
	if file, err := sshagent.ReadKeyFile(private); err == nil && file.Comment != "" {
		comment = " " + strings.Join(strings.Fields(file.Comment), " ")
	}
	k.Public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + comment
	k.Fingerprint = ssh.FingerprintSHA256(signer.PublicKey())
	return nil
}

// Access returns "read" or "read and write".
func (k *DeployKey) Access() string {
	if k.Write {
		return "read and write"
	}
	return "read"
}

// GitLabPage returns GitLab's page of a repository's deploy keys; "" if the
// repository's address has no path. A wiki takes the keys of its project.
func GitLabPage(repo string) string {
	h, err := ParseHost(repo)
	if err != nil || h.Path == "" {
		return ""
	}
	path := strings.TrimSuffix(strings.TrimSuffix(strings.Trim(h.Path, "/"), ".git"), ".wiki")
	u := url.URL{Scheme: "https", Host: h.Name, Path: "/" + path + "/-/settings/repository", Fragment: "js-deploy-keys-settings"}
	return u.String()
}

// Store is a folder of deploy keys. Each key is a folder with key.json (a
// [DeployKey]), key (the private key) and known_hosts, readable by its owner
// alone.
type Store struct{ Dir string }

func (s Store) keyDir(name string) string { return filepath.Join(s.Dir, name) }

// ValidKeyName reports whether s can name a key: letters, digits, dot, dash and
// underscore, with a letter, a digit or an underscore first.
func ValidKeyName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", rune(c)) {
			return false
		}
	}
	return s != "" && s[0] != '.' && s[0] != '-'
}

// Has reports whether there is a key of this name.
func (s Store) Has(name string) bool {
	if !ValidKeyName(name) {
		return false
	}
	_, err := os.Stat(s.keyDir(name))
	return err == nil
}

// Add stores a new key whole or not at all. It fills in the public half and
// the fingerprint.
func (s Store) Add(k *DeployKey, key Key) error {
	if err := k.SetPublic(key.Text); err != nil {
		return err
	}
	record, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return errs.E(errs.Denied, "folder of deploy keys: %w", err)
	}
	tmp, err := os.MkdirTemp(s.Dir, ".new-")
	if err != nil {
		return errs.E(errs.Denied, "folder of deploy keys: %w", err)
	}
	defer os.RemoveAll(tmp)
	for name, data := range map[string][]byte{"key": key.Text, "known_hosts": key.KnownHosts, "key.json": append(record, '\n')} {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o600); err != nil {
			return errs.E(errs.Unavailable, "store key %s: %w", k.Name, err)
		}
	}
	if err := os.Rename(tmp, s.keyDir(k.Name)); err != nil {
		return errs.E(errs.Conflict, "store key %s: %w", k.Name, err)
	}
	return nil
}

// Get returns what is known of a key; errs.NotFound if there is none.
func (s Store) Get(name string) (*DeployKey, error) {
	if !ValidKeyName(name) {
		return nil, errs.E(errs.NotFound, "no key %q is stored", name)
	}
	file := filepath.Join(s.keyDir(name), "key.json")
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, errs.E(errs.NotFound, "no key %q is stored", name)
	case err != nil:
		return nil, errs.E(errs.Denied, "key %s: %w", name, err)
	}
	k := &DeployKey{}
	if err := json.Unmarshal(data, k); err != nil {
		return nil, errs.E(errs.Invalid, "%s: %w", file, err)
	}
	return k, nil
}

// Key returns the private key and its pinned hosts.
func (s Store) Key(name string) (Key, error) {
	if _, err := s.Get(name); err != nil {
		return Key{}, err
	}
	text, err := os.ReadFile(filepath.Join(s.keyDir(name), "key"))
	if err != nil {
		return Key{}, errs.E(errs.Denied, "key %s: %w", name, err)
	}
	pinned, err := os.ReadFile(filepath.Join(s.keyDir(name), "known_hosts"))
	if err != nil {
		return Key{}, errs.E(errs.Denied, "known hosts of key %s: %w", name, err)
	}
	return Key{Text: text, KnownHosts: pinned}, nil
}

// List returns all keys by name.
func (s Store) List() ([]*DeployKey, error) {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errs.E(errs.Denied, "folder of deploy keys: %w", err)
	}
	keys := []*DeployKey{}
	for _, entry := range entries {
		if !entry.IsDir() || !ValidKeyName(entry.Name()) {
			continue
		}
		k, err := s.Get(entry.Name())
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// Remove deletes a key from the store.
func (s Store) Remove(name string) error {
	if _, err := s.Get(name); err != nil {
		return err
	}
	if err := os.RemoveAll(s.keyDir(name)); err != nil {
		return errs.E(errs.Denied, "remove key %s: %w", name, err)
	}
	return nil
}
