package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
	"refline/internal/sshagent"
)

// deployKey is a kept key: a folder of the store with key.json (this), key,
// and known_hosts.
type deployKey struct {
	Name        string   `json:"name"`
	Write       bool     `json:"write"`
	Repos       []string `json:"repos,omitempty"`
	Hosts       []string `json:"hosts"` // host or host:port
	Public      string   `json:"public"`
	Fingerprint string   `json:"fingerprint"`
}

func (k *deployKey) addHost(h sshHost) {
	if s := h.String(); !slices.Contains(k.Hosts, s) {
		k.Hosts = append(k.Hosts, s)
	}
}

func (k *deployKey) access() string {
	if k.Write {
		return "read and write"
	}
	return "read"
}

// show prints what the owner of a repository needs.
func (k *deployKey) show(e *env) {
	fmt.Fprintf(e.stdout, "%s\n", k.Public)
	e.notef("%s: %s, %s, for %s", k.Name, k.Fingerprint, k.access(), strings.Join(k.Hosts, ", "))
	e.notef("paste the line above where deploy keys are kept:")
	places := []string{"GitLab: project › Settings › Repository › Deploy keys", "GitHub: repository › Settings › Deploy keys",
		"Gitea, Forgejo: repository › Settings › Deploy keys"}
	ticks := []string{"Grant write permissions to this key", "Allow write access", "Enable write access"}
	for i, p := range places {
		if k.Write {
			p += ", tick \"" + ticks[i] + "\""
		}
		e.notef("  %s", p)
	}
	for _, r := range k.Repos {
		if page := deployKeyPage(r); page != "" {
			e.notef("for %s on GitLab: %s", r, page)
		}
	}
	e.notef("then: refline run --deploy-key %s, or refline agent --key %s -- git clone …", k.Name, k.Name)
}

// deployKeyPage is GitLab's page of a repository's deploy keys. A wiki takes
// those of its project.
func deployKeyPage(repo string) string {
	h, err := parseHost(repo)
	if err != nil || h.path == "" {
		return ""
	}
	path := strings.TrimSuffix(strings.TrimSuffix(strings.Trim(h.path, "/"), ".git"), ".wiki")
	u := url.URL{Scheme: "https", Host: h.name, Path: "/" + path + "/-/settings/repository", Fragment: "js-deploy-keys-settings"}
	return u.String()
}

// keyStore is the folder with the kept keys.
type keyStore struct{ dir string }

func openKeyStore(e *env) (*keyStore, error) {
	dir, err := e.stateDir()
	return &keyStore{filepath.Join(dir, "keys")}, err
}

func (s *keyStore) folder(name string) string { return filepath.Join(s.dir, name) }

func keyName(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && !strings.ContainsRune("._-", rune(c)) {
			return false
		}
	}
	return s != "" && s[0] != '.' && s[0] != '-'
}

// keep writes a new key whole or not at all, and shows it.
func (s *keyStore) keep(e *env, k *deployKey, text, pinned []byte) error {
	signer, err := sshagent.ParseKey(text)
	if err != nil {
		return err
	}
	comment := ""
	if file, err := sshagent.ReadKeyFile(text); err == nil && file.Comment != "" {
		comment = " " + strings.Join(strings.Fields(file.Comment), " ")
	}
	k.Public = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))) + comment
	k.Fingerprint = ssh.FingerprintSHA256(signer.PublicKey())
	record, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return errs.E(errs.Denied, "%s: %w", s.dir, unwrapPath(err))
	}
	tmp, err := os.MkdirTemp(s.dir, ".new-")
	if err != nil {
		return errs.E(errs.Denied, "%s: %w", s.dir, unwrapPath(err))
	}
	defer os.RemoveAll(tmp)
	for name, data := range map[string][]byte{"key": text, "known_hosts": pinned, "key.json": append(record, '\n')} {
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o600); err != nil {
			return errs.E(errs.Unavailable, "%s: %w", s.dir, unwrapPath(err))
		}
	}
	if err := os.Rename(tmp, s.folder(k.Name)); err != nil {
		return errs.E(errs.Conflict, "key %s: %w", k.Name, err)
	}
	k.show(e)
	return nil
}

func (s *keyStore) get(name string) (*deployKey, error) {
	if keyName(name) {
		data, err := os.ReadFile(filepath.Join(s.folder(name), "key.json"))
		if err == nil {
			k := &deployKey{}
			if err := json.Unmarshal(data, k); err != nil {
				return nil, errs.E(errs.Invalid, "%s: %w", filepath.Join(s.folder(name), "key.json"), err)
			}
			return k, nil
		}
		if !os.IsNotExist(err) {
			return nil, errs.E(errs.Denied, "key %s: %w", name, unwrapPath(err))
		}
	}
	keys, _ := s.list()
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	return nil, errs.E(errs.NotFound, "no key %q is kept%s; all of them: refline key show", name, didYouMean(name, names))
}

// read gives the private key and the pinned hosts.
func (s *keyStore) read(name string) (key, pinned []byte, err error) {
	if _, err = s.get(name); err != nil {
		return nil, nil, err
	}
	if key, err = os.ReadFile(filepath.Join(s.folder(name), "key")); err != nil {
		return nil, nil, errs.E(errs.Denied, "key %s: %w", name, unwrapPath(err))
	}
	if pinned, err = os.ReadFile(filepath.Join(s.folder(name), "known_hosts")); err != nil {
		return nil, nil, errs.E(errs.Denied, "known hosts of key %s: %w", name, unwrapPath(err))
	}
	return key, pinned, nil
}

func (s *keyStore) list() ([]*deployKey, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, errs.E(errs.Denied, "%s: %w", s.dir, unwrapPath(err))
	}
	keys := []*deployKey{}
	for _, entry := range entries {
		if !entry.IsDir() || !keyName(entry.Name()) {
			continue
		}
		k, err := s.get(entry.Name())
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}
