package mask

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/binary"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// keyFiles are private keys as files hold them, and their public halves.
func keyFiles(t *testing.T) map[string]struct {
	text   []byte
	public any
} {
	t.Helper()
	k := keys()
	type file = struct {
		text   []byte
		public any
	}
	return map[string]file{
		"RSA, OpenSSH":       {opensshKey(k.rsa, "deploy@example.com"), k.rsa.Public()},
		"RSA, PKCS #8":       {pkcs8(k.rsa), k.rsa.Public()},
		"RSA, PKCS #1":       {pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.rsa)), k.rsa.Public()},
		"Ed25519, OpenSSH":   {opensshKey(k.ed25519, "a comment"), k.ed25519.Public()},
		"Ed25519, 70 digits": {rewrap(opensshKey(k.ed25519, "a comment"), 70), k.ed25519.Public()},
		"Ed25519, PKCS #8":   {pkcs8(k.ed25519), k.ed25519.Public()},
		"ECDSA, OpenSSH":     {opensshKey(k.ecdsa, ""), k.ecdsa.Public()},
		"ECDSA, PKCS #8":     {pkcs8(k.ecdsa), k.ecdsa.Public()},
		"ECDSA, SEC 1":       {pemText("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k.ecdsa))), k.ecdsa.Public()},
		"encrypted, OpenSSH": {pem.EncodeToMemory(must(ssh.MarshalPrivateKeyWithPassphrase(k.rsa, "c", []byte("passphrase")))), k.rsa.Public()},
	}
}

// rewrap writes a PEM text with lines of another width.
func rewrap(text []byte, width int) []byte {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	body := strings.Join(lines[1:len(lines)-1], "")
	out := lines[0] + "\n"
	for ; len(body) > width; body = body[width:] {
		out += body[:width] + "\n"
	}
	return []byte(out + body + "\n" + lines[len(lines)-1] + "\n")
}

// Of a key that is printed nothing is left: no public part, no armour.
func TestPrintedKeyLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, key := range keyFiles(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := string(key.text)
			s := setOf(t, text)
			crlf := strings.ReplaceAll(text, "\n", "\r\n")
			for how, tt := range map[string]struct{ in, want string }{
				"cat":      {"key:\n" + text + "done\n", "key:\n[masked]\ndone\n"},
				"CRLF":     {crlf, "[masked]\r\n"},
				"one line": {strings.ReplaceAll(strings.TrimSpace(text), "\n", " "), "[masked]"},
				"JSON":     {`{"key": "` + strings.ReplaceAll(text, "\n", `\n`) + `"}`, `{"key": "[masked]\n"}`},
				"base64":   {base64.StdEncoding.EncodeToString(bytes.TrimSpace(key.text)), "[masked]"},
				"hex":      {fmt.Sprintf("%x", strings.TrimSpace(text)), "[masked]"},
			} {
				for _, cuts := range [][]byte{nil, {0}, {2, 7, 30}} {
					got := write(t, s, []byte(tt.in), cuts)
					if got != tt.want {
						t.Fatalf("%s, cut as %v: got %q, want %q", how, cuts, got, tt.want)
					}
				}
			}
			lines := strings.Split(strings.TrimSpace(text), "\n")
			for _, line := range lines[1 : len(lines)-1] {
				if len(line) < minPiece {
					continue
				}
				if got := s.String("12:00|" + line + "\n"); got != "12:00|[masked]\n" {
					t.Errorf("the line %s gives %q", line, got)
				}
				for width := minPiece; width < 40; width += 1 + width/20*4 { // fold -w
					for rest := line; len(rest) >= width; rest = rest[width:] {
						if strings.Contains("MA0GCSqGSIb3DQEBAQUA MBMGByqGSM49AgEGCCqGSM49AwEH ANBgkqhkiG9w0BAQEFAA wEwYHKoZIzj0CAQYIKoZIzj0DAQcA", rest[:10]) {
							continue // what every such key and certificate says
						}
						if got := s.String(rest[:width] + "\n"); got != "[masked]\n" {
							t.Fatalf("fold -w %d gives %q", width, got)
						}
					}
				}
			}
			found, err := s.Scan(strings.NewReader(text))
			if err != nil || len(found) != 1 || found[0].Offset != 0 || found[0].Length != int64(len(text)-1) {
				t.Errorf("scan finds %+v, %v", found, err)
			}
		})
	}
}

// A first or last line of a key that belongs to no masked text says nothing.
func TestArmourAloneStays(t *testing.T) {
	t.Parallel()
	s := setOf(t, string(pkcs8(keys().rsa)), "hunter2hunter")
	for _, text := range []string{
		"-----BEGIN PRIVATE KEY-----\nMIIthisIsAnotherKey\n-----END PRIVATE KEY-----\n", "grep -e '-----BEGIN RSA PRIVATE KEY-----' *\n",
		"-----", "----------------------", "-----BEGIN", "-----BEGIN CERTIFICATE-----\n", "hunter\n-----END PRIVATE KEY-----\n",
	} {
		for _, cuts := range [][]byte{nil, {0}, {8}} {
			if got := write(t, s, []byte(text), cuts); got != text {
				t.Errorf("%q, cut as %v, came out as %q", text, cuts, got)
			}
		}
	}
	if got := write(t, s, []byte("hunter2hunter\n-----END OF FILE\n"), []byte{0}); got != "[masked]\n-----END OF FILE\n" {
		t.Errorf("got %q", got)
	}
}

// Public halves stay as they are, in the forms in which they are public.
func TestPublicFormsStay(t *testing.T) {
	t.Parallel()
	for name, key := range keyFiles(t) {
		if testing.Short() && !strings.HasSuffix(name, "OpenSSH") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			line := strings.TrimSpace(authorized(key.public))
			spki := string(pemText("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key.public))))
			forms := map[string]string{
				"authorized_keys": line + " deploy@example.com\n", "known_hosts": "git.example.com,10.0.0.1 " + line + "\n",
				"SPKI": spki, "SPKI with times": prefixed(spki, "2026-01-02T03:04:05Z "), "SPKI, CRLF": strings.ReplaceAll(spki, "\n", "\r\n"),
				"SPKI in JSON": `"` + strings.ReplaceAll(spki, "\n", `\n`) + `"`, "two": line + "\n" + spki + line + "\n",
				"fingerprint": ssh.FingerprintSHA256(must(ssh.NewPublicKey(key.public))),
			}
			if k, ok := key.public.(*rsa.PublicKey); ok {
				forms["PKCS #1"] = string(pemText("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(k)))
			}
			for length := 1; length < 4; length++ { // alignments
				forms[fmt.Sprintf("certificate %d", length)] = certificate(t, key.public, strings.Repeat("x", length))
			}
			s := setOf(t, string(key.text))
			for form, text := range forms {
				if got := s.String(text); got != text {
					t.Errorf("%s: %s\nis masked:\n%s", form, text, got)
				}
				for _, cuts := range [][]byte{{0}, {15, 3}, {29}} {
					if got := write(t, s, []byte(text), cuts); got != text {
						t.Errorf("%s is masked when it is written in pieces:\n%s", form, got)
					}
				}
			}
			both := line + "\n" + string(key.text) + line + "\n"
			for _, cuts := range [][]byte{nil, {0}, {11}} {
				if got := write(t, s, []byte(both), cuts); got != line+"\n[masked]\n"+line+"\n" {
					t.Errorf("the private key between public ones came out as\n%s", got)
				}
			}
		})
	}
}

func prefixed(text, prefix string) string {
	return prefix + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n"+prefix) + "\n"
}

// certificate certifies a public key, by a key of another.
func certificate(t *testing.T, public any, name string) string {
	t.Helper()
	issuer := must(rsa.GenerateKey(nil, 2048))
	c := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	return string(pemText("CERTIFICATE", must(x509.CreateCertificate(rand.Reader, &c, &c, public, issuer))))
}

// The private numbers of a key are masked in every format, whichever format the
// secret has: with one of them the key can be made again.
func TestPrivateNumbersInEveryFormat(t *testing.T) {
	t.Parallel()
	k := keys()
	p, q := k.rsa.Primes[0], k.rsa.Primes[1]
	pInv := new(big.Int).ModInverse(p, q)
	numbers := map[string]map[string][]byte{
		"RSA": {"d": k.rsa.D.Bytes(), "p": p.Bytes(), "q": q.Bytes(), "dp": k.rsa.Precomputed.Dp.Bytes(), "dq": k.rsa.Precomputed.Dq.Bytes(),
			"qinv": k.rsa.Precomputed.Qinv.Bytes(), "pinv": pInv.Bytes()},
		"Ed25519": {"seed": k.ed25519.Seed()},
		"ECDSA":   {"d": must(k.ecdsa.Bytes()), "d without zeros": bytes.TrimLeft(must(k.ecdsa.Bytes()), "\x00")},
	}
	for name, key := range keyFiles(t) {
		if strings.HasPrefix(name, "encrypted") {
			continue
		}
		kind, _, _ := strings.Cut(name, ",")
		s := setOf(t, string(key.text))
		for which, n := range numbers[kind] {
			for form, text := range map[string]string{
				"hex": fmt.Sprintf("%x", n), "upper case": fmt.Sprintf("%X", n), "with colons": strings.ReplaceAll(fmt.Sprintf("% x", n), " ", ":"),
				"decimal": new(big.Int).SetBytes(n).String(), "base64url": base64.RawURLEncoding.EncodeToString(n),
				"base64, aligned otherwise": base64.StdEncoding.EncodeToString(append([]byte{0}, n...)), "bytes": string(n),
			} {
				got := s.String("<" + text + ">")
				if rest := strings.ReplaceAll(got, Token, ""); len(rest) > 2+4 && form != "bytes" || longestShared(got, text) >= 2*minPiece {
					t.Errorf("%s: %s as %s gives %s", name, which, form, got)
				}
			}
		}
	}
}

// longestShared returns the length of the longest text that is in both.
func longestShared(a, b string) int {
	n := 0
	for i := range a {
		for i+n < len(a) && strings.Contains(b, a[i:i+n+1]) {
			n++
		}
	}
	return n
}

// A key is masked when another program has written it in another format.
func TestKeyInEveryOtherFormat(t *testing.T) {
	t.Parallel()
	files := keyFiles(t)
	ppk := map[string]string{"RSA": puttyBlob(keys().rsa.D, keys().rsa.Primes[0], keys().rsa.Primes[1], new(big.Int).ModInverse(keys().rsa.Primes[1], keys().rsa.Primes[0])),
		"ECDSA": puttyBlob(new(big.Int).SetBytes(must(keys().ecdsa.Bytes())))}
	for name, secret := range files {
		kind, _, _ := strings.Cut(name, ",")
		s := setOf(t, string(secret.text))
		for other, printed := range files {
			if !strings.HasPrefix(other, kind) || kind == "encrypted" {
				continue
			}
			got := s.String(string(printed.text))
			if strings.Contains(other, "OpenSSH") || strings.Contains(other, "70") {
				// Its check numbers, its comment and its padding are its own.
				if rest := strings.ReplaceAll(got, Token, ""); len(rest) > 200 || longestShared(rest, string(printed.text)) > 80 {
					t.Errorf("%s printed as %s gives\n%s", name, other, got)
				}
				continue
			}
			if got != "[masked]\n" {
				t.Errorf("%s printed as %s gives\n%s", name, other, got)
			}
		}
		if text, ok := ppk[kind]; ok {
			if got := s.String("Private-Lines: 4\n" + text + "\nPrivate-MAC: 1234\n"); got != "Private-Lines: 4\n[masked]\nPrivate-MAC: 1234\n" {
				t.Errorf("%s printed by PuTTY gives\n%s", name, got)
			}
		}
	}
}

// puttyBlob is the private part of a file of PuTTY.
func puttyBlob(numbers ...*big.Int) string {
	var blob []byte
	for _, x := range numbers {
		b := x.Bytes()
		if b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		blob = append(binary.BigEndian.AppendUint32(blob, uint32(len(b))), b...)
	}
	text, out := base64.StdEncoding.EncodeToString(blob), ""
	for ; len(text) > 64; text = text[64:] {
		out += text[:64] + "\n"
	}
	return out + text
}

// Public keys and certificates beside a private key are not secrets.
func TestBundle(t *testing.T) {
	t.Parallel()
	k := keys()
	cert := certificate(t, k.ecdsa.Public(), "x")
	s := setOf(t, cert+string(pkcs8(k.ecdsa)))
	if got := s.String(cert + string(pkcs8(k.ecdsa))); got != cert+"[masked]\n" {
		t.Errorf("got\n%s", got)
	}
}
