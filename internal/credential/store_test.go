package credential

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
	"refline/internal/sshagent"
)

func TestStore(t *testing.T) {
	t.Parallel()
	s := Store{Dir: filepath.Join(t.TempDir(), "keys")}
	for _, kind := range []string{"ed25519", "ecdsa", "rsa"} {
		text, err := GenerateKey(kind, kind+"@refline")
		if err != nil {
			t.Fatal(err)
		}
		if file, err := sshagent.ReadKeyFile(text); err != nil || !strings.HasPrefix(file.Type, kind) || len(file.Mended) > 0 || file.Comment != kind+"@refline" {
			t.Errorf("%s: %+v, %v", kind, file, err)
		}
		want := Key{Text: text, KnownHosts: []byte("git.example.com ssh-ed25519 AAAA\n")}
		if err := s.Add(&DeployKey{Name: kind, Hosts: []string{"git.example.com"}}, want); err != nil {
			t.Fatal(err)
		}
		got, err := s.Key(kind)
		if err != nil || !bytes.Equal(got.Text, want.Text) || !bytes.Equal(got.KnownHosts, want.KnownHosts) {
			t.Errorf("%s: %v", kind, err)
		}
		k, err := s.Get(kind)
		if err != nil || !strings.HasSuffix(k.Public, " "+kind+"@refline") {
			t.Errorf("%s: %+v, %v", kind, k, err)
		}
		if public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.Public)); err != nil || ssh.FingerprintSHA256(public) != k.Fingerprint {
			t.Errorf("%s: %v", kind, err)
		}
		if info, err := os.Stat(filepath.Join(s.Dir, kind, "key")); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", kind, info, err)
		}
	}
	if list, err := s.List(); err != nil || len(list) != 3 {
		t.Errorf("%v, %v", list, err)
	}
	if err := s.Remove("rsa"); err != nil || s.Has("rsa") || !s.Has("ecdsa") {
		t.Errorf("remove: %v", err)
	}
	for _, name := range []string{"rsa", "", ".", "..", "../keys", "-x"} {
		if _, err := s.Key(name); !errs.Is(err, errs.NotFound) {
			t.Errorf("%q: got %v", name, err)
		}
		if err := s.Remove(name); !errs.Is(err, errs.NotFound) {
			t.Errorf("remove %q: got %v", name, err)
		}
	}
	if _, err := GenerateKey("dsa", ""); !errs.Is(err, errs.Invalid) {
		t.Errorf("dsa: %v", err)
	}
}

func TestSelectHosts(t *testing.T) {
	t.Parallel()
	const key = " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJp4lF1D7VoZ0GEPUcTjnf4g7v5c2zTzUTHH8Li1Qtns\n"
	known := "a.example.com,!b.example.com,*.example.com" + key + "[*.ports.example]:22?2" + key +
		"@cert-authority ca.example.org" + key + "@revoked revoked.example.org" + key + "broken\n@\n \n#c.example.org" + key
	for host, want := range map[string]string{
		"a.example.com": "a.example.com,!b.example.com,*.example.com" + key, "B.example.com": "", "x.EXAMPLE.com": "a.example.com,!b.example.com,*.example.com" + key,
		"git.ports.example:2222": "[*.ports.example]:22?2" + key, "git.ports.example:2223": "", "ca.example.org": "",
		"revoked.example.org": "@revoked revoked.example.org" + key, "c.example.org": "",
	} {
		h, err := ParseHost(host)
		if err != nil {
			t.Fatal(err)
		}
		lines, missing := SelectHosts([]byte(known), []Host{h})
		if string(lines) != want || (missing == nil) != (want != "" && want[0] != '@') {
			t.Errorf("%s: got %q, missing %v; want %q", host, lines, missing, want)
		}
	}
}
