package mask

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

// ordinaryLogs returns what common programs print: no secret is in it.
func ordinaryLogs(t testing.TB) []byte { return texts(t, "testdata/logs/*.log") }

// dumps returns hex dumps and the like, where masking has more to look at.
func dumps(t testing.TB) []byte { return texts(t, "testdata/dumps/*.log") }

func texts(t testing.TB, pattern string) []byte {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no files match %s (%v)", pattern, err)
	}
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

func pemText(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err) // only in tests, with inputs that cannot fail
	}
	return v
}

// testKeys are made once for all tests: RSA keys take a second.
type testKeys struct {
	rsa     *rsa.PrivateKey
	ed25519 ed25519.PrivateKey
	ecdsa   *ecdsa.PrivateKey
}

var keys = sync.OnceValue(func() testKeys {
	_, ed, err := ed25519.GenerateKey(nil)
	return testKeys{
		rsa:     must(rsa.GenerateKey(nil, 3072)),
		ed25519: must(ed, err),
		ecdsa:   must(ecdsa.GenerateKey(elliptic.P256(), nil)),
	}
})

func opensshKey(key any, comment string) []byte {
	return pem.EncodeToMemory(must(ssh.MarshalPrivateKey(key, comment)))
}

// fakeKey has the shape and the randomness of an RSA key, without the wait.
func fakeKey(r *rand.Rand) []byte {
	der := make([]byte, 1200)
	r.Read(der)
	return pemText("RSA PRIVATE KEY", der)
}

func token(r *rand.Rand, n int) []byte {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, n)
	for i := range b {
		b[i] = alphabet[r.Intn(len(alphabet))]
	}
	return b
}

func serviceAccount(key []byte) []byte {
	return must(json.MarshalIndent(map[string]string{
		"type":           "service_account",
		"project_id":     "demo-project-1234",
		"private_key_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f001122334",
		"private_key":    string(key),
		"client_email":   "deployer@demo-project-1234.iam.gserviceaccount.com",
		"client_id":      "117403958260718394625",
		"token_uri":      "https://oauth2.googleapis.com/token",
	}, "", "  "))
}

// mixedSecrets returns what a large installation might hold: of each ten, six
// tokens, one short password, one passphrase, one key, one file in JSON or
// with several lines.
func mixedSecrets(n int) [][]byte {
	r := rand.New(rand.NewSource(int64(n)))
	var out [][]byte
	for i := range n {
		switch i % 10 {
		case 0:
			out = append(out, fmt.Appendf(nil, "glpat-%s", token(r, 20)))
		case 1:
			out = append(out, token(r, 8+r.Intn(8)))
		case 2:
			out = append(out, fmt.Appendf(nil, "%s %s!/%s", token(r, 7), token(r, 5), token(r, 9)))
		case 3:
			if i%20 == 3 {
				_, key, _ := ed25519.GenerateKey(r)
				out = append(out, opensshKey(key, "deploy@example.com"))
			} else {
				out = append(out, fakeKey(r))
			}
		case 4:
			if i%20 == 4 {
				out = append(out, serviceAccount(fakeKey(r)))
			} else {
				out = append(out, fmt.Appendf(nil, "user: %s\npass: %s\nhost: db-%d\n", token(r, 9), token(r, 24), i))
			}
		default:
			out = append(out, token(r, 20+r.Intn(44)))
		}
	}
	return out
}

func pkcs8(key any) []byte { return pemText("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key))) }

// authorized returns a public key as a line of authorized_keys.
func authorized(public any) string {
	return string(ssh.MarshalAuthorizedKey(must(ssh.NewPublicKey(public))))
}
