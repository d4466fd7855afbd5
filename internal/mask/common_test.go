package mask

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// logWriter writes logs as common programs print them, with other versions,
// digests, times and names each time.
type logWriter struct {
	*rand.Rand
	bytes.Buffer
}

func (w *logWriter) line(format string, args ...any) { fmt.Fprintf(&w.Buffer, format+"\n", args...) }

func (w *logWriter) hex(n int) string {
	b := make([]byte, n)
	w.Rand.Read(b)
	return fmt.Sprintf("%x", b)
}

func (w *logWriter) base64(n int) string {
	b := make([]byte, n)
	w.Rand.Read(b)
	return base64.StdEncoding.EncodeToString(b)
}

func (w *logWriter) uuid() string {
	h := w.hex(16)
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

func (w *logWriter) version() string {
	return fmt.Sprintf("%d.%d.%d", w.Intn(9), w.Intn(30), w.Intn(20))
}

func (w *logWriter) time() string {
	return fmt.Sprintf("2026-%02d-%02dT%02d:%02d:%02d.%06dZ", 1+w.Intn(12), 1+w.Intn(28), w.Intn(24), w.Intn(60), w.Intn(60), w.Intn(1e6))
}

func (w *logWriter) name() string {
	words := strings.Fields("core parser http client server config util test json yaml cache store event queue stream build plugin runtime service account token password production database")
	return words[w.Intn(len(words))] + "-" + words[w.Intn(len(words))]
}

// ordinary are the programs, a stretch of log each.
func (w *logWriter) ordinary() map[string]func() {
	return map[string]func(){
		"npm": func() {
			w.line("npm warn deprecated %s@%s: this version is no longer supported", w.name(), w.version())
			w.line(`      "integrity": "sha512-%s",`, w.base64(64))
			w.line("npm http fetch GET 200 https://registry.npmjs.org/%s/-/%s-%s.tgz %dms (cache miss)", w.name(), w.name(), w.version(), w.Intn(900))
			w.line("added %d packages, and audited %d packages in %ds", w.Intn(900), w.Intn(900), w.Intn(60))
		},
		"maven": func() {
			w.line("[INFO] Downloading from central: https://repo.maven.apache.org/maven2/org/example/%s/%s/%s-%s.jar", w.name(), w.version(), w.name(), w.version())
			w.line("[INFO] Tests run: %d, Failures: 0, Errors: 0, Skipped: %d, Time elapsed: %d.%03d s - in org.example.%s", w.Intn(99), w.Intn(9), w.Intn(9), w.Intn(999), w.name())
			w.line("\tat org.example.server.Handler.lambda$handle$%d(Handler.java:%d)", w.Intn(9), w.Intn(900))
		},
		"cargo": func() {
			w.line("   Compiling %s v%s (https://github.com/example/%s?rev=%s#%s)", w.name(), w.version(), w.name(), w.hex(20), w.hex(4))
			w.line(`checksum = "%s"`, w.hex(32))
			w.line("test parser::tests::%s ... ok", strings.ReplaceAll(w.name(), "-", "_"))
		},
		"pytest": func() {
			w.line("tests/test_%s.py::test_%s[%s] PASSED   [ %2d%%]", w.name(), w.name(), w.uuid(), w.Intn(100))
			w.line("%s", strings.Repeat("=", 30)+fmt.Sprintf(" %d passed in %d.%02ds ", w.Intn(500), w.Intn(90), w.Intn(99))+strings.Repeat("=", 30))
			w.line("E       AssertionError: assert {'id': %d, 'key': '%s'} == None", w.Intn(1e9), w.name())
		},
		"terraform": func() {
			w.line("\x1b[0m\x1b[1maws_instance.%s: Refreshing state... [id=i-%s]\x1b[0m", w.name(), w.hex(8))
			w.line(`  \x1b[32m+\x1b[0m\x1b[0m arn    = "arn:aws:iam::%012d:role/%s"`, w.Intn(1e12), w.name())
			w.line("      + etag                   = (known after apply)")
		},
		"docker build": func() {
			w.line("#%d sha256:%s %d.%02dMB / %d.%02dMB %d.%ds", w.Intn(20), w.hex(32), w.Intn(90), w.Intn(99), w.Intn(90), w.Intn(99), w.Intn(9), w.Intn(9))
			w.line("#%d %d.%03d Get:%d http://deb.debian.org/debian trixie/main amd64 %s amd64 %s-%d [%d kB]", w.Intn(20), w.Intn(90), w.Intn(999), w.Intn(99), w.name(), w.version(), w.Intn(9), w.Intn(9000))
			w.line("%s: digest: sha256:%s size: %d", w.version(), w.hex(32), w.Intn(9000))
		},
		"go": func() {
			w.line("=== RUN   Test%s/%s", w.name(), w.uuid())
			w.line(`{"Time":"%s","Action":"output","Package":"example.com/%s","Output":"ok\n"}`, w.time(), w.name())
			w.line("example.com/%s v%s h1:%s=", w.name(), w.version(), w.base64(32)[:43])
			w.line("goroutine %d [chan receive]:\nmain.main.func1(0xc%09x)\n\t/src/%s/main.go:%d +0x%x", w.Intn(900), w.Int63n(1<<36), w.name(), w.Intn(900), w.Intn(900))
		},
		"kubectl": func() {
			w.line("pod/%s-%s-%s   1/1   Running   0   %dm", w.name(), w.hex(5), w.hex(3)[:5], w.Intn(90))
			w.line("%s  Normal  Pulled  Container image \"registry.example.com/%s@sha256:%s\" already present", w.time(), w.name(), w.hex(32))
			w.line("    uid: %s\n    resourceVersion: \"%d\"", w.uuid(), w.Intn(1e9))
		},
		"openssl": func() {
			w.line("-----BEGIN CERTIFICATE-----")
			for range 12 {
				w.line("%s", w.base64(48))
			}
			w.line("-----END CERTIFICATE-----")
			fingerprint := make([]byte, 32)
			w.Rand.Read(fingerprint)
			w.line("SHA256 Fingerprint=%s", strings.ReplaceAll(fmt.Sprintf("% X", fingerprint), " ", ":"))
		},
		"progress": func() {
			w.line("\r %3d%% [%s%s] %d/%d MB eta %02d:%02d", w.Intn(100), strings.Repeat("#", w.Intn(40)), strings.Repeat(" ", w.Intn(40)), w.Intn(900), w.Intn(900), w.Intn(60), w.Intn(60))
			w.line("  %% Total    %% Received %% Xferd  Average Speed   Time    Time     Time  Current")
		},
	}
}

// No byte of what programs print by themselves is taken for one of a thousand
// random secrets.
func TestNoFalseMasks(t *testing.T) {
	t.Parallel()
	var s Set
	keys := 0
	for i, v := range mixedSecrets(1000) {
		if len(v) > 200 {
			if keys++; keys > 10 { // each takes as long to compile as a hundred tokens
				v = token(rand.New(rand.NewSource(int64(i))), 32)
			}
		}
		if err := s.Add(fmt.Sprint(i), v); err != nil {
			t.Fatal(err)
		}
	}
	w := &logWriter{Rand: rand.New(rand.NewSource(11))}
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	for name, print := range w.ordinary() {
		w.Reset()
		for range rounds {
			print()
		}
		logs := w.Bytes()
		found, err := s.Scan(bytes.NewReader(logs))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range found {
			t.Errorf("%s: as %s of secret %s: %q was masked", name, m.Form, m.Name, logs[m.Offset:m.Offset+m.Length])
		}
	}
}

func TestLooksCommon(t *testing.T) {
	t.Parallel()
	for _, value := range []string{
		"password", "Production", "PRODUCTION", "db.example.com", "my-project-name", "correct horse", "12345678", "2026-11-24",
		"10.20.30.40:8080", "https://example.com", " password\n",
	} {
		if LooksCommon([]byte(value)) == "" {
			t.Errorf("%s passes as a secret", value)
		}
	}
	for _, value := range []string{"hunter2-hunter2", "Tr0ub4dor-3x", "swordFishInTheSea", "glpat-Zx4tU9pLm2Qw8rKd5sVb", `{"stage": "production"}`, "", "correct horse battery staple", string(opensshKey(keys().ed25519, "deploy"))} {
		if why := LooksCommon([]byte(value)); why != "" {
			t.Errorf("%s: %s", value, why)
		}
	}
	for _, v := range mixedSecrets(500) {
		if why := LooksCommon(v); why != "" {
			t.Errorf("%s: %s", v, why)
		}
	}
}

func TestShortStrings(t *testing.T) {
	t.Parallel()
	got := ShortStrings([]byte(` {"user": "ann", "db": {"pass": "foobar", "port": 5432, "host": "db.example.com"}, "pins": ["", "1234", "12345678"]}`))
	if d := cmp.Diff([]string{".db.pass", ".pins[1]", ".user"}, got); d != "" {
		t.Error(d)
	}
	for _, value := range []string{"", "short", "{no JSON", `{"key": "Zx4tU9pLm2Qw8rKd5sVb"}`} {
		if got := ShortStrings([]byte(value)); len(got) > 0 {
			t.Errorf("%s: %v", value, got)
		}
	}
}
