package server

import (
	"context"
	"fmt"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
)

const (
	maxKeys       = 100 // of a project
	maxKnownHosts = 64 << 10
	maxKeyText    = 64 << 10
	maxAddresses  = 100 // of a key
)

// KeyInput describes a new deploy key. Without Text one is made.
type KeyInput struct {
	Name        string
	Type        string        // of a key that is made: ed25519 (or ""), ecdsa, rsa
	Text        *secret.Value // of a key that exists: without a passphrase
	Write       bool
	Protected   *bool  // nil: a key that can push is
	Environment string // "": all
	Repos       []string
	Hosts       []string
	KnownHosts  string // a known_hosts file with the keys of all hosts
}

// NewKey makes or takes a deploy key of a project, 0 for one of the server. The
// private half never leaves by the API: jobs and checkouts use it through an agent.
func (a *Access) NewKey(ctx context.Context, actor Actor, project int64, in KeyInput) (store.Key, error) {
	k, text, err := in.key()
	if err != nil {
		return k, err
	}
	list, err := a.store.Keys(ctx, project)
	if err != nil {
		return k, err
	}
	if len(list) >= maxKeys {
		return k, errs.E(errs.Conflict, "there are %d keys already, the most there can be; remove some", len(list))
	}
	for _, have := range list {
		if have.Name == k.Name {
			return k, errs.E(errs.Conflict, "there is a key %s already; to remove it: refline key rm %s --server", k.Name, k.Name)
		}
	}
	ids, err := a.store.NewIDs(ctx, "key", 1)
	if err != nil {
		return k, err
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	err = a.change(ctx, func(tx *store.Tx, t *trail) error {
		k.ID, k.Project, k.Version, k.Created = ids[0], project, 1, t.now
		if k.Sealed, err = a.vault.Seal(k.Place(), text); err != nil {
			return err
		}
		t.add(actor, "key.create", project, "key "+k.Name, keyDetail(k))
		return tx.PutKey(ctx, k)
	})
	return k, err
}

// key checks the input and returns the row with the public half, and the private half.
func (in KeyInput) key() (store.Key, secret.Value, error) {
	k := store.Key{Name: in.Name, Write: in.Write, Protected: in.Write, Environment: in.Environment, Repos: in.Repos}
	if in.Protected != nil {
		k.Protected = *in.Protected
	}
	if k.Environment == "" {
		k.Environment = secret.AnyEnvironment
	}
	if !credential.ValidKeyName(k.Name) || len(k.Name) > 100 {
		return k, secret.Value{}, errs.E(errs.Invalid, "invalid key name %q: use letters, digits, dot, dash and underscore", k.Name)
	}
	// The scope of a key follows the rules of that of a variable.
	if err := (secret.Variable{Name: "KEY", Environment: k.Environment}).Check(); err != nil {
		return k, secret.Value{}, errs.E(errs.Invalid, "key %s: invalid environment scope %q", k.Name, k.Environment)
	}
	if err := in.pinHosts(&k); err != nil {
		return k, secret.Value{}, err
	}
	text, err := in.text()
	if err != nil {
		return k, secret.Value{}, fmt.Errorf("key %s: %w", k.Name, err)
	}
	var d credential.DeployKey
	if err := d.SetPublic(text.Reveal()); err != nil {
		return k, secret.Value{}, fmt.Errorf("key %s: %w", k.Name, err)
	}
	k.Public, k.Fingerprint = d.Public, d.Fingerprint
	return k, text, nil
}

// pinHosts keeps the lines of known_hosts of the key's hosts.
func (in KeyInput) pinHosts(k *store.Key) error {
	if len(in.Repos)+len(in.Hosts) > maxAddresses || len(in.KnownHosts) > maxKnownHosts {
		return errs.E(errs.Invalid, "key %s: at most %d repositories and hosts, and %d KiB of known hosts", k.Name, maxAddresses, maxKnownHosts>>10)
	}
	var hosts []credential.Host
	var d credential.DeployKey
	for _, address := range append(append([]string(nil), in.Hosts...), in.Repos...) {
		h, err := credential.ParseHost(address)
		if err != nil {
			return fmt.Errorf("key %s: %w", k.Name, err)
		}
		hosts = append(hosts, h)
		d.AddHost(h)
	}
	if len(hosts) == 0 {
		return errs.E(errs.Invalid, "key %s: say which repository or host it is for", k.Name)
	}
	lines, missing := credential.SelectHosts([]byte(in.KnownHosts), hosts)
	if missing != nil {
		return fmt.Errorf("key %s: %w", k.Name, credential.UnknownHostError(*missing, "the known hosts that were sent"))
	}
	k.Hosts, k.KnownHosts = d.Hosts, string(lines)
	return nil
}

func (in KeyInput) text() (secret.Value, error) {
	if in.Text != nil {
		if in.Text.Len() > maxKeyText {
			return secret.Value{}, errs.E(errs.Invalid, "a private key has at most %d KiB", maxKeyText>>10)
		}
		return *in.Text, nil
	}
	kind := in.Type
	if kind == "" {
		kind = "ed25519"
	}
	text, err := credential.GenerateKey(kind, in.Name+"@refline")
	return secret.New(text), err
}

// Keys returns the keys of a project, 0 for those of the server, without their
// private halves.
func (a *Access) Keys(ctx context.Context, project int64) ([]store.Key, error) {
	return a.store.Keys(ctx, project)
}

// RemoveKey removes a deploy key.
func (a *Access) RemoveKey(ctx context.Context, actor Actor, project int64, name string) error {
	k, err := a.key(ctx, name, project)
	if err != nil {
		return err
	}
	return a.change(ctx, func(tx *store.Tx, t *trail) error {
		t.add(actor, "key.remove", project, "key "+name, k.Fingerprint)
		return tx.RemoveKey(ctx, k.ID)
	})
}

// key finds a key by its name in the first of the projects that has it.
func (a *Access) key(ctx context.Context, name string, projects ...int64) (store.Key, error) {
	list, err := a.store.Keys(ctx, projects...)
	if err != nil {
		return store.Key{}, err
	}
	for _, project := range projects {
		for _, k := range list {
			if k.Name == name && k.Project == project {
				return k, nil
			}
		}
	}
	return store.Key{}, errs.E(errs.NotFound, "there is no key %q; list them: refline key show --server", name)
}

// KeyAdvice says where the public half of a key goes: the page of the forge if the
// repository's address shows it, and what to tick there.
func KeyAdvice(k store.Key) (page, advice string) {
	for _, repo := range k.Repos {
		if page = credential.GitLabPage(repo); page != "" {
			break
		}
	}
	if k.Write {
		return page, "add the public half as a deploy key of the repository and allow it to write (GitLab: Grant write permissions; GitHub, Gitea: Allow write access)"
	}
	return page, "add the public half as a deploy key of the repository; it needs no right to write"
}

func keyDetail(k store.Key) string {
	words := []string{k.Fingerprint}
	if k.Write {
		words = append(words, "can push")
	}
	if k.Protected {
		words = append(words, "protected")
	}
	return joinWords(words)
}
