package sshagent

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"refline/internal/errs"
	"refline/internal/forge"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // only in tests, with inputs that cannot fail
	}
	return v
}

func newKey() ed25519.PrivateKey {
	_, key, err := ed25519.GenerateKey(nil)
	return must(key, err)
}

// opensshText returns a key as ssh-keygen writes it, in lines of 70.
func opensshText(key any, comment string) string {
	block := must(ssh.MarshalPrivateKey(key, comment))
	text := "-----BEGIN OPENSSH PRIVATE KEY-----\n"
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(block.Bytes)), 70) {
		text += string(line) + "\n"
	}
	return text + "-----END OPENSSH PRIVATE KEY-----\n"
}

func pemText(label string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: label, Bytes: der}))
}

func TestReadKeyFile(t *testing.T) {
	t.Parallel()
	ed := newKey()
	r := must(rsa.GenerateKey(nil, 2048))
	ec := must(ecdsa.GenerateKey(elliptic.P384(), nil))
	body := func(text string) string {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		return strings.Join(lines[1:len(lines)-1], "")
	}
	edText, rsaText := opensshText(ed, "deploy@example.com"), pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r))
	ecText := pemText("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(ec)))
	ecOpenSSH, rsaOpenSSH := opensshText(ec, ""), opensshText(r, "c")
	pkcs8 := pemText("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ed)))
	for name, tt := range map[string]struct {
		text, kind, format, comment string
		mended                      []string
		want                        string
	}{
		"as ssh-keygen writes it": {edText, "ed25519", "OpenSSH", "deploy@example.com", nil, edText},
		"rsa":                     {rsaText, "rsa 2048", "PKCS #1", "", nil, rsaText},
		"rsa in OpenSSH's format": {rsaOpenSSH, "rsa 2048", "OpenSSH", "c", nil, rsaOpenSSH},
		"ecdsa":                   {ecText, "ecdsa 384", "SEC 1", "", nil, ecText},
		"ecdsa in OpenSSH's":      {ecOpenSSH, "ecdsa 384", "OpenSSH", "", nil, ecOpenSSH},
		"pkcs8":                   {pkcs8, "ed25519", "PKCS #8", "", nil, pkcs8},
		"line ends of Windows": {strings.ReplaceAll(edText, "\n", "\r\n"), "ed25519", "OpenSSH", "deploy@example.com",
			[]string{"it has line ends of Windows"}, edText},
		"no last line end": {strings.TrimSpace(edText), "ed25519", "OpenSSH", "deploy@example.com",
			[]string{"the last line has no line end"}, edText},
		"spaces for line breaks": {strings.ReplaceAll(edText, "\n", " "), "ed25519", "OpenSSH", "deploy@example.com",
			[]string{"its line breaks are missing", "the last line has no line end"}, edText},
		"backslash n": {strings.ReplaceAll(rsaText, "\n", `\n`), "rsa 2048", "PKCS #1", "",
			[]string{`its line breaks are written as \n`, "the last line has no line end"}, rsaText},
		"body in one line": {body(edText), "ed25519", "OpenSSH", "deploy@example.com",
			[]string{"the lines -----BEGIN … and -----END … are missing"}, edText},
		"body of rsa":   {body(rsaText), "rsa 2048", "PKCS #1", "", []string{"the lines -----BEGIN … and -----END … are missing"}, rsaText},
		"body of ecdsa": {body(ecText), "ecdsa 384", "SEC 1", "", []string{"the lines -----BEGIN … and -----END … are missing"}, ecText},
		"body of pkcs8": {body(pkcs8), "ed25519", "PKCS #8", "", []string{"the lines -----BEGIN … and -----END … are missing"}, pkcs8},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := ReadKeyFile([]byte(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			got := []string{k.Type, k.Format, k.Comment}
			if diff := cmp.Diff([]string{tt.kind, tt.format, tt.comment}, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(tt.mended, k.Mended); diff != "" {
				t.Errorf("mended (-want +got)\n%s", diff)
			}
			if string(k.PEM()) != tt.want {
				t.Error("the mended key is not the key")
			}
			if strings.Join(k.Lines, "") != k.OneLine() || k.OneLine() != body(tt.want) {
				t.Error("the lines are not the body")
			}
			if reason := forge.GitLabMaskable(k.OneLine(), false); reason != "" {
				t.Errorf("GitLab would not mask the one line: %s", reason)
			}
			if _, err := ParseKey([]byte(tt.text)); err != nil {
				t.Errorf("ParseKey: %v", err)
			}
		})
	}
}

func TestReadKeyFileRefuses(t *testing.T) {
	t.Parallel()
	text := opensshText(newKey(), "c")
	locked := string(pem.EncodeToMemory(must(ssh.MarshalPrivateKeyWithPassphrase(newKey(), "c", []byte("pass")))))
	for name, tt := range map[string]struct{ text, want string }{
		"nothing":      {"", "some of it may be missing"},
		"prose":        {"my key is on the other computer", "not base64"},
		"a public key": {string(ssh.MarshalAuthorizedKey(must(ssh.NewPublicKey(newKey().Public())))), "the public half"},
		"a token":      {"Z2xwYXQtYWJjZGVmZ2hpamtsbW5vcA==", "not a private key"},
		"cut in half":  {text[:len(text)/2], "BEGIN"},
		"a hole in it": {strings.Replace(text, text[100:150], "", 1), "may be missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadKeyFile([]byte(tt.text))
			if name == "cut in half" { // without its end it is no armour; with ssh's parser it is no key
				_, err = ParseKey([]byte(tt.text))
				tt.want = "cannot be read"
			}
			if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
	if k, err := ReadKeyFile([]byte(locked)); err != nil || !k.Passphrase || k.CommentLengths() != nil {
		t.Errorf("a key with a passphrase: got %+v, %v", k, err)
	}
	if _, err := ParseKey([]byte(locked)); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("a key with a passphrase: got %v", err)
	}
}

// The published way makes a variable of each line; it fails for an Ed25519 key
// whose comment has 30 to 37 characters.
func TestCommentLengths(t *testing.T) {
	t.Parallel()
	key := newKey()
	lengths := must(ReadKeyFile([]byte(opensshText(key, "some comment")))).CommentLengths()
	if diff := cmp.Diff([]Range{{0, 29}, {38, 64}}, lengths); diff != "" {
		t.Errorf("ed25519 (-want +got)\n%s", diff)
	}
	for _, key := range []any{key, must(ecdsa.GenerateKey(elliptic.P256(), nil)), must(rsa.GenerateKey(nil, 2048))} {
		first := must(ReadKeyFile([]byte(opensshText(key, ""))))
		for n := range maxComment + 1 {
			k := must(ReadKeyFile([]byte(opensshText(key, strings.Repeat("c", n)))))
			good := slices.ContainsFunc(first.CommentLengths(), func(r Range) bool { return r.From <= n && n <= r.To })
			if good != (len(k.ShortLines()) == 0) {
				t.Errorf("%s, comment of %d characters: said to be good: %v, but short lines: %v", k.Type, n, good, k.ShortLines())
			}
		}
	}
}

// What is mended is what ssh-keygen itself reads.
func TestMendedKeysLoad(t *testing.T) {
	t.Parallel()
	need(t, "ssh-keygen", "openssh-client")
	ed := newKey()
	r := must(rsa.GenerateKey(nil, 2048))
	want := string(ssh.MarshalAuthorizedKey(must(ssh.NewPublicKey(ed.Public()))))
	wantRSA := string(ssh.MarshalAuthorizedKey(must(ssh.NewPublicKey(r.Public()))))
	for name, tt := range map[string]struct{ text, want string }{
		"crlf":     {strings.ReplaceAll(opensshText(ed, ""), "\n", "\r\n"), want},
		"cut":      {strings.TrimSpace(opensshText(ed, "")), want},
		"one line": {must(ReadKeyFile([]byte(opensshText(ed, "")))).OneLine(), want},
		"rsa":      {must(ReadKeyFile([]byte(pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(r))))).OneLine(), wantRSA},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(file, Mend([]byte(tt.text)), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command("ssh-keygen", "-y", "-P", "", "-f", file).CombinedOutput()
			if err != nil || !strings.HasPrefix(string(out), strings.TrimSpace(tt.want)) {
				t.Errorf("ssh-keygen -y: %v\n%s", err, out)
			}
		})
	}
}

// need skips the test when a program is missing.
func need(t *testing.T, program, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("this test needs %s; on Debian: apt-get install %s", program, pkg)
	}
	return path
}

func FuzzReadKeyFile(f *testing.F) {
	f.Add([]byte(opensshText(newKey(), "comment")))
	f.Add([]byte(pemText("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(newKey())))))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nDEK-Info: x\n\nAAAA\n-----END PRIVATE KEY-----"))
	f.Add([]byte("b3BlbnNzaC1rZXktdjEAAAAABG5vbmU="))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := ReadKeyFile(text)
		if err != nil {
			return
		}
		again, err := ReadKeyFile(k.PEM())
		if err != nil || len(again.Mended) > 0 || string(again.PEM()) != string(k.PEM()) {
			t.Fatalf("the mended key needs mending again: %v %+v", err, again)
		}
		k.CommentLengths()
	})
}

// A key with any comment is split into lines that GitLab masks, or the short one is
// named with the lengths that avoid it; what is split is joined again.
func TestSplitAndJoinWithAnyComment(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]crypto.PrivateKey{"ed25519": ed}
	for name, curve := range map[string]elliptic.Curve{"256": elliptic.P256(), "384": elliptic.P384(), "521": elliptic.P521()} {
		if keys["ecdsa "+name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if keys["rsa"], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		t.Fatal(err)
	}
	for name, key := range keys {
		for n := range 81 {
			if name == "rsa" && n%9 > 1 { // they take long to read
				continue
			}
			block, err := ssh.MarshalPrivateKey(key, strings.Repeat("c", n))
			if err != nil {
				t.Fatal(err)
			}
			k, err := ReadKeyFile(pem.EncodeToMemory(block))
			if err != nil {
				t.Fatalf("%s, comment of %d: %v", name, n, err)
			}
			for i, line := range k.Lines {
				if short := slices.Contains(k.ShortLines(), i+1); short != (forge.GitLabMaskable(line, false) != "") {
					t.Errorf("%s, comment of %d: line %d has %d characters; named as short: %v", name, n, i+1, len(line), short)
				}
			}
			avoids := slices.ContainsFunc(k.CommentLengths(), func(r Range) bool { return r.From <= n && n <= r.To })
			if n <= maxComment && avoids != (len(k.ShortLines()) == 0) {
				t.Errorf("%s: a comment of %d is said to avoid short lines: %v; short are %v", name, n, avoids, k.ShortLines())
			}
			if why := forge.GitLabMaskable(k.OneLine(), false); why != "" {
				t.Errorf("%s, comment of %d: in one line: %s", name, n, why)
			}
			for _, text := range []string{k.OneLine(), strings.Join(k.Lines, "\n"), strings.Join(k.Lines, "\r\n")} {
				joined, err := ReadKeyFile([]byte(text))
				if err != nil || !bytes.Equal(joined.PEM(), k.PEM()) {
					t.Errorf("%s, comment of %d: it is not the same key again: %v", name, n, err)
				}
			}
		}
	}
}
