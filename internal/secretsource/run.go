package secretsource

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/variable"
)

// RunKeys say which deploy keys a run uses.
type RunKeys struct {
	Specs     []string // NAME or NAME=@FILE
	Hosts     Hosts
	Repo      string // the repository of the run; "" for a working tree
	Variables string // the file of variables; "" for the project's
}

// OpenRunKeys finds the keys and starts what serves them to this process's git. It
// is nil without specs.
func (s *Source) OpenRunKeys(ctx context.Context, o RunKeys) (*credential.RunKeys, error) {
	if len(o.Specs) == 0 {
		if len(o.Hosts.Names) > 0 || o.Hosts.Known != "" {
			return nil, errs.Usage("--host and --known-hosts are for a key: give --deploy-key NAME")
		}
		return nil, nil
	}
	var list []*credential.RunKey
	for _, spec := range o.Specs {
		k, err := s.runKey(ctx, o, spec)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return credential.ServeKeys(list)
}

func (s *Source) runKey(ctx context.Context, o RunKeys, spec string) (*credential.RunKey, error) {
	name, file, hasFile := strings.Cut(spec, "=")
	file, at := strings.CutPrefix(file, "@")
	if spec == "" {
		return nil, errs.Usage("--deploy-key is empty; leave it out, or give it a value")
	}
	if !credential.ValidKeyName(name) || hasFile && (!at || file == "") {
		return nil, errs.Usage("--deploy-key wants NAME or NAME=@FILE; a key itself never goes on a command line")
	}
	from := Key{Hosts: o.Hosts, Name: name}
	store, err := s.KeyStore()
	if err != nil {
		return nil, err
	}
	k := &credential.RunKey{Name: name}
	switch {
	case hasFile:
		from.File = file
	case store.Has(name):
		from.Kept = name
		if len(o.Specs) > 1 { // each has hosts of its own
			from.Hosts = Hosts{}
		}
	case variable.ValidName(name) && (s.Getenv(name) != "" || s.Getenv(credential.LineVariable(name, 1)) != ""):
		from.Env = name
	default:
		if err := s.keyFromVariable(ctx, o, k); err != nil {
			return nil, err
		}
		from.Text = k.Text
	}
	if h, err := credential.ParseHost(o.Repo); from.Kept == "" && len(from.Names) == 0 && err == nil && strings.Contains(o.Repo, "://") {
		from.Names = []credential.Host{h}
	}
	k.Key, err = s.Load(from)
	return k, err
}

// keyFromVariable takes the key from the project's variables.
func (s *Source) keyFromVariable(ctx context.Context, o RunKeys, k *credential.RunKey) error {
	v, err := s.Variables(ctx, Variables{File: o.Variables, Repo: o.Repo})
	if err != nil {
		return err
	}
	i := v.Index(secret.Variable{Name: k.Name, Environment: secret.AnyEnvironment})
	if i < 0 {
		return errs.E(errs.NotFound, "--deploy-key %[1]s: neither a kept key nor a variable has this name; make it: refline key new %[1]s --repo URL, or give a file: --deploy-key %[1]s=@FILE", k.Name)
	}
	k.Text, k.Protected = v.File.Variables[i].Value.Reveal(), v.File.Variables[i].Protected
	return nil
}

// GitTokens reads [USER@]HOST=NAME (a variable) and HOST=@FILE.
func (s *Source) GitTokens(specs []string) (credential.Tokens, error) {
	var out credential.Tokens
	for _, spec := range specs {
		t, err := s.gitToken(spec)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, nil
}

func (s *Source) gitToken(spec string) (t credential.Token, err error) {
	where, from, ok := strings.Cut(spec, "=")
	user, host, hasUser := strings.Cut(where, "@")
	if !hasUser {
		user, host = "oauth2", where // forges take any name beside a token
	}
	if h, err := credential.ParseHost(host); !ok || err != nil || h.Path != "" || user == "" {
		return t, errs.Usage("--git-token wants HOST=NAME or HOST=@FILE, or USER@HOST=…")
	}
	t = credential.Token{Host: host, User: user, Name: from}
	file, isFile := strings.CutPrefix(from, "@")
	switch {
	case isFile:
		t.Name = filepath.Base(file)
		t.Text, err = s.File(file)
	case !variable.ValidName(from):
		err = errs.Usage("--git-token %s=…: a token on the command line shows in process lists; give it as a variable (%s=NAME) or a file (%s=@FILE)", where, where, where)
	default:
		var text []byte
		text, err = s.FromEnv("--git-token "+where, from)
		t.Text = secret.New(text)
	}
	if err != nil {
		return t, err
	}
	t.Text = secret.New(bytes.TrimSpace(t.Text.Reveal()))
	if strings.ContainsAny(t.Text.RevealString(), "\r\n\x00") {
		return t, errs.E(errs.Invalid, "--git-token %s: the token has more than one line", where)
	}
	return t, nil
}
