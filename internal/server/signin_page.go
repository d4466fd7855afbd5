package server

import (
	"errors"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"refline/internal/errs"
)

// signInPage asks before it signs in: programs that look at links in messages must
// not use up one that works once.
var signInPage = sync.OnceValue(func() *template.Template {
	return template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>Sign in – Refline</title>
</head>
<body>
<main>
<h1>Sign in to Refline</h1>
{{with .Error}}<p role="alert">{{.}}</p>
{{end}}<form method="post" action="{{.Base}}/sign-in">
<input type="hidden" name="next" value="{{.Next}}">
{{if .Token}}<input type="hidden" name="token" value="{{.Token}}">
<p>This link works once.</p>
{{else}}<p><label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required></p>
<p>On the server's computer, <code>refline server link</code> prints a link that signs you in.</p>
{{end}}<p><button>Sign in</button></p>
</form>
</main>
</body>
</html>
`))
})

type signInView struct{ Base, Next, Token, Error string }

func (s *Server) signInRoutes() {
	s.router.plain("GET /sign-in", actPublic, s.showSignIn)
	s.router.plain("POST /sign-in", need{action: actPublic, body: 16 << 10}, s.postSignIn)
	s.router.plain("POST /sign-out", need{action: actPublic, body: 16 << 10}, s.postSignOut)
}

func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request) error {
	view := signInView{Base: infoOf(r.Context()).base, Next: localPath(r.URL.Query().Get("next")), Token: r.URL.Query().Get("token")}
	if !looksLikeToken(view.Token) {
		view.Token = ""
	}
	if view.Token == "" && Caller(r.Context()).session {
		http.Redirect(w, r, view.Base+view.Next, http.StatusSeeOther)
		return nil
	}
	return writeSignIn(w, http.StatusOK, view)
}

func writeSignIn(w http.ResponseWriter, status int, view signInView) error {
	var page strings.Builder
	if err := signInPage().Execute(&page, view); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(page.String())) // the browser may be gone
	return nil
}

func (s *Server) postSignIn(w http.ResponseWriter, r *http.Request) error {
	info := infoOf(r.Context())
	if err := r.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return err
		}
		return errs.E(errs.Invalid, "the form cannot be read; open %s/sign-in and sign in there", info.base)
	}
	view := signInView{Base: info.base, Next: localPath(r.PostFormValue("next"))}
	text, session, err := s.secrets.signIn(r.Context(), strings.TrimSpace(r.PostFormValue("token")), info.client)
	if err != nil {
		p := problemOf(err)
		logProblem(r, p)
		view.Error = p.Detail
		for name, values := range p.GetHeaders() {
			w.Header()[name] = values
		}
		w.Header().Del("WWW-Authenticate")
		return writeSignIn(w, p.Status, view)
	}
	// The session before ends: a cookie that somebody else has set is not signed in.
	if err := s.secrets.signOut(r.Context(), Caller(r.Context())); err != nil {
		return err
	}
	info.actor = actorOfToken(session)
	http.SetCookie(w, sessionCookie(r, text.RevealString(), int(session.Expires.Sub(s.options.Now()).Seconds())))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, view.Base+view.Next, http.StatusSeeOther)
	return nil
}

func (s *Server) postSignOut(w http.ResponseWriter, r *http.Request) error {
	if err := s.secrets.signOut(r.Context(), Caller(r.Context())); err != nil {
		return err
	}
	http.SetCookie(w, sessionCookie(r, "", -1))
	http.Redirect(w, r, infoOf(r.Context()).base+"/sign-in", http.StatusSeeOther)
	return nil
}
