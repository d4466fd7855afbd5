package web

import (
	"bytes"
	"net/http"
)

// SignIn is what the page to sign in shows. It asks before it signs in: programs that
// look at links in messages must not use up one that works once.
type SignIn struct{ Next, Token, Error string }

// WriteSignIn shows the page to sign in.
func (s *Site) WriteSignIn(w http.ResponseWriter, r *http.Request, status int, in SignIn) error {
	c := s.newRequest(w, r)
	v := &View{Template: "signin", Title: "Sign in", Section: "none", Class: "narrow", Data: in}
	v.Caller.Kind = "unknown"
	v.complete(c)
	var out bytes.Buffer
	if err := templateOf("signin").ExecuteTemplate(&out, "layout", v); err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	s.write(w, r, status, out.Bytes())
	return nil
}
