package git

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"refline/internal/errs"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	open := Access{Trust: User, AllowFile: true}
	for _, tc := range []struct {
		raw    string
		access Access
		text   string // "" when it must be refused
		scheme string
	}{
		{"https://git.example.com/a/b.git", Access{}, "https://git.example.com/a/b.git", "https"},
		{"HTTPS://git.example.com:8443/a", Access{}, "https://git.example.com:8443/a", "https"},
		{"https://bob:s3cret@git.example.com/a", Access{}, "https://git.example.com/a", "https"},
		{"https://bob@git.example.com/a", Access{}, "https://git.example.com/a", "https"},
		{"https://git.example.com/with%20space/ü", Access{}, "https://git.example.com/with%20space/%C3%BC", "https"},
		{"https://[::1]:8080/a", Access{}, "https://[::1]:8080/a", "https"},
		{"http://127.0.0.1:3000/a", Access{}, "http://127.0.0.1:3000/a", "http"},
		{"http://localhost/a", Access{}, "http://localhost/a", "http"},
		{"http://git.example.com/a", Access{}, "", ""},
		{"http://git.example.com/a", Access{AllowHTTP: true}, "http://git.example.com/a", "http"},
		{"ssh://git@git.example.com:2222/a", Access{}, "ssh://git@git.example.com:2222/a", "ssh"},
		{"git@git.example.com:group/a.git", Access{}, "git@git.example.com:group/a.git", "ssh"},
		{"host:a", Access{}, "host:a", "ssh"},
		{"[::1]:a", Access{}, "[::1]:a", "ssh"},
		{"git://git.example.com/a", open, "git://git.example.com/a", "git"},
		{"git://git.example.com/a", Access{}, "", ""},
		{"/srv/a.git", open, "/srv/a.git", "file"},
		{"file:///srv/a%20b.git", open, "/srv/a b.git", "file"},
		{"file://host/srv", open, "", ""},
		{"/srv/a.git", Access{}, "", ""},
		{"/srv/a:b", open, "/srv/a:b", "file"},
	} {
		got, err := parseAddress(tc.raw, tc.access)
		if got.text != tc.text || got.scheme != tc.scheme || (err == nil) != (tc.text != "") {
			t.Errorf("%q: got %q %q, %v", tc.raw, got.text, got.scheme, err)
		}
	}
}

// FuzzAddress holds on to what every accepted URL promises.
func FuzzAddress(f *testing.F) {
	for _, s := range []string{"https://u:p@h/x", "git@h:x", "ssh://h/x", "file:///x", "ext::x", "-x", "https://h/\n", "[::1]:x", "C:\\x", "https://a@b@c/d", "https://u:secretpw@h:1x/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		for _, a := range []Access{{}, {Trust: User, AllowFile: true, AllowHTTP: true}} {
			addr, err := parseAddress(raw, a)
			if strings.Contains(raw, ":secretpw@") && strings.Contains(raw, "://") && err != nil && strings.Contains(err.Error(), "secretpw") && strings.Index(raw, "://") < strings.Index(raw, "secretpw") {
				t.Errorf("%q: the error shows the password: %v", raw, err)
			}
			if err != nil {
				continue
			}
			if strings.HasPrefix(addr.text, "-") || strings.HasPrefix(addr.host, "-") || strings.ContainsAny(addr.text, "\n\r\x00") || isTransport(addr.text) && addr.scheme != "file" {
				t.Errorf("%q: gives %+v", raw, addr)
			}
			if a.Trust == Server && addr.scheme != "https" && addr.scheme != "ssh" && !isLoopback(strings.Split(addr.host, ":")[0]) && !strings.HasPrefix(addr.host, "[::1]") {
				t.Errorf("%q: scheme %s was taken", raw, addr.scheme)
			}
			if again, err := parseAddress(addr.text, a); addr.scheme != "file" && (err != nil || again.text != addr.text) {
				t.Errorf("%q: %q does not parse as itself: %q %v", raw, addr.text, again.text, err)
			}
			if name := folderName(addr); strings.ContainsAny(name, "/\\") || strings.HasPrefix(name, ".") {
				t.Errorf("%q: folder %q", raw, name)
			}
		}
	})
}

// TestRefNames agrees with git check-ref-format.
func TestRefNames(t *testing.T) {
	t.Parallel()
	alphabet := []string{"a", "B", "1", "-", ".", "..", "/", "//", "@", "{", "@{", "~", "^", ":", "?", "*", "[", "\\", " ", "\x7f", "\t", "ü", ".lock", "lock", "#", "$(x)", "'"}
	for _, name := range []string{"main", "feature/ü#1%&'$(x)", "a.lock/b", "@", "a@", "-x", "x.", ".x", "x/.y", "a//b", "/a", "a/"} {
		agree(t, name)
	}
	rapid.Check(t, func(rt *rapid.T) {
		name := strings.Join(rapid.SliceOfN(rapid.SampledFrom(alphabet), 0, 5).Draw(rt, "parts"), "")
		agree(rt, name)
	})
}

func agree(t interface{ Errorf(string, ...any) }, name string) {
	err := exec.Command("git", "check-ref-format", "refs/heads/"+name).Run()
	git := err == nil && !strings.HasPrefix(name, "-") && name != "@" // which git refuses as branches, if not as refs
	if ours := (Ref{KindBranch, name}).check() == nil; ours != git {
		t.Errorf("%q: we say %v, git says %v", name, ours, git)
	}
}

func TestDefaultRef(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		tag, branch, current string
		want                 Ref
	}{
		{"v1", "origin/x", "main", Ref{KindTag, "v1"}},
		{"", "origin/x/y", "main", Ref{KindBranch, "x/y"}},
		{" ", "x", "main", Ref{KindBranch, "x"}},
		{"", "origin/", "main", Ref{KindBranch, "main"}},
		{"", "", "main", Ref{KindBranch, "main"}},
		{"", "", "", Ref{}},
	} {
		env := map[string]string{"BUILD_TAG": tc.tag, "GIT_BRANCH": tc.branch}
		if got := DefaultRef(func(k string) string { return env[k] }, tc.current); got != tc.want {
			t.Errorf("%+v: got %v", tc, got)
		}
	}
}

// TestConfigAgreesWithGit reads what git reads.
func TestConfigAgreesWithGit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	env := environ(t)
	for _, text := range []string{
		"[core]\n\tbare = false\n\tname=a b  \n",
		"[remote \"or\\\"ig\\\\in\"]\n\turl = https://x ; comment\n\tfetch = \"a # b\" c # d\n",
		"[a]\nflag\n b = \"q \" w\\\n   more\\t\\\"\n[A.Sub] x=1\n[a \"Sub\"]X=2 # no line end",
		"# c\n; d\n[x]\r\n\ty = 1\r\n\tz =\r\n",
		"[a] b = 1\n\tc = \"\"\n",
		"[x]\n\ty = a  b  c\t\n",
		"[a]b=1\n[a]b=2\n",
	} {
		compareConfig(t, dir, env, text)
	}
	rapid.Check(t, func(rt *rapid.T) {
		pieces := []string{"[a]", "[a \"b\"]", "[A.B]", "\n", "k", "=", " ", "v", "\"", "\\", "\\\"", "#", ";", "\t", "\\n", "1", "-", "\r\n"}
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 14).Draw(rt, "text"), "")
		compareConfig(rt, dir, env, text)
	})
}

func compareConfig(t interface {
	Errorf(string, ...any)
	Fatal(...any)
}, dir string, env []string, text string) {
	file := filepath.Join(dir, fmt.Sprintf("c%x", sha256.Sum256([]byte(text))))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(file)
	ours, ok := parseConfig(text)
	out, err := process{args: []string{"config", "--file", file, "--list", "-z"}, dir: dir, env: env}.output(context.Background())
	if err != nil {
		return // what git cannot read, we may refuse or not
	}
	if !ok {
		return // git will be asked
	}
	want := config{}
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if key, value, ok := strings.Cut(entry, "\n"); ok {
			want[key] = value
		} else if entry != "" {
			want[entry] = "true"
		}
	}
	if diff := cmp.Diff(want, ours); diff != "" {
		t.Errorf("%q: (-git +ours)\n%s", text, diff)
	}
}

// TestConfigRoundTrip: no value can become another line.
func TestConfigRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.StringOfN(rapid.RuneFrom([]rune("ab \t\n\"\\#;[]=\u00fc")), 0, 20, -1).Draw(rt, "value")
		sub := rapid.StringOfN(rapid.RuneFrom([]rune("ab .\"\\]#")), 1, 8, -1).Draw(rt, "sub")
		got, ok := parseConfig(formatConfig([]setting{{"a." + sub + ".key", value}, {"b.c", "d"}}))
		if diff := cmp.Diff(config{"a." + sub + ".key": value, "b.c": "d"}, got); !ok || diff != "" {
			rt.Errorf("%q %q: %s", sub, value, diff)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add("[a \"b\"]\n\tc = \"d\\n\" # e\n")
	f.Fuzz(func(_ *testing.T, text string) { parseConfig(text) })
}

func FuzzCommit(f *testing.F) {
	f.Add([]byte("tree 0123456789012345678901234567890123456789\nauthor A <a@b> 1 +0100\ncommitter A <a> 99999999999999999999 -9999\nencoding latin1\n\nm\xff\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := parseCommit("0", body)
		if err == nil && (!isObjectID(c.Tree) || strings.Contains(c.Title(), "\n")) {
			t.Errorf("%+v", c)
		}
		_ = c.Description()
	})
}

func FuzzListings(f *testing.F) {
	f.Add("H 100644 0123456789012345678901234567890123456789 0\ta\x00? b\x00", "1 .M N... 1 2 3 4 5 a b\x00u UU N... 1 2 3 4 5 6 7 c\x00", "0123456789012345678901234567890123456789 refs/tags/x\n^0123456789012345678901234567890123456789\n")
	f.Fuzz(func(t *testing.T, listed, status, packed string) {
		parseListed(listed, func(byte, string, string) {})
		parseStatus(status, func(string, bool) {})
		refs := parsePackedRefs(packed, []string{"refs/tags/"})
		if again := parsePackedRefs(writePackedRefs(refs), []string{"refs/tags/"}); len(refs) != len(again) {
			t.Errorf("%v became %v", refs, again)
		}
	})
}

func TestLatin1(t *testing.T) {
	t.Parallel()
	src := newRepo(t)
	src.write("m", "Gr\xfc\xdfe\n")
	src.git("add", ".")
	src.git("-c", "i18n.commitEncoding=ISO-8859-1", "commit", "-q", "-F", "m")
	head, err := open(t, src.dir).Head(context.Background())
	if err != nil || head.Title() != "Grüße" {
		t.Errorf("%q %v", head.Title(), err)
	}
}

func TestDescription(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	for _, tc := range []struct{ message, title, description string }{
		{"one\n", "one", ""},
		{"one", "one", ""},
		{"one\n\ntwo\nthree\n", "one", "\ntwo\nthree"},
		{long + "\n\nrest\n", long, long + "\n\nrest\n"},
		{"", "", ""},
	} {
		c := Commit{Message: tc.message}
		if c.Title() != tc.title || c.Description() != tc.description {
			t.Errorf("%q: %q, %q", tc.message, c.Title(), c.Description())
		}
	}
}

// TestMessages: each sign leads to its kind, whatever git says after it.
func TestMessages(t *testing.T) {
	t.Parallel()
	addr := address{text: "https://git.example.com/a", password: "hunter22"}
	const unable = "fatal: unable to access 'https://h/': "
	for _, tc := range []struct {
		stderr string
		kind   errs.Kind
		want   string
	}{
		{"git@h: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\nPlease make sure you have the correct access rights\nand the repository exists.\n", errs.Denied, "git: git@h: Permission denied (publickey)."},
		{"ssh: connect to host h port 22: Connection timed out\nfatal: Could not read from remote repository.\n", errs.Unavailable, "does not answer"},
		{"fatal: unable to access 'https://h/': Could not resolve host: h\n", errs.Unavailable, "cannot be resolved"},
		{"error: RPC failed; curl 56 GnuTLS recv error (-54)\nfetch-pack: unexpected disconnect while reading sideband packet\nfatal: early EOF\n", errs.Unavailable, "broke off"},
		{"remote: The project you were looking for could not be found or you don't have permission to view it.\nfatal: repository 'https://h/' not found\n", errs.NotFound, "is not there"},
		{"fatal: remote error: upload-pack: not our ref 111\n", errs.NotFound, "was it pushed"},
		{"fatal: write error: No space left on device\nfatal: index-pack failed\n", errs.Unavailable, "disk is full"},
		{"fatal: Out of memory, realloc failed\n", errs.Unavailable, "fits into the memory"},
		{"fatal: transport 'ext' not allowed\n", errs.Invalid, "not allowed"},
		{"remote: token hunter22 is bad\nfatal: Authentication failed for 'https://h/'\n", errs.Denied, "credentials"},
		{"remote: hunter22\n", errs.Internal, "[secret]"},
		{unable + "The requested URL returned error: 400\n", errs.Denied, "rejects the request"},
		{unable + "The requested URL returned error: 407\n", errs.Denied, "the proxy for"},
		{unable + "The requested URL returned error: 408\n", errs.Unavailable, "does not answer"},
		{unable + "The requested URL returned error: 410\n", errs.NotFound, "is not there"},
		{unable + "The requested URL returned error: 500\n", errs.Unavailable, "reports an internal error"},
		{unable + "The requested URL returned error: 503\n", errs.Unavailable, "is overloaded"},
		{unable + "CONNECT tunnel failed, response 407\n", errs.Denied, "asks for credentials; see http.proxy"},
		{unable + "CONNECT tunnel failed, response 403\n", errs.Denied, "the proxy refuses to connect"},
		{unable + "Received HTTP code 407 from proxy after CONNECT\n", errs.Denied, "asks for credentials; see http.proxy"},
		{unable + "CONNECT tunnel failed, response 502\n", errs.Unavailable, "the proxy cannot reach"},
		{unable + "Could not resolve proxy: p\n", errs.Unavailable, "the proxy cannot reach"},
		{unable + "gnutls_handshake() failed: An unexpected TLS packet was received.\n", errs.Invalid, "does not speak TLS"},
		{unable + "gnutls_handshake() failed: The TLS connection was non-properly terminated.\n", errs.Unavailable, "broke off"},
		{unable + "SSL certificate problem: certificate has expired\n", errs.Invalid, "has expired, or the clock"},
		{unable + "SSL: no alternative certificate subject name matches target host name 'h'\n", errs.Invalid, "another name"},
		{unable + "SSL certificate problem: self-signed certificate\n", errs.Invalid, "REFLINE_CA_FILE"},
		{unable + "Problem with the SSL CA cert (path? access rights?)\n", errs.Invalid, "the CA file for"},
		{"fatal: https://h/info/refs not valid: is this a git repository?\n", errs.NotFound, "not as a git repository"},
		{"ssh -o 'ConnectTimeout=20': 1: ssh: not found\nfatal: Could not read from remote repository.\n", errs.NotFound, "needs the ssh program"},
	} {
		err := translate(&failure{"fetch", 128, tc.stderr}, addr, []string{"other"})
		if !errs.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter22") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v: %v", tc.stderr, errs.KindOf(err), err)
		}
	}
}

func TestTail(t *testing.T) {
	t.Parallel()
	w := tail{limit: 10}
	for i := range 100 {
		fmt.Fprintf(&w, "%03d", i)
	}
	if !bytes.HasSuffix(w.buf, []byte("098099")) || len(w.buf) > 20 {
		t.Errorf("kept %q", w.buf)
	}
}

// TestOutputLimit: a process that writes more than its limit is stopped. The limit did
// not hold for what exec copies by ReadFrom.
func TestOutputLimit(t *testing.T) {
	t.Parallel()
	dir, env := t.TempDir(), os.Environ()
	list := func(n int, limit int64) error {
		file := filepath.Join(dir, strconv.Itoa(n))
		if err := os.WriteFile(file, bytes.Repeat([]byte("[a]\n\tb = "+strings.Repeat("x", 90)+"\n"), n), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := process{args: []string{"config", "--file", file, "--list"}, dir: dir, env: env, limit: limit}.output(t.Context())
		return err
	}
	if err := list(10, 1<<20); err != nil {
		t.Error(err)
	}
	if err := list(1000, 10_000); !errors.Is(err, errTooMuch) {
		t.Errorf("got %v, want %v", err, errTooMuch)
	}
}
