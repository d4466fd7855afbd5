package mask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func setOf(t testing.TB, values ...string) *Set {
	t.Helper()
	var s Set
	for i, v := range values {
		if err := s.Add(string(rune('A'+i)), []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	return &s
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ value, reason string }{
		"empty":             {"", "it has 0 bytes"},
		"seven bytes":       {"Gh7zQ21", "it has 7 bytes; at least 8 are needed"},
		"seven and a break": {"Gh7zQ21\n", "it has 7 bytes"},
		"JSON without text": {`{"port": 123456789, "user": "ann"}`, "nothing in it is secret"},
		"too long":          {strings.Repeat("x1", MaxSecret), "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s Set
			err := s.Add("DB_PASSWORD", []byte(tt.value))
			var refused *RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Reason, tt.reason) {
				t.Fatalf("got %v, want a refusal because %s", err, tt.reason)
			}
			if v := strings.TrimSpace(tt.value); v != "" && strings.Contains(err.Error(), v) {
				t.Errorf("the error shows the value: %v", err)
			}
			if !strings.Contains(err.Error(), `"DB_PASSWORD"`) {
				t.Errorf("the error does not say which secret: %v", err)
			}
		})
	}
}

func TestMasked(t *testing.T) {
	t.Parallel()
	const long = "Zx4tU9pLm2Qw8rKd5sVb" // 20 bytes
	for name, tt := range map[string]struct {
		secrets  []string
		in, want string
	}{
		"whole":                   {[]string{long}, "key=" + long + "\n", "key=[masked]\n"},
		"piece of 16":             {[]string{long}, "cut " + long[2:18] + " here", "cut [masked] here"},
		"piece of 15 stays":       {[]string{long}, "cut " + long[2:17] + " here", "cut " + long[2:17] + " here"},
		"short one whole":         {[]string{"hunter2hunter"}, "pw hunter2hunter.", "pw [masked]."},
		"short one in part stays": {[]string{"hunter2hunter"}, "pw hunter2hunte.", "pw hunter2hunte."},
		"side by side":            {[]string{long, "hunter2hunter"}, long + "hunter2hunter" + long, "[masked]"},
		"overlapping":             {[]string{"abcdefgh01", "gh01ijklmn"}, "<abcdefgh01ijklmn>", "<[masked]>"},
		"one inside another":      {[]string{"core-secret", "the core-secret of all"}, "the core-secret of all!", "[masked]!"},
		"repeated":                {[]string{"abababab"}, "abababababab", "[masked]"},
		"line ends around it":     {[]string{"\n  " + long + " \r\n"}, "[" + long + "]", "[[masked]]"},
		"JSON by its strings": {[]string{`{"user": "administrator", "n": 12345678}`},
			`{"user": "administrator", "n": 12345678}`, `{"user": "[masked]", "n": 12345678}`},
		"JSON in JSON": {[]string{`{"a": "{\"b\": \"innermost-value\"}"}`}, "innermost-value", "[masked]"},
		"decoded base64": {[]string{"dGhlIHJlYWwgcGFzc3dvcmQgaXMgbG9uZw=="},
			"the real password is long", "[masked]"},
		"several lines, prefixed": {[]string{"first line of the secret\nsecond line of the secret\n"},
			"1: first line of the secret\n2: second line of the secret\n", "1: [masked]\n2: [masked]\n"},
		"indentation is not a secret": {[]string{"token:" + strings.Repeat(" ", 20) + "Zx4tU9pLm2Qw"},
			strings.Repeat(" ", 30) + "ordinary", strings.Repeat(" ", 30) + "ordinary"},
		"a ruled line is not a secret": {[]string{"top-secret-head\n====================\nbelow-the-line"},
			"====================\nok below-the-line", "====================\nok [masked]"},
		"nothing but one byte":     {[]string{"********************"}, "a ******************** b", "a [masked] b"},
		"not UTF-8":                {[]string{"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7"}, "bytes \xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7.", "bytes [masked]."},
		"xml":                      {[]string{`a<b>&"c"'d`}, `<p k="a&lt;b&gt;&amp;&quot;c&quot;&#39;d"/>`, `<p k="[masked]"/>`},
		"url":                      {[]string{"a b/c+d=e&f"}, "?q=a+b%2Fc%2Bd%3De%26f&x", "?q=[masked]&x"},
		"url in lower case":        {[]string{"a b/c+d=e&f"}, "?q=a%20b%2fc%2bd%3de%26f", "?q=[masked]"},
		"JSON in a string of JSON": {[]string{`pa"ss\word`}, `"{\"k\": \"pa\\\"ss\\\\word\"}"`, `"{\"k\": \"[masked]\"}"`},
		"JSON of .NET":             {[]string{`pa"ss+word&1`}, `{"k":"pa\u0022ss\u002Bword\u00261"}`, `{"k":"[masked]"}`},
		"JSON of Java":             {[]string{`pass=word'1`}, `{"k":"pass\u003dword\u00271"}`, `{"k":"[masked]"}`},
		"quotes doubled":           {[]string{`pass'word"1`}, `'pass''word"1' 'pass'word""1'`, `'[masked]' '[masked]'`},
		"words of the machine":     {[]string{"hunter2hunter"}, "0000 7568 746e 7265 6832 6e75 6574 0a72", "0000 [masked]"},
		"URL, everything escaped":  {[]string{"hunter2hunter"}, "%68%75%6e%74%65%72%32%68%75%6e%74%65%72", "%[masked]"},
		"non-ASCII in JSON":        {[]string{"pässwörd€🔑"}, `"p\u00e4ssw\u00f6rd\u20ac\ud83d\udd11"`, `"[masked]"`},
		"hex, colons":              {[]string{"hunter2hunter"}, "68:75:6e:74:65:72:32:68:75:6e:74:65:72", "[masked]"},
		"base64 of user:pass":      {[]string{"hunter2hunter"}, "Basic dXNlcjpodW50ZXIyaHVudGVy", "Basic dXNlcjp[masked]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := setOf(t, tt.secrets...)
			if diff := cmp.Diff(tt.want, s.String(tt.in)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for _, cuts := range [][]byte{{0}, {1}, {2, 0, 4}, {14}} {
				if diff := cmp.Diff(tt.want, write(t, s, []byte(tt.in), cuts)); diff != "" {
					t.Errorf("cut as %v (-want +got)\n%s", cuts, diff)
				}
			}
		})
	}
}

// A prompt has no line end and the program waits: it must be seen at once,
// whatever the secrets, unless its end may be the start of one.
func TestPromptAppearsAtOnce(t *testing.T) {
	t.Parallel()
	secrets := []string{
		"correct horse battery staple", "user: ann\npass: Zx4tU9pLm2Qw8r\nhost: db\n",
		"a: b? c> d# e$ f] g) h", "hunter2hunter", string(pkcs8(keys().rsa)),
	}
	s := setOf(t, secrets...)
	for _, prompt := range []string{
		"Password: ", "Continue? [y/N] ", "$ ", "root@host:~# ", ">>> ", "(gdb) ", "Are you sure (yes/no/[fingerprint])? ",
		"Enter a value:\n  > ", "[####    ] 45 %", "loading...", "done.\n", "\r", "\n",
	} {
		var out bytes.Buffer
		if _, err := s.Writer(&out).Write([]byte(prompt)); err != nil {
			t.Fatal(err)
		}
		if out.String() != prompt {
			t.Errorf("of the prompt %q only %q is shown", prompt, out.String())
		}
	}
}

func TestHoldsOnlyWhatMayBeASecret(t *testing.T) {
	t.Parallel()
	s := setOf(t, "Zx4tU9pLm2Qw8rKd5sVb", "hunter2hunter")
	for _, tt := range []struct{ in, shown string }{
		{"see Zx4tU9pLm", "see "},
		{"see Zx4tU9pL~", "see Zx4tU9pL~"},
		{"see U9pLm2", "see "},
		{"see hunter2", "see "},
		{"see unter2~", "see unter2~"},
		{"see Zx4tU9pLm2Qw8rKd5sVb", "see [masked]"},
		{"see Zx4tU9pLm2Qw8rKd", "see [masked]"},
		{"xhunter2hunterhunt", "x[masked]"},
	} {
		var out bytes.Buffer
		w := s.Writer(&out)
		if _, err := io.WriteString(w, tt.in); err != nil {
			t.Fatal(err)
		}
		if out.String() != tt.shown {
			t.Errorf("%q: shown before the end is %q, want %q", tt.in, out.String(), tt.shown)
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		if whole := s.String(tt.in); out.String() != whole {
			t.Errorf("%q: shown at the end is %q, want %q", tt.in, out.String(), whole)
		}
	}
}

func TestOrdinaryLogsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	logs := append(ordinaryLogs(t), dumps(t)...)
	for _, n := range []int{1, 10, 100} {
		var s Set
		for _, v := range append(mixedSecrets(n), pkcs8(keys().rsa), opensshKey(keys().ecdsa, "deploy@example.com")) {
			if err := s.Add("secret", v); err != nil {
				t.Fatal(err)
			}
		}
		found, err := s.Scan(bytes.NewReader(logs))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range found {
			t.Errorf("with %d secrets, as %s: %q was masked", n, m.Form, logs[m.Offset:m.Offset+m.Length])
		}
		if got := write(t, &s, logs, []byte{39, 3}); got != string(logs) {
			t.Errorf("with %d secrets the logs came out changed", n)
		}
	}
}

func TestWriterOfAnEmptySetPassesThrough(t *testing.T) {
	t.Parallel()
	var s Set
	var out bytes.Buffer
	w := s.Writer(&out)
	for _, text := range []string{"a", "", "bc\n"} {
		if n, err := io.WriteString(w, text); n != len(text) || err != nil {
			t.Fatalf("wrote %d bytes (%v), want %d", n, err, len(text))
		}
	}
	if err := w.Close(); err != nil || out.String() != "abc\n" {
		t.Errorf("got %q (%v)", out.String(), err)
	}
}

func TestSecretAddedBetweenWrites(t *testing.T) {
	t.Parallel()
	var s Set
	var out bytes.Buffer
	w := s.Writer(&out)
	put := func(text string) {
		t.Helper()
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	put("before: hunter2hunter\n")
	if err := s.Add("late", []byte("hunter2hunter")); err != nil {
		t.Fatal(err)
	}
	put("after: hunter2")
	if err := s.Add("later", []byte("swordfish-9")); err != nil {
		t.Fatal(err)
	}
	put("hunter swordfish-9\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if want := "before: hunter2hunter\nafter: [masked] [masked]\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a closed writer took more")
	}
}

// A set that grows while it is used finds what one finds that was whole from the
// start.
func TestGrownSetFindsTheSame(t *testing.T) {
	t.Parallel()
	values := mixedSecrets(60)
	var whole, grown Set
	var text bytes.Buffer
	r := rand.New(rand.NewSource(5))
	for i, v := range values {
		for _, s := range []*Set{&whole, &grown} {
			if err := s.Add(fmt.Sprint(i), v); err != nil {
				t.Fatal(err)
			}
		}
		if m := grown.matcher(); len(m.patterns) != len(grown.patterns) {
			t.Fatalf("%d of %d patterns are compiled", len(m.patterns), len(grown.patterns))
		}
	}
	whole.matcher()
	for range 2000 {
		p := whole.patterns[r.Intn(len(whole.patterns))].text
		from := r.Intn(len(p))
		text.WriteString(p[from:min(len(p), from+r.Intn(60))])
		text.Write(token(r, r.Intn(9)))
	}
	if parts := len(grown.matcher().pieces.parts); parts < 2 || parts > 8 {
		t.Errorf("it has %d parts", parts)
	}
	want := whole.Bytes(text.Bytes())
	if got := grown.Bytes(text.Bytes()); !bytes.Equal(got, want) {
		t.Errorf("the grown set masks otherwise: %d bytes are left, not %d", len(got), len(want))
	}
	matches := func(s *Set) []Match {
		found, err := s.Scan(bytes.NewReader(text.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	if d := cmp.Diff(matches(&whole), matches(&grown)); d != "" {
		t.Error(d)
	}
}

func TestSetIsSharedByManyWriters(t *testing.T) {
	t.Parallel()
	s := setOf(t, "hunter2hunter")
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			r := rand.New(rand.NewSource(int64(i)))
			var out bytes.Buffer
			w := s.Writer(&out)
			for range 50 {
				if i%4 == 0 {
					if err := s.Add("more", token(r, 24)); err != nil {
						t.Error(err)
					}
				}
				if _, err := io.WriteString(w, "pw hunter2hunter\n"); err != nil {
					t.Error(err)
				}
			}
			if err := w.Close(); err != nil || out.String() != strings.Repeat("pw [masked]\n", 50) {
				t.Errorf("a writer gave %q (%v)", out.String(), err)
			}
		})
	}
	wg.Wait()
}

func TestWriteErrorsAreReturned(t *testing.T) {
	t.Parallel()
	s := setOf(t, "hunter2hunter")
	for _, text := range []string{"plain\n", "pw hunter2hunter\n"} {
		w := s.Writer(failing{})
		if _, err := io.WriteString(w, text); !errors.Is(err, errFull) {
			t.Errorf("%q: got %v, want the error of the writer below", text, err)
		}
	}
	w := s.Writer(failing{})
	if _, err := io.WriteString(w, "hunt"); err != nil {
		t.Errorf("held bytes were written: %v", err)
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close: got %v, want the error of the writer below", err)
	}
}

var errFull = errors.New("disk full")

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errFull }

func TestWriteDoesNotAllocate(t *testing.T) {
	s := setOf(t, "hunter2hunter", "Zx4tU9pLm2Qw8rKd5sVb", string(opensshKey(keys().ed25519, "c")))
	w := s.Writer(io.Discard)
	chunks := [][]byte{
		[]byte("an ordinary line of a log\n"), []byte("the password is hunter2hunter\n"),
		[]byte("held: hunter2"), []byte("hunter and Zx4tU9pLm2Qw8r"), []byte("Kd5sVb\n"),
	}
	run := func() {
		for _, c := range chunks {
			if _, err := w.Write(c); err != nil {
				t.Error(err)
			}
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations for %d writes", n, len(chunks))
	}
}

// What a writer keeps is bounded, however large the writes and the log.
func TestMemoryStaysFlat(t *testing.T) {
	t.Parallel()
	s := setOf(t, "hunter2hunter", "Zx4tU9pLm2Qw8rKd5sVb")
	w := s.Writer(io.Discard)
	for _, text := range []string{
		strings.Repeat("hunter2hunter is the password, Zx4t\n", 1<<17), strings.Repeat("hunter2hunter", 1<<18), "hunter2", strings.Repeat("x", 1<<22),
	} {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if kept := cap(w.buf) + cap(w.out); kept > 4*chunkSize {
		t.Errorf("the writer keeps %d bytes", kept)
	}
}

func TestScan(t *testing.T) {
	t.Parallel()
	var s Set
	key := pkcs8(keys().rsa)
	for name, v := range map[string]string{"TOKEN": "Zx4tU9pLm2Qw8rKd5sVb", "PIN": "hunter2hunter", "KEY": string(key)} {
		if err := s.Add(name, []byte(v)); err != nil {
			t.Fatal(err)
		}
	}
	body := string(key[bytes.Index(key, []byte("\n"))+900:][:200])
	for name, tt := range map[string]struct {
		in   string
		want []Match
	}{
		"nothing":       {"an ordinary log\n", nil},
		"raw":           {"key=Zx4tU9pLm2Qw8rKd5sVb\n", []Match{{4, 20, "TOKEN", Raw}}},
		"piece":         {"..4tU9pLm2Qw8rKd5s..", []Match{{2, 16, "TOKEN", Raw}}},
		"base64":        {"Basic dXNlcjpodW50ZXIyaHVudGVy", []Match{{13, 17, "PIN", Base64}}},
		"hex":           {"68:75:6e:74:65:72:32:68:75:6e:74:65:72", []Match{{0, 38, "PIN", Hex}}},
		"two in a row":  {"hunter2hunterZx4tU9pLm2Qw8rKd5sVb", []Match{{0, 13, "PIN", Raw}, {13, 20, "TOKEN", Raw}}},
		"two apart":     {"hunter2hunter Zx4tU9pLm2Qw8rKd5sVb", []Match{{0, 13, "PIN", Raw}, {14, 20, "TOKEN", Raw}}},
		"lines in JSON": {`"` + strings.ReplaceAll(body, "\n", `\n`) + `"`, []Match{{1, 203, "KEY", JSON}}},
		"lines":         {body, []Match{{0, 200, "KEY", Raw}}},
		"far in":        {strings.Repeat("-", 3*chunkSize-7) + "hunter2hunter", []Match{{3*chunkSize - 7, 13, "PIN", Raw}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, r := range []io.Reader{strings.NewReader(tt.in), iotest.OneByteReader(strings.NewReader(tt.in))} {
				got, err := s.Scan(r)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			}
		})
	}
	if _, err := s.Scan(iotest.ErrReader(errFull)); !errors.Is(err, errFull) {
		t.Errorf("got %v, want the reader's error", err)
	}
}

// Any secrets, any text made of them, any way to cut it.
func TestAgainstReference(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		value := rapid.OneOf(
			rapid.SliceOfN(rapid.Byte(), 8, 40),
			rapid.SliceOfN(rapid.SampledFrom([]byte("ab \n:")), 8, 40),
			rapid.SliceOfN(rapid.SampledFrom([]byte(`a"'\/<&+=`)), 8, 30),
			rapid.Map(rapid.StringMatching(`[A-Za-z0-9]{8,30}`), func(s string) []byte { return []byte(s) }),
		)
		secrets := rapid.SliceOfN(value, 1, 4).Draw(rt, "secrets")
		script := rapid.SliceOfN(rapid.Byte(), 3, 120).Draw(rt, "script")
		cuts := rapid.SliceOfN(rapid.Byte(), 1, 8).Draw(rt, "cuts")
		checkAgainstReference(rt, secrets, script, cuts)
	})
}
