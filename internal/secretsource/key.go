package secretsource

import (
	"fmt"
	"path/filepath"
	"strings"

	"refline/internal/credential"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/sshagent"
	"refline/internal/variable"
)

// Key says where one private key comes from and what it is for. One of the first
// four is set.
type Key struct {
	Kept string // its name in the store
	File string // "-" is standard input
	Env  string // a variable
	Text []byte // the key itself
	Name string // of the variable with its passphrase: NAME_PASSPHRASE
	Hosts
}

// Load reads the key, without its passphrase, and its hosts' keys.
func (s *Source) Load(from Key) (credential.Key, error) {
	var k credential.Key
	var err error
	pinned := false
	switch {
	case from.Kept != "":
		if k, err = s.keptKey(from.Kept); err != nil {
			return k, err
		}
		pinned = len(from.Names) == 0 && from.Known == ""
	case from.Text != nil:
		k.Text = from.Text
	default:
		if k.Text, err = s.KeyText(from.File, from.Env); err != nil {
			return k, err
		}
	}
	if k.Text, err = s.Unlock(k.Text, from.Name); err != nil || pinned {
		return k, err
	}
	k.Hosts = nil
	for _, h := range from.Names {
		k.Hosts = append(k.Hosts, h.String())
		if h.Path != "" {
			k.Repos = append(k.Repos, "ssh://"+h.String()+"/"+strings.TrimPrefix(h.Path, "/"))
		}
	}
	k.KnownHosts, err = s.HostKeys(from.Hosts)
	return k, err
}

func (s *Source) keptKey(name string) (credential.Key, error) {
	store, err := s.KeyStore()
	if err != nil {
		return credential.Key{}, err
	}
	about, err := FindKey(store, name)
	if err != nil {
		return credential.Key{}, err
	}
	k, err := store.Key(name)
	k.Hosts, k.Repos = about.Hosts, about.Repos
	return k, err
}

// KeyStore is where deploy keys are kept.
func (s *Source) KeyStore() (credential.Store, error) {
	dir, err := s.State()
	return credential.Store{Dir: filepath.Join(dir, "keys")}, err
}

// FindKey returns what is known of a kept key, or an error that suggests a name.
func FindKey(store credential.Store, name string) (*credential.DeployKey, error) {
	k, err := store.Get(name)
	if !errs.Is(err, errs.NotFound) {
		return k, err
	}
	keys, _ := store.List()
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.Name
	}
	near := diag.Nearest(name, names)
	if near != "" {
		near = fmt.Sprintf("; did you mean %q?", near)
	}
	return nil, errs.E(errs.NotFound, "no key %q is kept%s; all of them: refline key show", name, near)
}

// maxKeyFile bounds the text of a private key.
const maxKeyFile = 1 << 20

// KeyText reads the text of a private key from a file, or from variables if fromEnv
// is set.
func (s *Source) KeyText(file, fromEnv string) ([]byte, error) {
	switch {
	case fromEnv != "":
		return s.KeyFromEnv(fromEnv)
	case file == "-":
		return inputfile.ReadAll(s.Stdin, "standard input", maxKeyFile)
	case file != "":
		return inputfile.Read(s.path(file), file, maxKeyFile)
	}
	return nil, errs.Usage("no private key is named: --key-file FILE or --key-env VARIABLE")
}

// KeyFromEnv reads a key from a variable, or from the variables NAME_1, NAME_2, …
// that "key split" makes of it.
func (s *Source) KeyFromEnv(name string) ([]byte, error) {
	if !variable.ValidName(name) {
		return nil, errs.Usage("invalid variable name %q", name)
	}
	if s.Getenv(name) != "" {
		return s.FromEnv("variable", name)
	}
	lines, err := credential.JoinLines(s.Getenv, name)
	if lines == nil && err == nil {
		err = errs.E(errs.NotFound, "neither %s nor %s is set", name, credential.LineVariable(name, 1))
	}
	return lines, err
}

// Unlock returns a key without its passphrase, which it takes from a variable or
// asks for. name is the key's, "" if it has none.
func (s *Source) Unlock(text []byte, name string) ([]byte, error) {
	if !sshagent.Locked(text) {
		return text, nil
	}
	from := credential.KeyPassphrase
	if variable.ValidName(name) {
		from = credential.PassphraseVariable(name)
	}
	for _, v := range []string{from, credential.KeyPassphrase} {
		if passphrase := s.Getenv(v); passphrase != "" {
			key, err := sshagent.Unlock(text, []byte(passphrase))
			if err != nil {
				return nil, fmt.Errorf("variable %s: %w", v, err)
			}
			return key, nil
		}
	}
	if s.Hidden == nil {
		return nil, errs.E(errs.Denied, "ssh key: it is protected by a passphrase; give that in the variable %s", from)
	}
	passphrase, err := s.Hidden("passphrase of the key (not shown): ")
	if err != nil {
		return nil, err
	}
	return sshagent.Unlock(text, passphrase)
}
