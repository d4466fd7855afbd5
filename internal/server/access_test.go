package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/definition"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/secret"
	"refline/internal/secret/secrettest"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

func kept(name, value, environment string, protected bool) secret.Variable {
	return secret.Variable{Name: name, Value: secret.NewString(value), Environment: environment, Protected: protected, Masked: true, Raw: true}
}

// onMain is an attempt that may have everything of a project.
func onMain(project int64) Attempt {
	return Attempt{Fence: 42, Run: 3, Job: "deploy", Project: project, Runner: "r1",
		Request: secret.Request{Event: "push", ProtectedRef: true, Level: secret.LevelProtected, Environment: "production"}}
}

// given writes what an attempt got.
func given(t *testing.T, s *testServer, a Attempt) string {
	t.Helper()
	got, err := s.secrets.ForAttempt(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, v := range got.Variables {
		list = append(list, v.Name+"="+v.Value.RevealString())
	}
	for _, k := range got.Keys {
		list = append(list, "key "+k.Name)
	}
	return strings.Join(list, " ")
}

const hostLine = "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJYNKHy2WRpL3BQEGHvs9i8IJm4YNBdWBmTRDBVNGkgn\n"

func (s *testServer) newKey(project int64, name string, write bool) store.Key {
	s.t.Helper()
	k, err := s.secrets.NewKey(s.t.Context(), owned(), project, KeyInput{Name: name, Write: write, Repos: []string{"git@git.example.com:data/flows.git"}, KnownHosts: hostLine})
	if err != nil {
		s.t.Fatal(err)
	}
	return k
}

// Invariant: an attempt gets what the rule says, from rows of a database.
func TestForAttempt(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.setVariable(0, kept("SHARED", "of-the-server", "*", false))
	s.setVariable(0, kept("TOKEN", "server-token", "*", false))
	s.setVariable(7, kept("TOKEN", "project-token", "*", true))
	s.setVariable(7, kept("TOKEN", "review-token", "review/*", false))
	s.setVariable(7, kept("DEPLOY", "deploy-token", "production", true))
	s.setVariable(8, kept("OTHER", "other-project", "*", false))
	s.newKey(7, "wiki", true)
	s.newKey(7, "read", false)
	s.newKey(8, "other", false)
	s.newKey(0, "server", false)
	for name, tt := range map[string]struct {
		change func(*Attempt)
		want   string
	}{
		"protected":   {func(*Attempt) {}, "SHARED=of-the-server DEPLOY=deploy-token TOKEN=project-token key read key wiki"},
		"fork":        {func(a *Attempt) { a.Fork = true }, ""},
		"nobody":      {func(a *Attempt) { a.Level = secret.LevelNone }, ""},
		"no event":    {func(a *Attempt) { a.Event = "chat" }, ""},
		"staging":     {func(a *Attempt) { a.Environment = "staging" }, "SHARED=of-the-server TOKEN=project-token key read key wiki"},
		"review":      {func(a *Attempt) { a.Environment = "review/a" }, "SHARED=of-the-server TOKEN=review-token key read key wiki"},
		"other ref":   {func(a *Attempt) { a.ProtectedRef = false }, "SHARED=of-the-server TOKEN=server-token key read"},
		"less trust":  {func(a *Attempt) { a.Level = secret.LevelRun }, "SHARED=of-the-server TOKEN=server-token key read"},
		"another one": {func(a *Attempt) { a.Project = 8 }, "SHARED=of-the-server TOKEN=server-token OTHER=other-project key other"},
		"no project":  {func(a *Attempt) { a.Project = 99 }, "SHARED=of-the-server TOKEN=server-token"},
	} {
		a := onMain(7)
		tt.change(&a)
		if diff := cmp.Diff(tt.want, given(t, s, a)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
	// A retry asks again.
	if err := s.secrets.RemoveVariable(t.Context(), owned(), 7, "DEPLOY", "production"); err != nil {
		t.Fatal(err)
	}
	if err := s.secrets.RemoveKey(t.Context(), owned(), 7, "wiki"); err != nil {
		t.Fatal(err)
	}
	off := false
	if _, err := s.secrets.SetVariable(t.Context(), owned(), 7, VariableInput{Name: "TOKEN", Protected: &off}); err != nil {
		t.Fatal(err)
	}
	retry := onMain(7)
	retry.ProtectedRef = false
	if got, want := given(t, s, retry), "SHARED=of-the-server TOKEN=project-token key read"; got != want {
		t.Errorf("a retry: %s, want %s", got, want)
	}
}

// Every secret that goes out is in the audit, without its value.
func TestSecretsAreAudited(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.setVariable(7, kept("TOKEN", "project-token", "*", true))
	s.newKey(7, "wiki", true)
	given(t, s, onMain(7))
	fork := onMain(7)
	fork.Fork = true
	given(t, s, fork)
	if _, err := s.secrets.CheckoutVariable(t.Context(), 7, "TOKEN"); err != nil {
		t.Fatal(err)
	}
	s.pass(2 * time.Hour)
	for range 3 { // the server looks at repositories all the time
		if _, err := s.secrets.CheckoutKey(t.Context(), 7, "wiki"); err != nil {
			t.Fatal(err)
		}
	}
	list, err := s.secrets.Audit(t.Context(), owned(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		if e.Project == 7 {
			got = append(got, e.Actor+" | "+e.Action+" | "+e.Object+" | "+strings.SplitN(e.Detail, "SHA256", 2)[0])
		}
	}
	want := []string{
		"checkout | secret.use | key wiki | ",
		"dispatch | secret.send | attempt 42 of job deploy in run 3, to runner r1 | TOKEN, key wiki",
		"owner | key.create | key wiki | ",
		"owner | variable.create | variable TOKEN | masked, protected, value set, version 1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestSetVariable(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	yes, no, text := true, false, "for the release"
	value, short := secret.NewString("a-value-of-16-by"), secret.NewString("short")
	set := func(in VariableInput) (store.Variable, error) {
		return s.secrets.SetVariable(t.Context(), owned(), 7, in)
	}
	for name, tt := range map[string]struct {
		in   VariableInput
		kind errs.Kind
		want string
	}{
		"no value":      {VariableInput{Name: "A"}, errs.NotFound, "needs a value"},
		"bad name":      {VariableInput{Name: "A-B", Value: &value}, errs.Invalid, "a name has letters"},
		"bad scope":     {VariableInput{Name: "A", Environment: "a\nb", Value: &value}, errs.Invalid, "invalid environment scope"},
		"short, masked": {VariableInput{Name: "A", Value: &short}, errs.Invalid, "mask"},
		"hidden only":   {VariableInput{Name: "A", Value: &value, Hidden: &yes, Masked: &no}, errs.Invalid, "hidden variable is masked"},
		"too large":     {VariableInput{Name: "A", Value: ptr(secret.New(make([]byte, maxVariableSize+1)))}, errs.Invalid, "at most 1 MiB"},
		"long text":     {VariableInput{Name: "A", Value: &value, Description: ptr(strings.Repeat("x", maxDescription+1))}, errs.Invalid, "description"},
	} {
		if _, err := set(tt.in); !errs.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := s.secrets.Variables(t.Context(), 7); len(list) != 0 || err != nil {
		t.Fatalf("after refusals: %v, %v", list, err)
	}
	if v, err := set(VariableInput{Name: "A", Value: &value, Protected: &yes}); err != nil || !v.Masked || !v.Raw || !v.Protected || v.Version != 1 || v.Value.Len() != 0 {
		t.Fatalf("new: %+v, %v", v, err)
	}
	if v, err := set(VariableInput{Name: "A", Value: &short, Masked: &no, Description: &text}); err != nil || v.Masked || !v.Protected || v.Version != 2 || v.Description != text {
		t.Fatalf("changed: %+v, %v", v, err)
	}
	if v, err := set(VariableInput{Name: "A", Protected: &no}); err != nil || v.Version != 3 || v.Size != 5 || v.Description != text {
		t.Fatalf("a flag: %+v, %v", v, err)
	}
	if got := given(t, s, Attempt{Project: 7, Request: secret.Request{Event: "push", Level: secret.LevelRun}}); got != "A=short" {
		t.Errorf("after all: %s", got)
	}
	if err := s.secrets.RemoveVariable(t.Context(), owned(), 7, "A", "production"); !errs.Is(err, errs.NotFound) || !strings.Contains(err.Error(), "but for *") {
		t.Errorf("remove another environment: %v", err)
	}
}

func ptr[T any](v T) *T { return &v }

// Whoever can write the database must not be able to widen who gets a value.
func TestRowsAreBoundToTheirPlace(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.setVariable(7, kept("DEPLOY", "deploy-token", "production", true))
	list, err := s.secrets.Variables(t.Context(), 7)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*store.Variable){
		"unprotected": func(v *store.Variable) { v.Protected = false },
		"unmasked":    func(v *store.Variable) { v.Masked = false },
		"version":     func(v *store.Variable) { v.Version++ },
	} {
		v := list[0]
		change(&v)
		if err := s.store.Update(t.Context(), func(tx *store.Tx) error { return tx.PutVariable(t.Context(), v) }); err != nil {
			t.Fatal(err)
		}
		if _, err := s.secrets.ForAttempt(t.Context(), onMain(7)); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "changed from outside") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewKey(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	k := s.newKey(7, "wiki", true)
	if !strings.HasPrefix(k.Public, "ssh-ed25519 AAAA") || !strings.HasSuffix(k.Public, " wiki@refline") || !k.Protected || k.KnownHosts != hostLine || len(k.Hosts) != 1 {
		t.Errorf("%+v", k)
	}
	page, advice := KeyAdvice(k)
	if want := "https://git.example.com/data/flows/-/settings/repository#js-deploy-keys-settings"; page != want || !strings.Contains(advice, "write") {
		t.Errorf("advice %s, %s", page, advice)
	}
	for name, tt := range map[string]struct {
		in   KeyInput
		kind errs.Kind
		want string
	}{
		"twice":        {KeyInput{Name: "wiki", Hosts: []string{"git.example.com"}, KnownHosts: hostLine}, errs.Conflict, "already"},
		"bad name":     {KeyInput{Name: "../x", Hosts: []string{"git.example.com"}, KnownHosts: hostLine}, errs.Invalid, "key name"},
		"no host":      {KeyInput{Name: "a"}, errs.Invalid, "which repository or host"},
		"unknown host": {KeyInput{Name: "a", Hosts: []string{"other.example.com"}, KnownHosts: hostLine}, errs.NotFound, "ssh-keyscan"},
		"bad type":     {KeyInput{Name: "a", Type: "dsa", Hosts: []string{"git.example.com"}, KnownHosts: hostLine}, errs.Invalid, "want ed25519"},
		"not a key":    {KeyInput{Name: "a", Text: ptr(secret.NewString("x-secret-x")), Hosts: []string{"git.example.com"}, KnownHosts: hostLine}, errs.Invalid, "key a"},
		"bad scope":    {KeyInput{Name: "a", Environment: "a\n", Hosts: []string{"git.example.com"}, KnownHosts: hostLine}, errs.Invalid, "environment"},
	} {
		_, err := s.secrets.NewKey(t.Context(), owned(), 7, tt.in)
		if !errs.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "x-secret-x") {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := s.secrets.ForAttempt(t.Context(), onMain(7))
	if err != nil || len(got.Keys) != 1 || len(got.Variables) != 0 {
		t.Fatalf("%d keys, %d variables, %v", len(got.Keys), len(got.Variables), err)
	}
	key := got.Keys[0]
	if !strings.Contains(string(key.Text), "OPENSSH PRIVATE KEY") || string(key.KnownHosts) != hostLine || len(key.Repos) != 1 {
		t.Errorf("key %s: hosts %v, repositories %v", key.Name, key.Hosts, key.Repos)
	}
	s.newKey(0, "server", false)
	if _, err := s.secrets.CheckoutKey(t.Context(), 7, "server"); err != nil {
		t.Errorf("the server's key for a checkout: %v", err)
	}
	if _, err := s.secrets.CheckoutKey(t.Context(), 8, "wiki"); !errs.Is(err, errs.NotFound) {
		t.Errorf("another project's key for a checkout: %v", err)
	}
}

func TestForCompile(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	visible := kept("MODE", "fast", "*", false)
	visible.Masked = false
	s.setVariable(7, visible)
	s.setVariable(7, kept("TOKEN", "project-token", "production", true))
	s.setVariable(0, kept("TOKEN", "server-token", "*", false))
	show := func(r secret.Request) string {
		list, err := s.secrets.ForCompile(t.Context(), 7, r)
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, v := range list {
			out = append(out, v.Name+":"+v.Environment+"="+v.Value.RevealString())
		}
		return strings.Join(out, " ")
	}
	r := secret.Request{Event: "push", Level: secret.LevelProtected, ProtectedRef: true}
	if got, want := show(r), "MODE:*=fast TOKEN:production="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	r.ProtectedRef = false
	if got, want := show(r), "MODE:*=fast TOKEN:*="; got != want {
		t.Errorf("on another ref: got %s, want %s", got, want)
	}
	r.Fork = true
	if got := show(r); got != "" {
		t.Errorf("of a fork: %s", got)
	}
}

func TestForgetKeyOfARunningServer(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.setVariable(7, kept("TOKEN", "project-token", "*", false))
	if err := os.Remove(filepath.Join(s.data, "secret-keys")); err != nil {
		t.Fatal(err)
	}
	if _, err := ForgetKey(t.Context(), Options{Data: s.data}, s.secrets.keys().Key()); !errs.Is(err, errs.Conflict) {
		t.Errorf("forgot the key of a server that runs: %v", err)
	}
	if got := given(t, s, onMain(7)); got != "TOKEN=project-token" {
		t.Errorf("after that: %s", got)
	}
}

func TestRotateKeys(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for _, name := range []string{"A", "B", "C"} {
		s.setVariable(7, kept(name, "a-value-of-"+name+"-123", "*", false))
	}
	s.newKey(7, "wiki", true)
	before := s.secrets.keys().Key()
	if err := s.secrets.RotateKeys(t.Context(), owned()); err != nil {
		t.Fatal(err)
	}
	if _, used, err := s.store.VaultKeys(t.Context()); err != nil || len(used) != 1 || used[0] == before {
		t.Errorf("keys in use after the rotation: %v, %v", used, err)
	}
	if err := s.secrets.RetireKeys(t.Context(), owned()); err != nil {
		t.Fatal(err)
	}
	announced, _, err := s.store.VaultKeys(t.Context())
	if err != nil || len(announced) != 1 {
		t.Errorf("announced %v, %v", announced, err)
	}
	text, err := os.ReadFile(filepath.Join(s.data, "secret-keys"))
	if err != nil || strings.Contains(string(text), before) || !strings.Contains(string(text), announced[0]) {
		t.Errorf("the key file has %s, %v", text, err)
	}
	if got := given(t, s, onMain(7)); !strings.Contains(got, "A=a-value-of-A-123 B=a-value-of-B-123 C=a-value-of-C-123 key wiki") {
		t.Errorf("after the rotation: %s", got)
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ctx := context.Background()
	s := storetest.Open(t, filepath.Join(dir, "refline.db"))
	open := func(path string) (*Access, error) { return OpenAccess(ctx, s, AccessOptions{Data: dir, KeyFile: path}) }
	if _, err := open(""); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "secret-keys")
	// Nothing is encrypted yet: another file may take its place.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	a, err := open("")
	if err != nil {
		t.Fatal(err)
	}
	value := secret.NewString("a-value-of-16-by")
	if _, err := a.SetVariable(ctx, owned(), 7, VariableInput{Name: "A", Value: &value}); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "keys")
	if err := os.Rename(path, elsewhere); err != nil {
		t.Fatal(err)
	}
	if _, err := open(""); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "is missing") || !strings.Contains(err.Error(), a.keys().Key()) || !strings.Contains(err.Error(), "REFLINE_KEY_FILE") {
		t.Errorf("without the file: %v", err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a start that was refused made a key file: %v", err)
	}
	other := filepath.Join(t.TempDir(), "keys")
	if _, err := secret.CreateVault(other); err != nil {
		t.Fatal(err)
	}
	if _, err := open(other); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "is not that of this database") {
		t.Errorf("with another file: %v", err)
	}
	if a, err = open(elsewhere); err != nil {
		t.Errorf("with the file elsewhere: %v", err)
	}
	forget := func(file, key string) (int64, error) {
		return ForgetKey(ctx, Options{Data: dir, KeyFile: file}, key)
	}
	if _, err := forget(elsewhere, a.keys().Key()); !errs.Is(err, errs.Conflict) || !strings.Contains(err.Error(), "nothing is lost") {
		t.Errorf("forgot a key that the file has: %v", err)
	}
	if _, err := forget(other, "0011223344556677"); !errs.Is(err, errs.NotFound) {
		t.Errorf("forgot a key that is not there: %v", err)
	}
	lost, err := forget(other, a.keys().Key())
	if err != nil || lost != 1 {
		t.Errorf("forgot %d values, %v", lost, err)
	}
	if _, err := open(other); err != nil {
		t.Errorf("with another file after the key was forgotten: %v", err)
	}
}

// Of servers with one PostgreSQL none may encrypt what another cannot read.
func TestKeyFileOfSeveralServers(t *testing.T) {
	t.Parallel()
	address := storetest.Postgres(t)
	ctx := context.Background()
	first, second := t.TempDir(), t.TempDir()
	one, err := OpenAccess(ctx, storetest.Open(t, address), AccessOptions{Data: first})
	if err != nil {
		t.Fatal(err)
	}
	s := storetest.Open(t, address)
	if _, err := OpenAccess(ctx, s, AccessOptions{Data: second}); !errs.Is(err, errs.Denied) || !strings.Contains(err.Error(), "another server of the database") {
		t.Errorf("a second server without the file: %v", err)
	}
	if _, err := OpenAccess(ctx, s, AccessOptions{Data: second, KeyFile: filepath.Join(first, "secret-keys")}); err != nil {
		t.Errorf("a second server with the file: %v", err)
	}
	_ = one
}

func TestOwnerToken(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	path := filepath.Join(s.data, OwnerTokenFile)
	again, err := s.secrets.OwnerToken(t.Context())
	if err != nil || again.RevealString() != s.owner {
		t.Errorf("the token of a second start is another: %v", err)
	}
	ask := func(token string) int {
		return s.do(request{path: "/api/v1/projects", token: token}).StatusCode
	}
	for name, spoil := range map[string]func() error{
		"missing":           func() error { return os.Remove(path) },
		"readable by all":   func() error { return os.Chmod(path, 0o644) },
		"empty":             func() error { return os.WriteFile(path, nil, 0o600) },
		"another's":         func() error { return os.WriteFile(path, []byte("rfl_owner_x\n"), 0o600) },
		"of another kind":   func() error { return os.WriteFile(path, []byte(s.token(TokenInput{Scopes: []string{"admin"}})), 0o600) },
		"a link to another": func() error { return os.Symlink("/etc/passwd", path+"x") },
	} {
		if name == "a link to another" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(path+"x", path); err != nil {
				t.Fatal(err)
			}
		} else if err := spoil(); err != nil {
			t.Fatal(err)
		}
		old := s.owner
		made, err := s.secrets.OwnerToken(t.Context())
		if err != nil || made.RevealString() == old {
			t.Fatalf("%s: %v", name, err)
		}
		s.owner = made.RevealString()
		info, err := os.Lstat(path)
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
		}
		if ask(s.owner) != 200 || ask(old) != 401 {
			t.Errorf("%s: the new token gets %d, the old one %d", name, ask(s.owner), ask(old))
		}
	}
}

func TestNewToken(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	for name, tt := range map[string]struct {
		actor Actor
		in    TokenInput
		kind  errs.Kind
	}{
		"no name":          {owned(), TokenInput{Scopes: []string{"read"}, Life: time.Hour}, errs.Invalid},
		"no scope":         {owned(), TokenInput{Name: "a", Life: time.Hour}, errs.Invalid},
		"unknown scope":    {owned(), TokenInput{Name: "a", Scopes: []string{"owner"}, Life: time.Hour}, errs.Invalid},
		"runner's scope":   {owned(), TokenInput{Name: "a", Scopes: []string{"runner"}, Life: time.Hour}, errs.Invalid},
		"for ever":         {owned(), TokenInput{Name: "a", Scopes: []string{"read"}}, errs.Invalid},
		"two years":        {owned(), TokenInput{Name: "a", Scopes: []string{"read"}, Life: 2 * maxTokenLife}, errs.Invalid},
		"past":             {owned(), TokenInput{Name: "a", Scopes: []string{"read"}, Life: -1}, errs.Invalid},
		"tags":             {owned(), TokenInput{Name: "a", Scopes: []string{"read"}, Life: time.Hour, Tags: []string{"x"}}, errs.Invalid},
		"runner's tag":     {owned(), TokenInput{Name: "a", Runner: true, Tags: []string{"a,b"}}, errs.Invalid},
		"line in the name": {owned(), TokenInput{Name: "a\nb", Scopes: []string{"read"}, Life: time.Hour}, errs.Invalid},
		"more than it has": {Actor{Kind: ActorToken, Scopes: []action{actRun}}, TokenInput{Name: "a", Scopes: []string{"deploy"}, Life: time.Hour}, errs.Denied},
		"beyond a project": {Actor{Kind: ActorToken, Scopes: []action{actAdmin}, Project: 7}, TokenInput{Name: "a", Scopes: []string{"read"}, Life: time.Hour}, errs.Denied},
	} {
		if _, _, err := s.secrets.NewToken(t.Context(), tt.actor, tt.in); !errs.Is(err, tt.kind) {
			t.Errorf("%s: %v", name, err)
		}
	}
	text := s.token(TokenInput{Scopes: []string{"read"}, Life: time.Hour})
	if !strings.HasPrefix(text, "rfl_api_") || len(text) != len("rfl_api_")+52 {
		t.Errorf("a token of %d characters: %s…", len(text), text[:8])
	}
	ask := func() int { return s.do(request{path: "/api/v1/projects", token: text}).StatusCode }
	if got := ask(); got != 200 {
		t.Errorf("new: %d", got)
	}
	if err := s.secrets.auth.flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	list, err := s.secrets.Tokens(t.Context(), owned())
	if err != nil || len(list) != 2 || !list[1].Used.Equal(s.now()) {
		t.Errorf("%+v, %v", list, err)
	}
	s.pass(time.Hour)
	if got := ask(); got != 401 {
		t.Errorf("expired: %d", got)
	}
}

// A canary is in no file of the data folder, no WAL, no backup, no log, no answer.
func TestNoSecretIsLeftBehind(t *testing.T) {
	t.Parallel()
	s := startServer(t, nil)
	s.addTestProject(7, "data/flows")
	const value, multi, onServer = "kanarie-9c41d7aa-e0/+b", "first-line-6f1e2b90\nsecond-line-77c1d2\n", "server-kanarie-51bd07f2"
	s.setVariable(7, kept("TOKEN", value, "*", true))
	s.setVariable(7, kept("MULTI", multi, "*", false))
	s.setVariable(0, kept("SHARED", onServer, "*", false))
	s.newKey(7, "wiki", true)
	got, err := s.secrets.ForAttempt(t.Context(), onMain(7))
	if err != nil || len(got.Variables) != 3 || len(got.Keys) != 1 {
		t.Fatalf("%d variables, %d keys, %v", len(got.Variables), len(got.Keys), err)
	}
	api, runner, link := s.token(TokenInput{Scopes: []string{"admin"}}), s.token(TokenInput{Runner: true}), s.link()
	cookie := s.signInWith(api)
	_, session, _ := strings.Cut(cookie, "=")
	canary := secrettest.NewCanary(value, multi, onServer, string(got.Keys[0].Text), api, runner, link, session)

	for _, q := range []request{
		{path: "/api/v1/projects", token: api}, {path: "/api/v1/projects/data%2Fflows", cookie: cookie},
		{path: "/api/v1/projects", token: runner}, {path: "/api/v1/nothing", token: api},
		{path: "/sign-in", cookie: cookie}, {method: "POST", path: "/sign-in", body: url.Values{"token": {link}}.Encode()},
		{method: "POST", path: "/sign-in", body: url.Values{"token": {link}}.Encode()}, // used up
		{method: "POST", path: "/api/v1/projects", token: api, body: `{"url": "` + value + `", "x": "` + onServer + `"}`, header: map[string]string{"Content-Type": "application/json"}},
	} {
		answer := s.do(q)
		text := answer.body
		for name, values := range answer.Header {
			if name != "Set-Cookie" {
				text += "\n" + name + ": " + strings.Join(values, ", ")
			}
		}
		canary.Saw(q.method+" "+q.path, []byte(text))
	}
	// Errors of a changed row and of a missing key name no value either.
	if _, err := s.secrets.SetVariable(t.Context(), owned(), 7, VariableInput{Name: "TOKEN", Environment: "\n", Value: ptr(secret.NewString(value))}); err == nil {
		t.Error("a wrong scope was taken")
	} else {
		canary.Saw("an error", []byte(err.Error()))
	}
	slog.New(slog.NewTextHandler(canary.Writer("values in a log"), nil)).Info("x", "secrets", got.Variables, "variable", got.Variables[0])
	audit, err := s.secrets.Audit(t.Context(), owned(), 0, 1000)
	if err != nil || len(audit) < 8 {
		t.Fatalf("%d events, %v", len(audit), err)
	}
	for _, e := range audit {
		canary.Saw("audit", []byte(e.Actor+e.Action+e.Object+e.Detail))
	}
	canary.Saw("log", []byte(s.log.String()))

	wal, err := os.Stat(filepath.Join(s.data, "refline.db-wal"))
	if err != nil || wal.Size() == 0 {
		t.Fatalf("there is no WAL to look into: %v", err)
	}
	backup := t.TempDir()
	for _, file := range []string{"refline.db", "refline.db-wal"} {
		data, err := os.ReadFile(filepath.Join(s.data, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(backup, file), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	canary.Check(t, s.data, backup)

	// The copy opens, and its values are readable with the key file only.
	copied := storetest.Open(t, filepath.Join(backup, "refline.db"))
	if _, err := OpenAccess(t.Context(), copied, AccessOptions{Data: backup}); !errs.Is(err, errs.Denied) {
		t.Errorf("a backup without the key file: %v", err)
	}
	restored, err := OpenAccess(t.Context(), copied, AccessOptions{Data: backup, KeyFile: filepath.Join(s.data, "secret-keys")})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := restored.ForAttempt(t.Context(), onMain(7)); err != nil || len(again.Variables) != 3 || !again.Variables[2].Value.Equal(secret.NewString(value)) {
		t.Errorf("from the backup: %d variables, %v", len(again.Variables), err)
	}
}

// TestNoSecretInRows: a canary is in no row of either database, so in no dump and no
// backup without the key.
func TestNoSecretInRows(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		s := startServer(t, func(o *Options) {
			if strings.HasPrefix(address, "postgres") {
				o.Database = address
			}
		})
		s.addTestProject(7, "data/flows")
		const value, multi = "kanarie-9c41d7aa-e0/+b", "first-line-6f1e2b90\nsecond-line-77c1d2\n"
		s.setVariable(7, kept("TOKEN", value, "*", true))
		s.setVariable(7, kept("MULTI", multi, "*", false))
		s.newKey(7, "wiki", true)
		got, err := s.secrets.ForAttempt(t.Context(), onMain(7))
		if err != nil || len(got.Keys) != 1 {
			t.Fatalf("%d keys, %v", len(got.Keys), err)
		}
		api, link := s.token(TokenInput{Scopes: []string{"admin"}}), s.link()
		_, session, _ := strings.Cut(s.signInWith(api), "=")
		canary := secrettest.NewCanary(value, multi, string(got.Keys[0].Text), api, link, session, s.owner)
		tables := map[string]int{}
		err = s.store.Dump(t.Context(), func(c store.Chunk) error {
			tables[c.Table] += len(c.Rows)
			for _, row := range c.Rows {
				for i, cell := range row {
					data, ok := cell.([]byte)
					if !ok {
						data = fmt.Append(nil, cell)
					}
					canary.Saw(c.Table+"."+c.Columns[i], data)
				}
			}
			return nil
		})
		if err != nil || tables["variables"] != 2 || tables["keys"] != 1 || tables["tokens"] == 0 || tables["audit"] == 0 {
			t.Errorf("rows %v, %v; want those of variables, keys, tokens and the audit", tables, err)
		}
		canary.Check(t)
	})
}

// A retry asks again: what the project protects now counts.
func TestStillProtected(t *testing.T) {
	t.Parallel()
	facts := func(branch, tag, target string) definition.RunFacts {
		var f definition.RunFacts
		f.Facts.DefaultBranch, f.Facts.Branch, f.Facts.Tag = "main", branch, tag
		if target != "" {
			f.Facts = f.Facts.As(pipeline.TriggerMergeRequest)
			f.Facts.MergeRequest.TargetBranch = target
		}
		return f
	}
	p := store.Project{ProtectedBranches: []string{"main", "release/*"}, ProtectedTags: []string{"v*"}}
	for name, tt := range map[string]struct {
		facts definition.RunFacts
		want  bool
	}{
		"default branch": {facts("main", "", ""), true},
		"release":        {facts("release/1", "", ""), true},
		"feature":        {facts("feature", "", ""), false},
		"tag":            {facts("", "v1", ""), true},
		"other tag":      {facts("", "x1", ""), false},
		"commit":         {facts("", "", ""), false},
		"merge request":  {facts("feature", "", "main"), false},
		"of a release":   {facts("release/1", "", "main"), true},
	} {
		if got := stillProtected(p, tt.facts); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
	if stillProtected(store.Project{}, facts("release/1", "", "")) {
		t.Error("a branch that is not protected any more is")
	}
	if !stillProtected(store.Project{}, facts("main", "", "")) {
		t.Error("the default branch of a project that names none is not protected")
	}
	if stillProtected(store.Project{ProtectedBranches: []string{"release/*"}}, facts("main", "", "")) {
		t.Error("the default branch is protected though the project names other branches only")
	}
}
