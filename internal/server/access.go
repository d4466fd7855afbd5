package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
)

// Access keeps what is secret: variables, deploy keys and tokens. Its methods take
// and return values; who may call them is decided by the routes. Every change and
// every value that leaves is in the audit. It is safe for use by several goroutines.
type Access struct {
	store *store.Store
	now   func() time.Time
	data  string
	path  string // of the key file
	auth  *authenticator

	mu    sync.RWMutex
	vault *secret.Vault
}

// AccessOptions say where the secrets of a server are.
type AccessOptions struct {
	Data    string // folder of the owner's token and, by default, of the key file
	KeyFile string // "": secret-keys in Data
	Now     func() time.Time
	Log     *slog.Logger
}

// OpenAccess opens the key file, or makes it at the first start. Denied if there
// are encrypted values and the file is missing or another one.
func OpenAccess(ctx context.Context, s *store.Store, o AccessOptions) (*Access, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Access{store: s, now: o.Now, data: o.Data, path: keyFile(o.Data, o.KeyFile), auth: newAuthenticator(s, o.Now)}
	if err := a.openVault(ctx, o.Log); err != nil {
		return nil, err
	}
	return a, nil
}

// Maintain writes when tokens were used and removes dead ones, until ctx is done.
func (a *Access) Maintain(ctx context.Context) { a.auth.maintain(ctx) }

func (a *Access) keys() *secret.Vault {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.vault
}

// change is a transaction whose events are in the audit if it succeeds.
func (a *Access) change(ctx context.Context, f func(*store.Tx, *trail) error) error {
	ids, err := a.store.NewIDs(ctx, "audit", 1)
	if err != nil {
		return err
	}
	return a.store.Update(ctx, func(tx *store.Tx) error {
		t := &trail{now: a.now(), id: ids[0]}
		if err := f(tx, t); err != nil {
			return err
		}
		if t.event == nil {
			return nil
		}
		return tx.Audit(ctx, *t.event)
	})
}

// trail collects the event of a change.
type trail struct {
	now   time.Time
	id    int64
	event *store.AuditEvent
}

func (t *trail) add(actor Actor, action string, project int64, object, detail string) {
	t.event = &store.AuditEvent{ID: t.id, At: t.now, Actor: actor.String(), Action: action, Project: project, Object: object, Detail: detail}
}

// Audit returns n events before an id, newest first; see [store.Store.AuditEvents].
func (a *Access) Audit(ctx context.Context, actor Actor, before int64, n int) ([]store.AuditEvent, error) {
	return a.store.AuditEvents(ctx, actor.Project, before, n)
}

// openVault opens or makes the key file and checks that it is the database's.
func (a *Access) openVault(ctx context.Context, log *slog.Logger) error {
	announced, used, err := a.store.VaultKeys(ctx)
	if err != nil {
		return err
	}
	needed := used
	if a.store.Shared() { // another server may encrypt with a key at any time
		needed = append(slices.Clone(used), announced...)
	}
	v, err := secret.OpenVault(a.path)
	if errs.Is(err, errs.NotFound) {
		if len(needed) > 0 {
			return a.lostKeys(fmt.Sprintf("the key file %s is missing", a.path), needed)
		}
		if v, err = secret.CreateVault(a.path); err == nil {
			log.Info("made a key file; keep a copy apart from the backups of the data", "file", a.path, "key", v.Key())
		}
	}
	if err != nil {
		return err
	}
	if missing := v.Missing(needed); len(missing) > 0 {
		return a.lostKeys(fmt.Sprintf("the key file %s is not that of this database: it holds %s", a.path, joinWords(v.Keys())), missing)
	}
	err = a.store.Update(ctx, func(tx *store.Tx) error { return tx.PutVaultKeys(ctx, v.Keys(), a.now()) })
	if err != nil {
		return err
	}
	// Another server that started at the same time has announced its own.
	if announced, _, err = a.store.VaultKeys(ctx); err != nil {
		return err
	}
	if missing := v.Missing(announced); a.store.Shared() && len(missing) > 0 {
		return a.lostKeys(fmt.Sprintf("another server of this database has other keys than the key file %s", a.path), missing)
	}
	a.vault = v
	return nil
}

// lostKeys says that the server cannot start, and the ways out.
func (a *Access) lostKeys(what string, missing []string) error {
	return errs.E(errs.Denied, "%s, and the database needs key %s: put the file back from its copy, or take that of another server of the database, or set REFLINE_KEY_FILE to where it is; "+
		"if it is lost, refline server key forget %s removes the values that nobody can read any more", what, joinWords(missing), missing[0])
}

func joinWords(list []string) string {
	text := ""
	for i, s := range slices.Compact(slices.Sorted(slices.Values(list))) {
		if i > 0 {
			text += ", "
		}
		text += s
	}
	return text
}

// ForgetKey removes a lost key and all values that only it can decrypt, from the
// database of a server that does not start without it. Conflict if the server runs
// or if its key file has the key: then nothing is lost.
func ForgetKey(ctx context.Context, o Options, key string) (lost int64, err error) {
	s := &Server{options: o}
	unlock, err := Lock(o.Data)
	if err != nil {
		return 0, err
	}
	defer unlock()
	v, err := secret.OpenVault(keyFile(o.Data, o.KeyFile))
	if err != nil && !errs.Is(err, errs.NotFound) {
		return 0, err
	}
	if err == nil && len(v.Missing([]string{key})) == 0 {
		return 0, errs.E(errs.Conflict, "the key file %s has key %s, so nothing is lost; nothing was removed", keyFile(o.Data, o.KeyFile), key)
	}
	if s.store, err = store.Open(ctx, Database(o)); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.store.Close()) }()
	announced, used, err := s.store.VaultKeys(ctx)
	if err != nil {
		return 0, err
	}
	if !slices.Contains(announced, key) && !slices.Contains(used, key) {
		return 0, errs.E(errs.NotFound, "the database has no key %q; it has %s", key, joinWords(append(used, announced...)))
	}
	a := &Access{store: s.store, now: time.Now}
	err = a.change(ctx, func(tx *store.Tx, t *trail) error {
		if lost, err = tx.ForgetVaultKey(ctx, key); err != nil {
			return err
		}
		t.add(System("owner of the data folder"), "vault.forget", 0, "key "+key, fmt.Sprintf("%d values removed", lost))
		return nil
	})
	return lost, err
}

// keyFile is the path of the key file.
func keyFile(data, file string) string {
	if file == "" {
		return filepath.Join(data, "secret-keys")
	}
	return file
}

// rotateBatch is how many values a transaction encrypts again.
const rotateBatch = 100

// RotateKeys makes a new key and encrypts everything with it. It can be repeated
// if it was interrupted. The older keys stay in the file until [Access.RetireKeys].
// Other servers of the database must be stopped and given the new file.
func (a *Access) RotateKeys(ctx context.Context, actor Actor) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	next, err := a.vault.Rotate(a.path)
	if err != nil {
		return err
	}
	a.vault = next
	err = a.change(ctx, func(tx *store.Tx, t *trail) error {
		t.add(actor, "vault.rotate", 0, "key "+next.Key(), "")
		return tx.PutVaultKeys(ctx, next.Keys(), a.now())
	})
	for more := true; more && err == nil; {
		err = a.store.Update(ctx, func(tx *store.Tx) (err error) {
			more, err = resealSome(ctx, tx, next)
			return err
		})
	}
	return err
}

// RetireKeys removes all keys but the newest from the file. Conflict if something
// is encrypted with another one.
func (a *Access) RetireKeys(ctx context.Context, actor Actor) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.change(ctx, func(tx *store.Tx, t *trail) error {
		t.add(actor, "vault.retire", 0, "all keys but "+a.vault.Key(), "")
		return tx.DropVaultKeys(ctx, a.vault.Key())
	})
	if err != nil {
		return err
	}
	next, err := a.vault.Retire(a.path)
	if err != nil {
		return err
	}
	a.vault = next
	return nil
}

// resealSome encrypts some values of older keys again, and reports whether there
// may be more.
func resealSome(ctx context.Context, tx *store.Tx, v *secret.Vault) (more bool, err error) {
	variables, err := tx.LockVariables(ctx, v.Key(), rotateBatch)
	if err != nil {
		return false, err
	}
	for _, x := range variables {
		if x.Sealed, err = reseal(v, x.Place(), x.Sealed); err != nil {
			return false, err
		}
		if err := tx.PutVariable(ctx, x); err != nil {
			return false, err
		}
	}
	keys, err := tx.LockKeys(ctx, v.Key(), rotateBatch)
	if err != nil {
		return false, err
	}
	for _, k := range keys {
		if k.Sealed, err = reseal(v, k.Place(), k.Sealed); err != nil {
			return false, err
		}
		if err := tx.PutKey(ctx, k); err != nil {
			return false, err
		}
	}
	hooks, err := resealHooks(ctx, tx, v)
	return hooks || len(variables) == rotateBatch || len(keys) == rotateBatch, err
}

// resealHooks is resealSome for the secrets of webhooks and notifications.
func resealHooks(ctx context.Context, tx *store.Tx, v *secret.Vault) (more bool, err error) {
	triggers, err := tx.LockTriggers(ctx, v.Key(), rotateBatch)
	if err != nil {
		return false, err
	}
	for _, g := range triggers {
		if g.Secret, err = reseal(v, g.Place(), g.Secret); err != nil {
			return false, err
		}
		if len(g.Previous.Data) > 0 {
			if g.Previous, err = reseal(v, g.PreviousPlace(), g.Previous); err != nil {
				return false, err
			}
		}
		if err := tx.PutTrigger(ctx, g); err != nil {
			return false, err
		}
	}
	rules, err := tx.LockNotifyRules(ctx, v.Key(), rotateBatch)
	if err != nil {
		return false, err
	}
	for _, r := range rules {
		if r.Sealed, err = reseal(v, r.Place(), r.Sealed); err != nil {
			return false, err
		}
		if err := tx.PutNotifyRule(ctx, r); err != nil {
			return false, err
		}
	}
	return len(triggers) == rotateBatch || len(rules) == rotateBatch, nil
}

func reseal(v *secret.Vault, p secret.Place, s secret.Sealed) (secret.Sealed, error) {
	value, err := v.Open(p, s)
	if err != nil {
		return s, err
	}
	return v.Seal(p, value)
}
