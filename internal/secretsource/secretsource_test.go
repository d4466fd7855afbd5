package secretsource

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/mask"
	"refline/internal/secret"
)

// newSource is a source with an environment and files, and the notes that it makes.
func newSource(t *testing.T, environ, files map[string]string) (s *Source, notes *strings.Builder) {
	t.Helper()
	dir, state := t.TempDir(), t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	notes = &strings.Builder{}
	return &Source{
		Dir: dir, Getenv: func(name string) string { return environ[name] }, Environ: os.Environ,
		State: func() (string, error) { return state, nil }, Stdin: strings.NewReader(""),
		Note:  func(text string) { notes.WriteString(text + "\n") },
		Local: func(repo string) (string, bool) { return repo, filepath.IsAbs(repo) },
	}, notes
}

func TestFromEnv(t *testing.T) {
	t.Parallel()
	s, _ := newSource(t, nil, map[string]string{"key": "the content of a file"})
	s.Getenv = func(name string) string {
		return map[string]string{"PLAIN": "a value", "FILE": filepath.Join(s.Dir, "key"), "GONE": filepath.Join(s.Dir, "gone")}[name]
	}
	for name, want := range map[string]string{"PLAIN": "a value", "FILE": "the content of a file", "GONE": filepath.Join(s.Dir, "gone")} {
		if got, err := s.FromEnv("variable", name); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	if _, err := s.FromEnv("--env", "NONE"); !errs.Is(err, errs.NotFound) || !strings.HasPrefix(err.Error(), "--env NONE: ") {
		t.Errorf("a variable that is not set: got %v, want not found", err)
	}
}

// An empty standard input was taken as an empty value.
func TestInput(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"value": "value", "value\n": "value", "value\r\n": "value", "two\nlines\n\n": "two\nlines\n", "": "", "\n": ""} {
		s, _ := newSource(t, nil, nil)
		s.Stdin = strings.NewReader(text)
		got, err := s.Typed("NAME")
		if want == "" {
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "standard input is empty") {
				t.Errorf("%q: got %v, want an error that the input is empty", text, err)
			}
		} else if err != nil || got.RevealString() != want {
			t.Errorf("%q: got %q, %v; want %q", text, got.RevealString(), err, want)
		}
	}
}

func TestJobSecrets(t *testing.T) {
	t.Parallel()
	s, _ := newSource(t, map[string]string{"TOKEN": "a long random token"}, map[string]string{"key": "another long secret"})
	set := &mask.Set{}
	vars, err := s.JobSecrets([]string{"TOKEN", "KEY=@key"}, set)
	if err != nil || len(vars) != 2 || vars[1].Value != "another long secret" || !vars[1].Masked || !vars[1].Raw {
		t.Fatalf("got %+v, %v", vars, err)
	}
	if got := set.String("a long random token, another long secret"); got != "[masked], [masked]" {
		t.Errorf("masked: %q", got)
	}
	var usage errs.UsageError
	for _, spec := range []string{"TOKEN=a long random token", "1X", ""} {
		if _, err := s.JobSecrets([]string{spec}, set); !errors.As(err, &usage) || strings.Contains(err.Error(), "random") {
			t.Errorf("%q: got %v, want a usage error without the value", spec, err)
		}
	}
	if _, err := s.JobSecrets([]string{"KEY=@none"}, set); !errs.Is(err, errs.NotFound) {
		t.Errorf("a missing file: got %v, want not found", err)
	}
}

func TestMaskSetRefusesAll(t *testing.T) {
	t.Parallel()
	s, _ := newSource(t, map[string]string{"SHORT": "abc"}, nil)
	_, err := s.MaskSet([]string{"SHORT", "NONE"}, []string{"gone"})
	for _, want := range []string{"SHORT", "NONE", "gone"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
}

func TestGitTokens(t *testing.T) {
	t.Parallel()
	s, _ := newSource(t, map[string]string{"TOKEN": " token-of-the-host\n"}, map[string]string{"two": "line\nline\n"})
	tokens, err := s.GitTokens([]string{"git.example.com=TOKEN", "me@other.example.com:8443=TOKEN"})
	if err != nil || len(tokens) != 2 {
		t.Fatalf("got %v, %v", tokens, err)
	}
	if got := tokens[0]; got.Host != "git.example.com" || got.User != "oauth2" || got.Text.RevealString() != "token-of-the-host" {
		t.Errorf("got %+v", got)
	}
	if got := tokens[1]; got.Host != "other.example.com:8443" || got.User != "me" {
		t.Errorf("got %+v", got)
	}
	for spec, kind := range map[string]errs.Kind{"git.example.com": errs.Invalid, "git.example.com=glpat-123": errs.Invalid, "git.example.com=@two": errs.Invalid, "git.example.com=NONE": errs.NotFound} {
		if _, err := s.GitTokens([]string{spec}); !errs.Is(err, kind) || strings.Contains(err.Error(), "line\n") {
			t.Errorf("%s: got %v, want %s", spec, err, kind)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	text, err := credential.GenerateKey("ed25519", "flows@test")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := newSource(t, map[string]string{"DEPLOY_KEY": string(text)}, map[string]string{"known_hosts": "git.example.com ssh-ed25519 AAAA\n"})
	host, err := credential.ParseHost("git@git.example.com:data/flows.git")
	if err != nil {
		t.Fatal(err)
	}
	k, err := s.Load(Key{Env: "DEPLOY_KEY", Hosts: Hosts{Names: []credential.Host{host}, Known: "known_hosts"}})
	if err != nil || string(k.KnownHosts) != "git.example.com ssh-ed25519 AAAA\n" || len(k.Repos) != 1 {
		t.Errorf("got %q for %q, %v", k.KnownHosts, k.Repos, err)
	}
	var usage errs.UsageError
	if _, err := s.Load(Key{Env: "DEPLOY_KEY"}); !errors.As(err, &usage) {
		t.Errorf("a key without hosts: got %v, want a usage error", err)
	}
	host.Name = "other.example.com"
	if _, err := s.Load(Key{Env: "DEPLOY_KEY", Hosts: Hosts{Names: []credential.Host{host}, Known: "known_hosts"}}); !errs.Is(err, errs.NotFound) {
		t.Errorf("an unknown host: got %v, want not found", err)
	}
	if _, err := s.Load(Key{Kept: "flows"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("a key that is not kept: got %v, want not found", err)
	}
	if keys, err := s.OpenRunKeys(t.Context(), RunKeys{}); keys != nil || err != nil {
		t.Errorf("no keys: got %v, %v", keys, err)
	}
	if _, err := s.OpenRunKeys(t.Context(), RunKeys{Specs: []string{"DEPLOY_KEY=text"}}); !errors.As(err, &usage) {
		t.Errorf("a key on the command line: got %v, want a usage error", err)
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	s, _ := newSource(t, nil, nil)
	v, err := s.Variables(t.Context(), Variables{})
	if err != nil || len(v.File.Variables) != 0 {
		t.Fatalf("a project without a file: got %v, %v", v, err)
	}
	put := func(v *VariableFile) error {
		return v.Put(secret.Variable{Name: "A", Environment: secret.AnyEnvironment, Value: secret.NewString("value")})
	}
	if err := s.ChangeVariables(t.Context(), Variables{}, put); err != nil {
		t.Fatal(err)
	}
	if v, err = s.Variables(t.Context(), Variables{}); err != nil || len(v.File.Variables) != 1 {
		t.Errorf("after a change: got %v, %v", v, err)
	}
	if v, err = s.Variables(t.Context(), Variables{Repo: "https://git.example.com/other.git"}); err != nil || len(v.File.Variables) != 0 {
		t.Errorf("another project: got %v, %v", v, err)
	}
	if _, err := s.Variables(t.Context(), Variables{File: "none.yml"}); !errs.Is(err, errs.NotFound) {
		t.Errorf("a file that the user names: got %v, want not found", err)
	}
	if err := s.ChangeVariables(t.Context(), Variables{}, func(*VariableFile) error { return errs.E(errs.Conflict, "no") }); !errs.Is(err, errs.Conflict) {
		t.Errorf("a change that fails: got %v", err)
	}
}
