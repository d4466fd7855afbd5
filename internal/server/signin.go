package server

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/store"
)

// SignInLink makes a token for the address of [SignInURL], which signs a browser in
// as the actor, once and within ten minutes.
func (a *Access) SignInLink(ctx context.Context, actor Actor) (secret.Value, error) {
	t := store.Token{Kind: store.TokenSignIn, Name: actor.String(), Project: actor.Project, Scopes: sessionScopes(actor), Expires: a.now().Add(linkLife)}
	text, _, err := a.addToken(ctx, actor, t, true)
	return text, err
}

// SignInURL is the address of a sign-in link.
func SignInURL(base string, token secret.Value) string {
	return strings.TrimRight(base, "/") + "/sign-in?token=" + url.QueryEscape(token.RevealString())
}

// OwnerLink makes a sign-in link for the owner, under the public URL or, if there is
// none, under the address that the server listens on.
func (s *Server) OwnerLink(ctx context.Context, listens string) (string, error) {
	text, err := s.secrets.SignInLink(ctx, Actor{Kind: ActorOwner, Scopes: []action{actAdmin}})
	if s.options.PublicURL != nil {
		listens = s.options.PublicURL.String()
	}
	return SignInURL(listens, text), err
}

// sessionScopes are kept with a session that an actor begins.
func sessionScopes(actor Actor) []string {
	if actor.Kind == ActorOwner {
		return []string{ownerSession}
	}
	list := make([]string, len(actor.Scopes))
	for i, s := range actor.Scopes {
		list[i] = string(s)
	}
	return list
}

// signIn makes a session of a sign-in link, or of the token of the owner or of a
// program.
func (a *Access) signIn(ctx context.Context, text, client string) (secret.Value, store.Token, error) {
	t, err := a.auth.token(ctx, text, client)
	if err != nil {
		return secret.Value{}, t, err
	}
	session := store.Token{Kind: store.TokenSession, Name: t.Name, Project: t.Project, Expires: a.now().Add(sessionLife)}
	switch t.Kind {
	case store.TokenSignIn:
		session.Scopes = t.Scopes
		err = a.store.Update(ctx, func(tx *store.Tx) error { return tx.SpendToken(ctx, t.Hash, store.TokenSignIn, a.now()) })
		if errs.Is(err, errs.NotFound) { // another was faster
			err = unauthenticated("the link was used already; refline server link prints another")
		}
		if err != nil {
			return secret.Value{}, t, err
		}
	case store.TokenOwner, store.TokenAPI:
		session.Parent, session.Scopes = t.ID, sessionScopes(actorOfToken(t))
		if !t.Expires.IsZero() && t.Expires.Before(session.Expires) {
			session.Expires = t.Expires
		}
	default:
		return secret.Value{}, t, unauthenticated("a token of this kind does not sign a browser in")
	}
	return a.addToken(ctx, actorOfToken(session), session, true)
}

// signOut ends the session of a request, if it has one.
func (a *Access) signOut(ctx context.Context, actor Actor) error {
	if !actor.session {
		return nil
	}
	return a.change(ctx, func(tx *store.Tx, t *trail) error {
		t.add(actor, "session.end", actor.Project, "session", "")
		return tx.RevokeToken(ctx, actor.ID, t.now)
	})
}

// cookieName is the name of the session's cookie. Browsers keep one set of cookies
// for all ports and paths of a host, so servers beside each other have different
// names. Behind TLS the prefix makes the browser refuse a cookie that another host
// or a page without TLS has set.
func cookieName(r *http.Request) string {
	info := infoOf(r.Context())
	name := "refline"
	if info.secure {
		name = "__Host-refline"
	}
	if _, port, err := net.SplitHostPort(info.host); err == nil {
		name += "-" + port
	}
	if info.base != "" {
		name += strings.Map(func(c rune) rune {
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' {
				return c
			}
			return '-'
		}, info.base)
	}
	return name
}

func sessionCookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName(r), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: infoOf(r.Context()).secure, SameSite: http.SameSiteLaxMode}
}

// localPath is where a browser goes after it signed in: a path of this server.
func localPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") || strings.ContainsAny(next, "\\\r\n") ||
		strings.HasPrefix(path.Clean(u.Path), "//") || strings.HasPrefix(next, "//") || path.Clean(u.Path) == "/sign-in" {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).RequestURI()
}
