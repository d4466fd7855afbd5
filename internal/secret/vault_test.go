package secret

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"refline/internal/errs"
)

var vaultPlace = Place{Kind: "variable", Scope: 7, Name: "DEPLOY_TOKEN", Environment: "production/*", Version: 3, Flags: "protected"}

func newTestVault(t *testing.T) (*Vault, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data", "key")
	v, err := CreateVault(path)
	if err != nil {
		t.Fatal(err)
	}
	return v, path
}

func TestVaultOpensWhatItSealed(t *testing.T) {
	t.Parallel()
	v, path := newTestVault(t)
	for _, text := range []string{"", content, strings.Repeat("line\n", 10000)} {
		sealed, err := v.Seal(vaultPlace, NewString(text))
		if err != nil {
			t.Fatal(err)
		}
		if text != "" && bytes.Contains(sealed.Data, []byte(text)) {
			t.Error("the ciphertext holds the value")
		}
		again, err := OpenVault(path)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := again.Open(vaultPlace, sealed); err != nil || got.RevealString() != text {
			t.Errorf("%d bytes: got %d bytes, %v", len(text), got.Len(), err)
		}
	}
	one, _ := v.Seal(vaultPlace, NewString(content))
	two, _ := v.Seal(vaultPlace, NewString(content))
	if bytes.Equal(one.Data, two.Data) {
		t.Error("the same value has the same ciphertext twice")
	}
}

// A row that is exchanged with another must not open: a value for production
// would else reach a job of a review.
func TestVaultRefusesAnotherPlace(t *testing.T) {
	t.Parallel()
	v, path := newTestVault(t)
	sealed, err := v.Seal(vaultPlace, NewString(content))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Place, *Sealed){
		"kind":                    func(p *Place, _ *Sealed) { p.Kind = "key" },
		"scope":                   func(p *Place, _ *Sealed) { p.Scope = 0 },
		"name":                    func(p *Place, _ *Sealed) { p.Name = "DEPLOY_TOKEN2" },
		"environment":             func(p *Place, _ *Sealed) { p.Environment = "*" },
		"version":                 func(p *Place, _ *Sealed) { p.Version = 2 },
		"flags":                   func(p *Place, _ *Sealed) { p.Flags = "" },
		"name and environment":    func(p *Place, _ *Sealed) { p.Name, p.Environment = "DEPLOY_TOKENp", "roduction/*" },
		"first byte":              func(_ *Place, s *Sealed) { s.Data[0] ^= 1 },
		"last byte":               func(_ *Place, s *Sealed) { s.Data[len(s.Data)-1] ^= 1 },
		"cut":                     func(_ *Place, s *Sealed) { s.Data = s.Data[:10] },
		"empty":                   func(_ *Place, s *Sealed) { s.Data = nil },
		"cut after the nonce":     func(_ *Place, s *Sealed) { s.Data = s.Data[:24] },
		"one byte more":           func(_ *Place, s *Sealed) { s.Data = append(s.Data, 0) },
		"key id of another (key)": func(_ *Place, s *Sealed) { s.Key = "0011223344556677" },
	} {
		t.Run(name, func(t *testing.T) {
			p, s := vaultPlace, Sealed{Key: sealed.Key, Data: bytes.Clone(sealed.Data)}
			change(&p, &s)
			got, err := v.Open(p, s)
			want := errs.Conflict
			if strings.Contains(name, "(key)") {
				want = errs.Denied
			}
			if !errs.Is(err, want) || got.Len() != 0 {
				t.Errorf("got %d bytes, %v; want an error of kind %v", got.Len(), err, want)
			}
			if err != nil && strings.Contains(err.Error(), content) {
				t.Error("the error tells a value")
			}
		})
	}
	rotated, err := v.Rotate(path)
	if err != nil {
		t.Fatal(err)
	}
	// The id of a key that is there, but not the one that encrypted.
	if _, err := rotated.Open(vaultPlace, Sealed{Key: rotated.Key(), Data: sealed.Data}); !errs.Is(err, errs.Conflict) {
		t.Errorf("another key's id: %v", err)
	}
}

func TestVaultRotates(t *testing.T) {
	t.Parallel()
	first, path := newTestVault(t)
	old, err := first.Seal(vaultPlace, NewString(content))
	if err != nil {
		t.Fatal(err)
	}
	second, err := first.Rotate(path)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := second.Seal(vaultPlace, NewString(content))
	if err != nil || fresh.Key == old.Key || fresh.Key != second.Key() {
		t.Fatalf("after rotation: key %s, before %s, %v", fresh.Key, old.Key, err)
	}
	if _, err := second.Open(vaultPlace, old); err != nil {
		t.Errorf("an older value: %v", err)
	}
	if missing := first.Missing(second.Keys()); len(missing) != 1 || missing[0] != second.Key() {
		t.Errorf("missing from the older vault: %v", missing)
	}
	last, err := second.Retire(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := last.Open(vaultPlace, old); !errs.Is(err, errs.Denied) {
		t.Errorf("with a retired key: %v", err)
	}
	again, err := OpenVault(path)
	if err != nil || len(again.Keys()) != 1 {
		t.Fatalf("after Retire: %v, %v", again, err)
	}
	if got, err := again.Open(vaultPlace, fresh); err != nil || got.RevealString() != content {
		t.Errorf("the newer value: %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Dir(path)); len(entries) != 1 {
		t.Errorf("files beside the key file: %v", entries)
	}
}

func TestVaultFile(t *testing.T) {
	t.Parallel()
	v, path := newTestVault(t)
	if _, err := CreateVault(path); !errs.Is(err, errs.Conflict) {
		t.Errorf("a second CreateVault: %v", err)
	}
	if again, err := OpenVault(path); err != nil || again.Key() != v.Key() {
		t.Errorf("after a second CreateVault: %v", err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	encoded := string(good[len(good)-45 : len(good)-1])
	for name, tt := range map[string]struct {
		text string
		mode os.FileMode
		want errs.Kind
	}{
		"empty":             {"", 0o600, errs.Invalid},
		"comments":          {vaultHeader, 0o600, errs.Invalid},
		"another file":      {"AGE-SECRET-KEY-1ABC\n", 0o600, errs.Invalid},
		"a letter changed":  {strings.Replace(string(good), encoded, "AAAA"+encoded[4:], 1), 0o600, errs.Invalid},
		"cut":               {string(good[:len(good)-10]), 0o600, errs.Invalid},
		"too long":          {string(good) + strings.Repeat("#\n", maxVaultFile), 0o600, errs.Invalid},
		"readable by all":   {string(good), 0o644, errs.Denied},
		"writable by group": {string(good), 0o660, errs.Denied},
		"readable by group": {string(good), 0o440, errs.Internal},
		"lines of Windows":  {strings.ReplaceAll(string(good), "\n", "\r\n"), 0o600, errs.Internal},
	} {
		if runtime.GOOS == "windows" && tt.want == errs.Denied {
			continue
		}
		p := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(p, []byte(tt.text), tt.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p, tt.mode); err != nil {
			t.Fatal(err)
		}
		_, err := OpenVault(p)
		if tt.want == errs.Internal && err != nil || tt.want != errs.Internal && !errs.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), encoded[4:]) {
			t.Errorf("%s: the error tells a key", name)
		}
	}
	if _, err := OpenVault(filepath.Join(t.TempDir(), "none")); !errs.Is(err, errs.NotFound) {
		t.Errorf("no file: %v", err)
	}
}
