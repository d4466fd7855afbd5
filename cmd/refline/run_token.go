package main

import (
	"bytes"
	"path/filepath"
	"strings"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/variable"
)

// openGitTokens takes --git-token [USER@]HOST=NAME and HOST=@FILE.
func openGitTokens(e *env, specs []string) (credential.Tokens, error) {
	var out credential.Tokens
	for _, spec := range specs {
		where, from, ok := strings.Cut(spec, "=")
		user, host, hasUser := strings.Cut(where, "@")
		if !hasUser {
			user, host = "oauth2", where // forges take any name beside a token
		}
		if h, err := credential.ParseHost(host); !ok || err != nil || h.Path != "" || user == "" {
			return nil, usagef("--git-token wants HOST=NAME or HOST=@FILE, or USER@HOST=…")
		}
		t := credential.Token{Host: host, User: user, Name: from}
		file, isFile := strings.CutPrefix(from, "@")
		var err error
		switch {
		case isFile:
			t.Name = filepath.Base(file)
			t.Text, err = readValue(e.path(file), file)
		case !variable.ValidName(from):
			err = usagef("--git-token %s=…: a token on the command line shows in process lists; give it as a variable (%s=NAME) or a file (%s=@FILE)", where, where, where)
		default:
			var text []byte
			text, err = envSecret(e, "--git-token "+where, from)
			t.Text = secret.New(text)
		}
		if err != nil {
			return nil, err
		}
		t.Text = secret.New(bytes.TrimSpace(t.Text.Reveal()))
		if strings.ContainsAny(t.Text.RevealString(), "\r\n\x00") {
			return nil, errs.E(errs.Invalid, "--git-token %s: the token has more than one line", where)
		}
		out = append(out, t)
	}
	return out, nil
}
