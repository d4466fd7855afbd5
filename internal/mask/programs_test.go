package mask

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"math/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
)

var update = flag.Bool("update", false, "write docs/masking.md anew")

// secretCase is a value and a twin that differs in each letter and digit that
// is secret, and in nothing else: where outputs of the two differ, there is
// something to leak.
type secretCase struct {
	name        string
	value, twin []byte
}

// twist changes the letters and digits of text, so that it looks alike.
func twist(text []byte) []byte {
	out := bytes.Clone(text)
	for i, c := range out {
		switch {
		case c >= 'a' && c <= 'z':
			out[i] = 'a' + (c-'a'+13)%26
		case c >= 'A' && c <= 'Z':
			out[i] = 'A' + (c-'A'+13)%26
		case c >= '0' && c <= '9':
			out[i] = '0' + (c-'0'+5)%10
		}
	}
	return out
}

// twistKey twists the base64 of the given numbers inside a PEM text.
func twistKey(t *testing.T, text []byte, numbers ...[]byte) []byte {
	t.Helper()
	block, _ := pem.Decode(text)
	var at []int
	from := bytes.IndexByte(text, '\n')
	for i, end := from, bytes.Index(text, []byte("-----END")); i < end; i++ {
		if strings.IndexByte("\n=", text[i]) < 0 {
			at = append(at, i)
		}
	}
	out := bytes.Clone(text)
	for _, n := range numbers {
		i := bytes.Index(block.Bytes, n)
		if i < 0 {
			t.Fatalf("a number of the key is not in it")
		}
		for j := i*8/6 + 1; j < (i+len(n))*8/6; j++ {
			copy(out[at[j]:at[j]+1], twist(text[at[j]:at[j]+1]))
		}
	}
	return out
}

func rsaNumbers(k *rsa.PrivateKey) [][]byte {
	return [][]byte{k.D.Bytes(), k.Primes[0].Bytes(), k.Primes[1].Bytes(), k.Precomputed.Qinv.Bytes()}
}

func twistLeaves(t *testing.T, text []byte, key, keyTwin []byte) []byte {
	t.Helper()
	var tree map[string]string
	if err := json.Unmarshal(text, &tree); err != nil {
		t.Fatal(err)
	}
	for _, v := range tree {
		switch {
		case v == string(key):
			text = bytes.ReplaceAll(text, jsonInside(v), jsonInside(string(keyTwin)))
		case secretPart(v) != "":
			part := jsonInside(secretPart(v))
			text = bytes.ReplaceAll(text, part, twist(part))
		}
	}
	return text
}

func jsonInside(s string) []byte { return bytes.Trim(must(json.Marshal(s)), `"`) }

func secretCases(t *testing.T) []secretCase {
	k := keys()
	ecNumber := bytes.TrimLeft(must(k.ecdsa.Bytes()), "\x00") // OpenSSH writes it without
	seed := k.ed25519.Seed()
	var out []secretCase
	key := func(name string, text []byte, numbers ...[]byte) {
		out = append(out, secretCase{name, text, twistKey(t, text, numbers...)})
	}
	rsaPEM := pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.rsa))
	key("RSA-3072, PKCS #1", rsaPEM, rsaNumbers(k.rsa)...)
	key("RSA-3072, PKCS #8", pkcs8(k.rsa), rsaNumbers(k.rsa)...)
	key("RSA-3072, OpenSSH", opensshKey(k.rsa, "deploy@example.com"), rsaNumbers(k.rsa)...)
	key("Ed25519, OpenSSH", opensshKey(k.ed25519, "deploy@example.com"), seed)
	key("Ed25519, PKCS #8", pkcs8(k.ed25519), seed)
	key("ECDSA, OpenSSH", opensshKey(k.ecdsa, ""), ecNumber)
	key("ECDSA, SEC 1", pemText("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k.ecdsa))), ecNumber)
	key("ECDSA, PKCS #8", pkcs8(k.ecdsa), ecNumber)

	inner := pkcs8(k.rsa)
	account := serviceAccount(inner)
	innerTwin := twistKey(t, inner, rsaNumbers(k.rsa)...)
	out = append(out, secretCase{"service account", account, twistLeaves(t, account, inner, innerTwin)})
	encoded := []byte(base64.StdEncoding.EncodeToString(inner))
	out = append(out, secretCase{"RSA key in base64", encoded, []byte(base64.StdEncoding.EncodeToString(innerTwin))})

	r := rand.New(rand.NewSource(7))
	short := []byte("Tr0ub4dor-3x")
	out = append(out, secretCase{"12-character token", short, twist(short)})
	long := token(r, 40)
	out = append(out, secretCase{"40-character token", long, twist(long)})
	phrase := []byte(`it's "a pass" & <phrase> $HOME \ 100%`)
	out = append(out, secretCase{"passphrase", phrase, twist(phrase)})

	var chain, chainTwin []byte
	for range 2 {
		der := make([]byte, 900)
		r.Read(der)
		block := pemText("CERTIFICATE", der)
		chain, chainTwin = append(chain, block...), append(chainTwin, twistKey(t, block, der)...)
	}
	return append(out, secretCase{"PEM certificate chain", chain, chainTwin})
}

// printer is a command that prints the file named $F, the value in $SECRET; of an
// interpreter, what prints the value s.
type printer struct{ name, needs, script string }

var printers = []printer{
	{"cat", "sh", `cat "$F"`},
	{"cat with CRLF", "sed", `sed 's/$/\r/' "$F"`},
	{"echo, unquoted", "sh", `set -f; echo $SECRET`},
	{"no line breaks", "tr", `tr -d '\n' <"$F"`},
	{"timestamps between lines", "awk", `awk '{print "2026-01-02T03:04:05.678Z " $0}' "$F"`},
	{"prefix and colour", "awk", `awk '{print "\033[32mjob |\033[0m " $0 "\033[0m"}' "$F"`},
	{"one line in the middle", "sed", `sed -n '5p' "$F"`},
	{"fold -w 40", "fold", `fold -w 40 "$F"`},
	{"cut -c 20-60", "cut", `cut -c 20-60 "$F"`},
	{"base64", "base64", `base64 "$F"`},
	{"base64 -w 64", "base64", `base64 -w 64 "$F"`},
	{"base64 -w 0", "base64", `base64 -w 0 "$F"`},
	{"base64 of user:secret", "base64", `printf 'user:%s' "$SECRET" | base64 -w 0`},
	{"base64 of xuser:secret@", "base64", `printf 'xuser:%s@host' "$SECRET" | base64 -w 0`},
	{"base64url", "base64", `base64 -w 0 "$F" | tr '+/' '-_'`},
	{"jq -Rs .", "jq", `jq -Rs . "$F"`},
	{"jq -Rs @uri", "jq", `jq -Rs @uri "$F"`},
	{"jq -Rs @html", "jq", `jq -Rs @html "$F"`},
	{"jq -Rs @sh", "jq", `jq -Rs @sh "$F"`},
	{"jq -Rs @base64", "jq", `jq -Rs @base64 "$F"`},
	{"xxd", "xxd", `xxd "$F"`},
	{"xxd -u", "xxd", `xxd -u "$F"`},
	{"xxd -p", "xxd", `xxd -p "$F"`},
	{"hexdump -C", "hexdump", `hexdump -C "$F"`},
	{"od -An -tx1", "od", `od -An -tx1 "$F"`},
	{"sh -x", "sh", `set -x; : "$SECRET"`},
	{"bash -x", "bash", `bash -xc ': "$SECRET"'`},
	{"bash declare -p", "bash", `bash -c 'declare -p SECRET'`},
	{"bash printf %q", "bash", `bash -c 'printf "%q\n" "$SECRET"'`},
	{"python repr", "python3", `p(repr(s))`},
	{"python repr of bytes", "python3", `p(repr(s.encode()))`},
	{"python json", "python3", `import json; p(json.dumps({"k": s}))`},
	{"python quote", "python3", `import urllib.parse as u; p(u.quote(s)); p(u.quote_plus(s))`},
	{"python shlex", "python3", `import shlex; p(shlex.quote(s))`},
	{"python html", "python3", `import html; p(html.escape(s))`},
	{"python hex with colons", "python3", `p(s.encode().hex(":"))`},
	{"env", "env", `env`},
	{"sh set", "sh", `set | sed -n '/SECRET/,/^[A-Z]*=/p'`},
	{"sh export -p", "sh", `export -p`},
	{"bash @Q", "bash", `bash -c 'echo "${SECRET@Q}"'`},
	{"cat -A", "cat", `cat -A "$F"`},
	{"nl -ba", "nl", `nl -ba "$F"`},
	{"indented as in a block of YAML", "sed", `sed 's/^/    /' "$F"`},
	{"diff", "diff", `diff -u /dev/null "$F" | sed 1,2d`},
	{"grep --color", "grep", `grep --color=always '.' "$F"`},
	{"a colour code each line", "sed", `sed "s/^/$(printf '\033[31m')/; s/\$/$(printf '\033[0m')/" "$F"`},
	{"a build of images", "awk", `awk '{print "#7 0.123 " $0}' "$F"`},
	{"head -c 30", "head", `head -c 30 "$F"`},
	{"tac", "tac", `tac "$F"`},
	{"URL with a password", "sh", `echo "https://user:$SECRET@git.example.com/flows.git"`},
	{"hexdump", "hexdump", `hexdump "$F"`},
	{"od -x", "od", `od -x "$F"`},
	{"curl --trace", "curl", `curl -s --trace - -d "$SECRET" "$URL" 2>&1 | grep -v '^==\|^<= '`},
	{"openssl enc -base64", "openssl", `openssl enc -base64 -in "$F"`},
	{"openssl pkey -text", "openssl", `openssl pkey -in "$F" -text -noout 2>/dev/null | sed '/^pub/,$d'`},
	{"percent, all bytes", "xxd", `xxd -p "$F" | tr -d '\n' | sed 's/../%&/g'`},
	{"percent, all bytes, upper case", "xxd", `xxd -p -u "$F" | tr -d '\n' | sed 's/../%&/g'`},
	{"jq tojson twice", "jq", `jq -Rs 'tojson|tojson' "$F"`},
	{"jq object", "jq", `jq -Rs '{key: .}' "$F"`},
	{"jq @csv", "jq", `jq -Rsr '[.]|@csv' "$F"`},
	{"jq @tsv", "jq", `jq -Rsr '[.]|@tsv' "$F"`},
	{"node", "node", `const u = new URL("https://git.example.com/"); u.password = s; u.searchParams.set("k", s); u.hash = s; p({key: s}); p(JSON.stringify(s)); p(encodeURIComponent(s)); p(encodeURI(s)); p(u.href); p(Buffer.from(s)); p(Buffer.from(s).toString("hex"))`},
	{"perl Dumper", "perl", `perl -MData::Dumper -e 'print Dumper($ENV{SECRET}); $Data::Dumper::Useqq = 1; print Dumper($ENV{SECRET})'`},
	{"ruby inspect", "ruby", `o.puts s.inspect, s.dump, s.to_json, {k: s}.to_yaml, CGI.escapeHTML(s), CGI.escape(s), URI.encode_www_form_component(s)`},
	{"python pprint", "python3", `import pprint; p(pprint.pformat({"key": s}))`},
	{"quotes doubled", "sed", `sed "s/'/''/g" "$F"; sed 's/"/""/g' "$F"`},
	{"curl -v", "curl", `curl -sv -H "X-Key: $(printf %s "$SECRET" | tr -d '\n')" "$URL" 2>&1 | grep -v '^[*] \|^< \|^{'`},
}

// leakedRun returns the longest run that is unmasked in out and reports
// something: where the output for the twin differs. Bytes may be equal by
// chance, so differences up to 8 bytes apart in a line are one run.
func leakedRun(out, twin []byte, masked []span) int {
	hidden := make([]bool, len(out))
	for _, s := range masked {
		for i := s.start; i < s.end; i++ {
			hidden[i] = true
		}
	}
	longest, from, last := 0, -1, -1
	for i := range out {
		switch {
		case hidden[i], out[i] == '\n':
			from = -1
		case out[i] != twin[i]:
			if from < 0 || i-last > 8 {
				from = i
			}
			last = i
			longest = max(longest, i-from+1)
		}
	}
	return longest
}

// literal returns where the values are in out: what other systems mask.
func literal(out []byte, values ...string) []span {
	var spans []span
	for _, v := range values {
		for i := 0; v != ""; {
			j := bytes.Index(out[i:], []byte(v))
			if j < 0 {
				break
			}
			spans = append(spans, span{i + j, i + j + len(v)})
			i += j + len(v)
		}
	}
	return spans
}

// printAll runs script for each case and its twin and returns what it prints.
func printAll(t *testing.T, p printer, url string, cases []secretCase) (outs, twins [][]byte) {
	t.Helper()
	dir := t.TempDir()
	for i, c := range cases {
		for name, value := range map[string][]byte{"v": c.value, "w": c.twin} {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s%02d", name, i)), value, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	cmd := exec.Command("sh", "-c", `for F in v?? w??; do SECRET=$(cat "$F"); export F SECRET; (`+p.script+`) >"$F.out" 2>&1; done`)
	switch p.needs { // their start takes longer than all else: once for all values
	case "python3":
		cmd = exec.Command(python(), "-c", "import glob\nfor f in glob.glob('[vw]??'):\n s = open(f).read().rstrip('\\n')\n with open(f + '.out', 'w') as o:\n  p = lambda text: print(text, file=o)\n  "+p.script)
	case "node":
		cmd = exec.Command("node", "-e", `const fs = require("fs"); const { format } = require("util");
for (const f of fs.readdirSync(".").filter(f => /^[vw]..$/.test(f))) {
	const s = fs.readFileSync(f, "utf8").replace(/\n+$/, ""); let out = ""; const p = x => { out += format(x) + "\n" };
	`+p.script+`; fs.writeFileSync(f + ".out", out) }`)
	case "ruby":
		cmd = exec.Command("ruby", "-rjson", "-rcgi", "-ruri", "-ryaml", "-e", `Dir["[vw]??"].each { |f| s = File.read(f).chomp; File.open(f + ".out", "w") { |o| `+p.script+` } }`)
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "URL=" + url}
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Logf("%s: %v\n%s", p.script, err, out)
	}
	for i := range cases {
		for _, f := range []struct {
			name string
			to   *[][]byte
		}{{"v", &outs}, {"w", &twins}} {
			out, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%s%02d.out", f.name, i)))
			if err != nil {
				t.Skipf("%s prints nothing here; it may want a module that is not installed", p.needs)
			}
			*f.to = append(*f.to, out)
		}
	}
	return outs, twins
}

// python is the interpreter itself: what is called python3 may be a slow shim.
var python = sync.OnceValue(func() string {
	out, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	if err != nil {
		return "python3"
	}
	return strings.TrimSpace(string(out))
})

func TestPrintedByPrograms(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	cases := secretCases(t)
	sets := make([]Set, len(cases))
	table := &leakTable{cells: make(map[string]map[string]int)}
	for i, c := range cases {
		if err := sets[i].Add(c.name, c.value); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range printers {
		if testing.Short() && i%10 > 0 {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			if _, err := exec.LookPath(p.needs); err != nil {
				t.Skipf("this machine has no %s; install it to test how it prints secrets", p.needs)
			}
			outs, twins := printAll(t, p, server.URL, cases)
			if bytes.Equal(bytes.Join(outs, nil), bytes.Join(twins, nil)) {
				if p.needs == "perl" {
					t.Skip("perl prints nothing here; it may lack the module Data::Dumper")
				}
				t.Fatalf("%s prints nothing of any secret", p.script)
			}
			for i, c := range cases {
				table.add(p, c, checkPrinted(t, p, c, &sets[i], outs[i], twins[i]))
			}
		})
	}
	if *update {
		table.write(t)
	}
}

// longest are the longest leaked runs: ours, of a whole-value masker, of one that
// masks each line.
type longest [3]int

// leakTable is docs/masking.md: a row for each program, a column for each kind of
// secret.
type leakTable struct {
	rows  []string
	cells map[string]map[string]int
}

func (lt *leakTable) columns() []string {
	return []string{"RSA-3072", "Ed25519", "ECDSA", "service account", "12-character token", "PEM certificate chain", "whole value", "each line"}
}

func (lt *leakTable) add(p printer, c secretCase, l longest) {
	row := lt.cells[p.name]
	if row == nil {
		row = make(map[string]int)
		lt.rows, lt.cells[p.name] = append(lt.rows, p.name), row
	}
	for _, column := range lt.columns() {
		if strings.HasPrefix(c.name, column) {
			row[column] = max(row[column], l[0])
		}
	}
	row["whole value"], row["each line"] = max(row["whole value"], l[1]), max(row["each line"], l[2])
}

func (lt *leakTable) write(t *testing.T) {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# What of a secret is left in a log

The longest run of bytes of a secret that programs leave in a log behind the mask, in
bytes, by kind of secret; for comparison the longest that is left behind a mask of
whole values, and behind one of whole values and of each of their lines, of any of these
secrets. Keys are new each time, so numbers vary by a few. What is not found is said in
[Secrets](secrets.md#what-masking-does).

Measured with the programs themselves: ` + "`go test ./internal/mask -run Printed -update`" + `.

`)
	fmt.Fprintf(&b, "| printed by | %s |\n|---|%s\n", strings.Join(lt.columns(), " | "), strings.Repeat("--:|", len(lt.columns())))
	for _, name := range lt.rows {
		fmt.Fprintf(&b, "| %s |", name)
		for _, column := range lt.columns() {
			fmt.Fprintf(&b, " %d |", lt.cells[name][column])
		}
		b.WriteString("\n")
	}
	if err := os.WriteFile(filepath.Join("..", "..", "docs", "masking.md"), []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func checkPrinted(t *testing.T, p printer, c secretCase, s *Set, out, twin []byte) longest {
	t.Helper()
	if len(out) != len(twin) {
		t.Fatalf("%s: the twin prints %d bytes, the value %d", c.name, len(twin), len(out))
	}
	text := strings.TrimSuffix(string(c.value), "\n")
	got := leakedRun(out, twin, s.matcher().find(out, len(out), nil, &context{}))
	whole, lines := leakedRun(out, twin, literal(out, text)), leakedRun(out, twin, literal(out, strings.Split(text, "\n")...))
	t.Logf("longest leaked run of %-22s %4d, by whole value %5d, by line %5d", c.name, got, whole, lines)
	limit := minPiece - 1
	if p.name == "hexdump" || p.name == "od -x" { // a word at either end may hold a byte of something else
		limit += 4
	}
	if got > limit {
		t.Errorf("%s: %d bytes leaked in a row\n%s", c.name, got, s.Bytes(out))
	}
	if whole, cut := string(s.Bytes(out)), write(t, s, out, []byte{7, 30, 0, 12}); whole != cut {
		t.Errorf("%s: written in pieces it gives\n%s\nas a whole\n%s", c.name, cut, whole)
	}
	return longest{got, whole, lines}
}

func TestPublicHalfIsLeftOut(t *testing.T) {
	t.Parallel()
	k := keys()
	public := map[string]string{
		"armour":    "-----BEGIN OPENSSH PRIVATE KEY-----\n-----END RSA PRIVATE KEY-----",
		"rsa":       string(pemText("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(k.rsa.Public())))) + authorized(k.rsa.Public()),
		"rsa pkcs1": string(pemText("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey))),
		"ed25519":   string(pemText("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(k.ed25519.Public())))) + authorized(k.ed25519.Public()),
		"ecdsa":     string(pemText("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(k.ecdsa.Public())))) + authorized(k.ecdsa.Public()),
		"modulus":   fmt.Sprintf("%x %X", k.rsa.N, k.rsa.N),
		"comment":   "deploy-key@builder.example.com",
	}
	for _, value := range [][]byte{
		opensshKey(k.rsa, "deploy-key@builder.example.com"), opensshKey(k.ed25519, "deploy-key@builder.example.com"),
		opensshKey(k.ecdsa, "deploy-key@builder.example.com"), pkcs8(k.rsa), pkcs8(k.ed25519), pkcs8(k.ecdsa),
		pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.rsa)),
		pemText("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(k.ecdsa))),
	} {
		var s Set
		if err := s.Add("key", value); err != nil {
			t.Fatal(err)
		}
		for name, text := range public {
			if got := s.String(text); got != text {
				t.Errorf("%s was masked:\n%s", name, got)
			}
		}
	}
}

func TestKeyInAnotherFormat(t *testing.T) {
	t.Parallel()
	k := keys()
	formats := [][]byte{opensshKey(k.rsa, ""), pkcs8(k.rsa), pemText("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(k.rsa))}
	for _, secret := range formats {
		var s Set
		if err := s.Add("key", secret); err != nil {
			t.Fatal(err)
		}
		for _, printed := range formats {
			masked := s.matcher().find(printed, len(printed), nil, &context{})
			if got := leakedRun(printed, twistKey(t, printed, k.rsa.D.Bytes()), masked); got >= minPiece {
				t.Errorf("%d bytes of the key leaked in a row:\n%s", got, s.Bytes(printed))
			}
		}
		text := fmt.Sprintf("privateExponent: %x", k.rsa.D)
		if got := s.String(text); strings.Contains(got, text[60:80]) {
			t.Errorf("the private exponent in hex was not masked: %s", got)
		}
	}
}

// Of a key with a passphrase nothing but the armour and the head is public.
func TestEncryptedKeys(t *testing.T) {
	t.Parallel()
	block := must(ssh.MarshalPrivateKeyWithPassphrase(keys().rsa, "c", []byte("passphrase")))
	openssh := string(pem.EncodeToMemory(block))
	der := make([]byte, 700)
	rand.New(rand.NewSource(3)).Read(der)
	old := "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0123456789ABCDEF0123456789ABCDEF\n\n" +
		strings.SplitN(string(pemText("RSA PRIVATE KEY", der)), "\n", 2)[1]
	for name, text := range map[string]string{"OpenSSH": openssh, "old PEM": old, "PKCS #8": string(pemText("ENCRYPTED PRIVATE KEY", der))} {
		s := setOf(t, text)
		lines := strings.Split(strings.TrimSpace(text), "\n")
		for _, line := range lines[len(lines)-6 : len(lines)-1] {
			if got := s.String("> " + line + " <"); got != "> [masked] <" {
				t.Errorf("%s: a line of the key came out as %s", name, got)
			}
		}
		for _, public := range []string{"Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-128-CBC", "-----BEGIN ENCRYPTED PRIVATE KEY-----", authorized(keys().rsa.Public())} {
			if got := s.String(public); got != public {
				t.Errorf("%s: %s came out as %s", name, public, got)
			}
		}
	}
}

func TestOneLineKey(t *testing.T) {
	t.Parallel()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	full := opensshKey(key, "c")
	body := strings.Join(strings.Split(strings.TrimSpace(string(full)), "\n")[1:], "")
	body = strings.TrimSuffix(body, "-----END OPENSSH PRIVATE KEY-----")
	var s Set
	if err := s.Add("key", []byte(body)); err != nil {
		t.Fatal(err)
	}
	if got := leakedRun(full, twistKey(t, full, key.Seed()), s.matcher().find(full, len(full), nil, &context{})); got >= minPiece {
		t.Errorf("%d bytes of the key leaked in a row:\n%s", got, s.Bytes(full))
	}
	if public := authorized(key.Public()); s.String(public) != public {
		t.Errorf("the public key was masked: %s", s.String(public))
	}
}
