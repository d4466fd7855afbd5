package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
	"unicode/utf8"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
)

// TokenInput describes a new token for a program or a runner.
type TokenInput struct {
	Name    string
	Scopes  []string      // of a program's token
	Project int64         // 0: all projects
	Life    time.Duration // 0: it does not expire; of a program's token at most a year

	Runner    bool     // a runner's token instead of a program's
	Tags      []string // that the runner may offer
	Protected bool     // the runner takes jobs of protected refs only
}

const (
	maxTokenLife = 366 * 24 * time.Hour
	linkLife     = 10 * time.Minute
	sessionLife  = 7 * 24 * time.Hour
)

func (in TokenInput) check() error {
	if n := utf8.RuneCountInString(in.Name); n == 0 || n > 100 || !utf8.ValidString(in.Name) || strings.ContainsFunc(in.Name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return errs.E(errs.Invalid, "a token needs a name of at most 100 characters that says where it is used, such as \"nightly report\"")
	}
	switch {
	case in.Life < 0:
		return errs.E(errs.Invalid, "the life of a token is negative")
	case in.Runner && len(in.Scopes) > 0:
		return errs.E(errs.Invalid, "a runner's token has no scopes: it is for the runner protocol only")
	case in.Runner && in.Project != 0:
		return errs.E(errs.Invalid, "a runner's token is not bound to a project; its tags say which jobs it takes")
	case in.Runner:
		return checkTags(in.Tags)
	case len(in.Tags) > 0 || in.Protected:
		return errs.E(errs.Invalid, "tags and protected are for runners' tokens")
	case len(in.Scopes) == 0:
		return errs.E(errs.Invalid, "a token needs a scope: some of %s", joinActions(scopes()))
	case in.Life == 0 || in.Life > maxTokenLife:
		return errs.E(errs.Invalid, "a token for programs expires after at most a year: say after how long")
	}
	_, err := parseScopes(in.Scopes)
	return err
}

func checkTags(tags []string) error {
	if len(tags) > 100 {
		return errs.E(errs.Invalid, "a runner has at most 100 tags, this one %d", len(tags))
	}
	for _, tag := range tags {
		if tag == "" || len(tag) > 255 || strings.ContainsFunc(tag, func(r rune) bool { return r < ' ' || r == 0x7f || r == ',' }) {
			return errs.E(errs.Invalid, "invalid tag %q: 1 to 255 characters without commas and control characters", tag)
		}
	}
	return nil
}

// NewToken makes a token for a program or a runner. Its text is given once.
func (a *Access) NewToken(ctx context.Context, actor Actor, in TokenInput) (secret.Value, store.Token, error) {
	if err := in.check(); err != nil {
		return secret.Value{}, store.Token{}, err
	}
	t := store.Token{Kind: store.TokenAPI, Name: in.Name, Project: in.Project, Tags: in.Tags, Protected: in.Protected}
	if in.Runner {
		t.Kind = store.TokenRunner
	}
	list, err := parseScopes(in.Scopes)
	if err != nil {
		return secret.Value{}, t, err
	}
	for _, s := range list {
		if !actor.may(s) {
			return secret.Value{}, t, errs.E(errs.Denied, "%s cannot give scope %s, which it does not have", actor, s)
		}
		t.Scopes = append(t.Scopes, string(s))
	}
	if actor.Project != 0 && in.Project != actor.Project {
		return secret.Value{}, t, errs.E(errs.Denied, "%s can make tokens for its own project only", actor)
	}
	if in.Life > 0 {
		t.Expires = a.now().Add(in.Life)
	}
	return a.addToken(ctx, actor, t, true)
}

// addToken makes a token; an audited one leaves an event.
func (a *Access) addToken(ctx context.Context, actor Actor, t store.Token, audited bool) (secret.Value, store.Token, error) {
	ids, err := a.store.NewIDs(ctx, "token", 1)
	if err != nil {
		return secret.Value{}, t, err
	}
	var text secret.Value
	text, t.Hash = newToken(t.Kind)
	t.ID, t.CreatedBy, t.Created = ids[0], actor.String(), a.now()
	err = a.change(ctx, func(tx *store.Tx, trail *trail) error {
		if audited {
			trail.add(actor, "token.create", t.Project, tokenObject(t), tokenDetail(t))
		}
		return tx.PutToken(ctx, t)
	})
	if err != nil {
		return secret.Value{}, t, err
	}
	return text, t, nil
}

func tokenObject(t store.Token) string { return fmt.Sprintf("%s token %d %s", t.Kind, t.ID, t.Name) }

func tokenDetail(t store.Token) string {
	var parts []string
	if len(t.Scopes) > 0 {
		parts = append(parts, "scopes "+strings.Join(t.Scopes, ", "))
	}
	if len(t.Tags) > 0 {
		parts = append(parts, "tags "+strings.Join(t.Tags, ", "))
	}
	if t.Protected {
		parts = append(parts, "protected")
	}
	if !t.Expires.IsZero() {
		parts = append(parts, "expires "+t.Expires.UTC().Format(time.RFC3339))
	}
	return strings.Join(parts, "; ")
}

// Tokens returns the tokens of programs, runners, sessions and the owner that are
// not revoked.
func (a *Access) Tokens(ctx context.Context, actor Actor) ([]store.Token, error) {
	var all []store.Token
	for _, kind := range []store.TokenKind{store.TokenOwner, store.TokenAPI, store.TokenRunner, store.TokenSession} {
		list, err := a.store.Tokens(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, t := range list {
			if actor.Sees(t.Project) {
				all = append(all, t)
			}
		}
	}
	return all, nil
}

// RevokeToken ends a token at once, and the sessions that were made with it.
func (a *Access) RevokeToken(ctx context.Context, actor Actor, id int64) error {
	t, err := a.store.Token(ctx, id)
	if err != nil {
		return err
	}
	if !actor.Sees(t.Project) {
		return errs.E(errs.NotFound, "no token %d; list them: refline token list", id)
	}
	return a.change(ctx, func(tx *store.Tx, trail *trail) error {
		trail.add(actor, "token.revoke", t.Project, tokenObject(t), "")
		return tx.RevokeToken(ctx, id, a.now())
	})
}

// NewAttemptToken makes the token of an attempt, which is good until a time at
// most; it ends with [store.Tx.RevokeAttemptTokens].
func (a *Access) NewAttemptToken(ctx context.Context, project, fence int64, until time.Time) (secret.Value, error) {
	text, _, err := a.addToken(ctx, System("dispatch"), store.Token{Kind: store.TokenAttempt, Project: project, Attempt: fence, Expires: until}, false)
	return text, err
}

// OwnerTokenFile is the name of the file with the owner's token in the data folder.
const OwnerTokenFile = "owner-token"

// OwnerToken returns the owner's token, which is in a file of the data folder that
// only this user can read. It makes another one if the file is missing, if others
// could read it, or if the database does not know it, and revokes the old one.
func (a *Access) OwnerToken(ctx context.Context) (secret.Value, error) {
	path := filepath.Join(a.data, OwnerTokenFile)
	if text, ok := readOwnerToken(path); ok {
		t, err := a.store.TokenByHash(ctx, hashToken(text))
		if err == nil && t.Kind == store.TokenOwner && t.Revoked.IsZero() {
			return secret.NewString(text), nil
		}
		if err != nil && !errs.Is(err, errs.NotFound) {
			return secret.Value{}, err
		}
	}
	name, err := filepath.Abs(path)
	if err != nil {
		return secret.Value{}, err
	}
	if host, err := os.Hostname(); err == nil {
		name = host + ":" + name // several servers of a database have one each
	}
	older, err := a.store.Tokens(ctx, store.TokenOwner)
	if err != nil {
		return secret.Value{}, err
	}
	text, t, err := a.addToken(ctx, System("start of the server"), store.Token{Kind: store.TokenOwner, Name: name}, true)
	if err != nil {
		return secret.Value{}, err
	}
	if err := writeOwnerToken(path, text); err != nil {
		return secret.Value{}, err
	}
	return text, a.store.Update(ctx, func(tx *store.Tx) error {
		for _, old := range older {
			if old.Name != t.Name {
				continue
			}
			if err := tx.RevokeToken(ctx, old.ID, a.now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// readOwnerToken reads the file if only this user can.
func readOwnerToken(path string) (string, bool) {
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 256 || runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		return "", false
	}
	data, err := os.ReadFile(path)
	text := strings.TrimSpace(string(data))
	return text, err == nil && looksLikeToken(text)
}

func writeOwnerToken(path string, text secret.Value) error {
	temp, err := os.CreateTemp(filepath.Dir(path), "."+OwnerTokenFile+".new-*") // mode 0600
	if err != nil {
		return errs.E(errs.Unavailable, "file of the owner's token: %w", err)
	}
	defer os.Remove(temp.Name())
	_, err = temp.WriteString(text.RevealString() + "\n")
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errs.E(errs.Unavailable, "file of the owner's token: %w", err)
	}
	return nil
}
