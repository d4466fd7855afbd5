package store

import (
	"context"
	"database/sql"
	"time"

	"refline/internal/errs"
)

// TokenKind is what a token is for.
type TokenKind string

// The kinds of tokens.
const (
	TokenOwner   TokenKind = "owner"   // may do all; for commands on the server's computer
	TokenAPI     TokenKind = "api"     // a program, with scopes
	TokenRunner  TokenKind = "runner"  // a runner's calls, and nothing else
	TokenSession TokenKind = "session" // a browser
	TokenSignIn  TokenKind = "signin"  // a link that makes one session
	TokenAttempt TokenKind = "attempt" // the calls of one attempt, and nothing else
)

// Token is a row of tokens. The token itself is not kept.
type Token struct {
	ID        int64
	Hash      string // SHA-256, in hex
	Kind      TokenKind
	Name      string
	Scopes    []string
	Project   int64    // 0: not bound to a project
	Runner    int64    // of a runner's token, once a runner has used it; else 0
	Attempt   int64    // fence of an attempt's token, else 0
	Tags      []string // that a runner may offer at most
	Protected bool     // the runner takes jobs of protected refs only
	Parent    int64    // the token that a session was made with; 0 for none
	CreatedBy string
	Created   time.Time
	Expires   time.Time // zero: never
	Used      time.Time // zero: never; to the minute
	Revoked   time.Time // zero: not
}

const tokenColumns = `id, hash, kind, name, scopes, project, runner, attempt, tags, protected, parent, created_by, created_at, expires_at, used_at, revoked_at`

var tokenTable = table{name: "tokens", key: []string{"id"}, keep: []string{"hash", "kind", "created_by", "created_at"},
	columns: []string{"id", "hash", "kind", "name", "scopes", "project", "runner", "attempt", "tags", "protected", "parent",
		"created_by", "created_at", "expires_at", "used_at", "revoked_at"}}

// PutToken writes a token.
func (t *Tx) PutToken(ctx context.Context, k Token) error {
	return t.putMany(ctx, &tokenTable, [][]any{{k.ID, k.Hash, string(k.Kind), k.Name, joinLines(k.Scopes), k.Project, k.Runner, k.Attempt,
		joinLines(k.Tags), bit(k.Protected), k.Parent, k.CreatedBy, millis(k.Created), millis(k.Expires), millis(k.Used), millis(k.Revoked)}})
}

// SpendToken marks a token as revoked if it is good: it is for tokens that work
// once. Of two callers one gets NotFound.
func (t *Tx) SpendToken(ctx context.Context, hash string, kind TokenKind, at time.Time) error {
	res, err := t.exec(ctx, `UPDATE tokens SET revoked_at = ?, used_at = ? WHERE hash = ? AND kind = ? AND revoked_at = 0
		AND (expires_at = 0 OR expires_at > ?)`, millis(at), millis(at), hash, string(kind), millis(at))
	if err != nil {
		return err
	}
	switch n, err := res.RowsAffected(); {
	case err != nil:
		return storageError(err)
	case n == 0:
		return errs.E(errs.NotFound, "no such token, or it was used or has expired")
	}
	return nil
}

// BindRunnerToken notes which runner uses a token, if none does yet, and returns
// the one that does.
func (t *Tx) BindRunnerToken(ctx context.Context, id, runner int64) (int64, error) {
	if _, err := t.exec(ctx, "UPDATE tokens SET runner = ? WHERE id = ? AND runner = 0", runner, id); err != nil {
		return 0, err
	}
	rows, err := t.query(ctx, "SELECT runner FROM tokens WHERE id = ?", id)
	return first(rows, err, func(rows *sql.Rows) (n int64, err error) { return n, rows.Scan(&n) }, "no token %d", id)
}

// RevokeToken revokes a token and all that were made with it.
func (t *Tx) RevokeToken(ctx context.Context, id int64, at time.Time) error {
	_, err := t.exec(ctx, "UPDATE tokens SET revoked_at = ? WHERE revoked_at = 0 AND (id = ? OR parent = ?)", millis(at), id, id)
	return err
}

// RevokeAttemptTokens revokes the tokens of attempts, whether there are any or not.
func (t *Tx) RevokeAttemptTokens(ctx context.Context, attempts []int64, at time.Time) error {
	if len(attempts) == 0 {
		return nil
	}
	_, err := t.exec(ctx, "UPDATE tokens SET revoked_at = ? WHERE revoked_at = 0 AND attempt > 0 AND attempt IN "+idList(attempts), millis(at))
	return err
}

// TouchTokens notes that tokens were used.
func (t *Tx) TouchTokens(ctx context.Context, ids []int64, at time.Time) error {
	if len(ids) == 0 {
		return nil
	}
	_, err := t.exec(ctx, "UPDATE tokens SET used_at = ? WHERE used_at < ? AND id IN "+idList(ids), millis(at), millis(at))
	return err
}

// DropTokens removes at most n tokens that expired or were revoked before a time.
func (t *Tx) DropTokens(ctx context.Context, before time.Time, n int) error {
	_, err := t.exec(ctx, `DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE
		expires_at > 0 AND expires_at < ? OR revoked_at > 0 AND revoked_at < ? LIMIT ?)`, millis(before), millis(before), n)
	return err
}

// TokenByHash returns the token with a hash, good or not; NotFound if there is none.
func (s *Store) TokenByHash(ctx context.Context, hash string) (Token, error) {
	rows, err := s.query(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE hash = ?", hash)
	return first(rows, err, scanToken, "no such token")
}

// Token returns a token by its id.
func (s *Store) Token(ctx context.Context, id int64) (Token, error) {
	rows, err := s.query(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE id = ?", id)
	return first(rows, err, scanToken, "no token %d; list them: refline token list", id)
}

// Tokens returns the tokens of a kind that are not revoked, oldest first.
func (s *Store) Tokens(ctx context.Context, kind TokenKind) ([]Token, error) {
	rows, err := s.query(ctx, "SELECT "+tokenColumns+" FROM tokens WHERE kind = ? AND revoked_at = 0 ORDER BY id", string(kind))
	return collect(rows, err, scanToken)
}

func scanToken(rows *sql.Rows) (Token, error) {
	var k Token
	var scopes, tags string
	var protected int
	var created, expires, used, revoked int64
	err := rows.Scan(&k.ID, &k.Hash, &k.Kind, &k.Name, &scopes, &k.Project, &k.Runner, &k.Attempt, &tags, &protected, &k.Parent,
		&k.CreatedBy, &created, &expires, &used, &revoked)
	k.Scopes, k.Tags, k.Protected = splitLines(scopes), splitLines(tags), protected != 0
	k.Created, k.Expires, k.Used, k.Revoked = fromMillis(created), fromMillis(expires), fromMillis(used), fromMillis(revoked)
	return k, err
}
