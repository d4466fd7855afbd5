package server

import (
	"errors"
	"net/http"
	"strings"

	"refline/internal/errs"
	"refline/internal/web"
)

func (s *Server) signInRoutes() {
	s.router.plain("GET /sign-in", actPublic, s.showSignIn)
	s.router.plain("POST /sign-in", need{action: actPublic, body: 16 << 10}, s.postSignIn)
	s.router.plain("POST /sign-out", need{action: actPublic, body: 16 << 10}, s.postSignOut)
}

func (s *Server) showSignIn(w http.ResponseWriter, r *http.Request) error {
	view := web.SignIn{Next: localPath(r.URL.Query().Get("next")), Token: r.URL.Query().Get("token")}
	if !looksLikeToken(view.Token) {
		view.Token = ""
	}
	if view.Token == "" && Caller(r.Context()).session {
		http.Redirect(w, r, infoOf(r.Context()).base+view.Next, http.StatusSeeOther)
		return nil
	}
	return s.site.WriteSignIn(w, r, http.StatusOK, view)
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
	view := web.SignIn{Next: localPath(r.PostFormValue("next"))}
	text, session, err := s.secrets.signIn(r.Context(), strings.TrimSpace(r.PostFormValue("token")), info.client)
	if err != nil {
		p := problemOf(err)
		logProblem(r, p)
		view.Error = p.Detail
		for name, values := range p.GetHeaders() {
			w.Header()[name] = values
		}
		w.Header().Del("WWW-Authenticate")
		return s.site.WriteSignIn(w, r, p.Status, view)
	}
	// The session before ends: a cookie that somebody else has set is not signed in.
	if err := s.secrets.signOut(r.Context(), Caller(r.Context())); err != nil {
		return err
	}
	info.actor = actorOfToken(session)
	http.SetCookie(w, sessionCookie(r, text.RevealString(), int(session.Expires.Sub(s.options.Now()).Seconds())))
	w.Header().Set("Cache-Control", "no-store")
	http.Redirect(w, r, info.base+view.Next, http.StatusSeeOther)
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
