package server

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
)

// tokenPrefix begins every token, so that people and scanners recognize one.
const tokenPrefix = "rfl_"

// newToken makes a token of 32 random bytes: rfl_KIND_….
func newToken(kind store.TokenKind) (text secret.Value, hash string) {
	b := make([]byte, 32)
	_, _ = rand.Read(b) // it never fails: crypto/rand ends the program instead
	s := tokenPrefix + string(kind) + "_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b))
	return secret.NewString(s), hashToken(s)
}

// hashToken is what is kept of a token. Tokens are random, so a fast hash does.
func hashToken(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// looksLikeToken rejects what cannot be a token before the database is asked.
func looksLikeToken(text string) bool {
	return strings.HasPrefix(text, tokenPrefix) && len(text) <= 128
}

// authenticator finds out who asks.
type authenticator struct {
	store    *store.Store
	now      func() time.Time
	failures *failures

	mu   sync.Mutex
	used map[int64]time.Time  // tokens whose use is not written yet
	good map[string]time.Time // hashes of tokens that were good lately
}

func newAuthenticator(s *store.Store, now func() time.Time) *authenticator {
	return &authenticator{store: s, now: now, failures: newFailures(now), used: map[int64]time.Time{}, good: map[string]time.Time{}}
}

// tokenOf takes the token of a request: from the Authorization header, else
// from the cookie. A request with the header is not tried with the cookie.
func tokenOf(r *http.Request) (text string, byCookie bool, err error) {
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, rest, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return "", false, unauthenticated("the Authorization header is not Bearer TOKEN")
		}
		return strings.TrimSpace(rest), false, nil
	}
	if c, err := r.Cookie(cookieName(r)); err == nil {
		return c.Value, true, nil
	}
	return "", false, nil
}

// actor returns who asks; the zero Actor if the request has no token. The error
// is one for the caller.
func (a *authenticator) actor(r *http.Request) (Actor, error) {
	text, byCookie, err := tokenOf(r)
	if err != nil || text == "" {
		return Actor{}, err
	}
	t, err := a.token(r.Context(), text, infoOf(r.Context()).client)
	if err != nil {
		return Actor{}, err
	}
	// A cookie is a session and a header is none: a session that leaks into a
	// script must not be used outside of the browser, nor a token inside.
	if byCookie != (t.Kind == store.TokenSession) || t.Kind == store.TokenSignIn {
		return Actor{}, unauthenticated("the token is not for this: a token for programs goes into the Authorization header, a sign-in link is opened in a browser")
	}
	return actorOfToken(t), nil
}

// token returns a good token. Failures are counted for the client.
func (a *authenticator) token(ctx context.Context, text, client string) (store.Token, error) {
	now := a.now()
	hash := hashToken(text)
	if wait := a.failures.wait(client); wait > 0 && !a.wasGood(hash, now) {
		return store.Token{}, tooMany(wait)
	}
	if !looksLikeToken(text) {
		a.failures.add(client)
		return store.Token{}, unauthenticated("the token is not one of Refline: it begins with " + tokenPrefix)
	}
	t, err := a.store.TokenByHash(ctx, hash)
	if errs.Is(err, errs.NotFound) || err == nil && subtle.ConstantTimeCompare([]byte(t.Hash), []byte(hash)) != 1 {
		a.failures.add(client)
		return store.Token{}, unauthenticated("the token is not known here: it is wrong, of another server, or was removed")
	}
	if err != nil {
		return store.Token{}, err
	}
	switch {
	case !t.Revoked.IsZero():
		a.failures.add(client)
		return store.Token{}, unauthenticated("the token was revoked")
	case !t.Expires.IsZero() && !now.Before(t.Expires):
		a.failures.add(client)
		return store.Token{}, unauthenticated("the token has expired")
	}
	a.note(t.ID, hash, now)
	return t, nil
}

const (
	goodFor = 10 * time.Minute
	maxGood = 10_000
)

func (a *authenticator) wasGood(hash string, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	at, ok := a.good[hash]
	return ok && now.Sub(at) < goodFor
}

func (a *authenticator) note(id int64, hash string, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used[id] = now
	if len(a.good) >= maxGood {
		clear(a.good)
	}
	a.good[hash] = now
}

// flush writes when tokens were used last. It is for a timer, so that a request
// that reads costs no write.
func (a *authenticator) flush(ctx context.Context) error {
	a.mu.Lock()
	used := a.used
	a.used = map[int64]time.Time{}
	a.mu.Unlock()
	if len(used) == 0 {
		return nil
	}
	ids, last := make([]int64, 0, len(used)), time.Time{}
	for id, at := range used {
		ids = append(ids, id)
		if at.After(last) {
			last = at
		}
	}
	return a.store.Update(ctx, func(tx *store.Tx) error { return tx.TouchTokens(ctx, ids, last) })
}

// maintain writes uses and removes tokens that are long dead, until ctx is done.
func (a *authenticator) maintain(ctx context.Context) {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			_ = a.flush(context.WithoutCancel(ctx)) // it is worth a try only
			return
		case <-tick.C:
		}
		_ = a.flush(ctx) // the next use is written again
		if n%20 == 0 {
			_ = a.store.Update(ctx, func(tx *store.Tx) error { return tx.DropTokens(ctx, a.now().Add(-7*24*time.Hour), 1000) })
		}
	}
}
