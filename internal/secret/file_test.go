package secret

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"refline/internal/errs"
)

const example = `# variables of the project
protected: {branches: [main, release/*], tags: [v*]}
variables:
  - name: TOKEN
    value: s3cret-c0ntent
    masked: true
    protected: true
    environment: production/*
  - {name: NUMBER, value: 0123, raw: true}
  - {name: YES, value: yes}
  - {name: EMPTY, value: ""}
  - name: KEY
    description: the deploy key
    file: true
    value: |
      first line
      second line
`

func sample() *File {
	return &File{
		Protected: ProtectedRefs{Branches: []string{"main", "release/*"}, Tags: []string{"v*"}},
		Variables: []Variable{
			{Name: "TOKEN", Value: NewString(content), Masked: true, Protected: true, Environment: "production/*"},
			{Name: "NUMBER", Value: NewString("0123"), Raw: true, Environment: "*"},
			{Name: "YES", Value: NewString("yes"), Environment: "*"},
			{Name: "EMPTY", Value: NewString(""), Environment: "*"},
			{Name: "KEY", Value: NewString("first line\nsecond line\n"), File: true, Description: "the deploy key", Environment: "*"},
		},
	}
}

var equalValues = cmp.Comparer(func(a, b Value) bool { return a.Equal(b) })

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse("vars.yml", []byte(example))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample(), got, equalValues); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if f, err := Parse("vars.yml", nil); err != nil || len(f.Variables) != 0 {
		t.Errorf("an empty file: %v, %v", f, err)
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ in, want string }{
		"not YAML":        {"variables: [\n  {name: A, value: s3cret-c0ntent", "vars.yml: this is not YAML; see line"},
		"a list":          {"- a", "vars.yml:1:1: want names and values"},
		"unknown key":     {"variables:\n- {name: A, value: x, mask: true}", `vars.yml:2:23: "mask" is not known here; known are description, environment`},
		"twice a key":     {"variables: []\nvariables: []", `vars.yml:2:1: "variables" is given twice`},
		"twice the same":  {"variables:\n- {name: A, value: x}\n- {name: A, value: y}", "vars.yml:3:3: variable A is given twice"},
		"bad name":        {"variables:\n- {name: A-B, value: x}", `vars.yml:2:3: variable "A-B": a name has letters`},
		"no value":        {"variables:\n- {name: A}", "vars.yml:2:3: variable A has no value"},
		"a list for text": {"variables:\n- {name: A, value: [s3cret-c0ntent]}", "vars.yml:2:20: want a text"},
		"null":            {"variables:\n- {name: A, value: null}", "vars.yml:2:20: want a text"},
		"no truth":        {"variables:\n- {name: A, value: x, masked: yes}", "vars.yml:2:31: want true or false"},
		"no list":         {"protected: {branches: main}", "vars.yml:1:23: want a list ([a, b])"},
		"all of them":     {"variables:\n- {name: A}\n- {name: B, x: 1}", "vars.yml:2:3: variable A has no value|vars.yml:3:13: \"x\" is not known"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("vars.yml", []byte(tt.in))
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("got %v", err)
			}
			for want := range strings.SplitSeq(tt.want, "|") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got\n%v\nwant\n%s", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), content) {
				t.Errorf("the error shows a value: %v", err)
			}
		})
	}
}

func TestSaveAndOpen(t *testing.T) {
	t.Parallel()
	key, recipient, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ParseIdentities(key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for name, recipients := range map[string][]string{"plain": nil, "encrypted": {recipient}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "vars.yml")
			f := sample()
			f.Recipients = recipients
			for range 2 { // new, then replaced
				if err := f.Save(path); err != nil {
					t.Fatal(err)
				}
				// What a save that was killed has left.
				if err := os.WriteFile(filepath.Join(filepath.Dir(path), ".vars.yml.refline-123"), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			link := filepath.Join(t.TempDir(), "link.yml")
			if err := os.Symlink(path, link); err != nil {
				t.Skipf("needs links: %v", err)
			}
			if err := f.Save(link); err != nil {
				t.Fatal(err)
			}
			if at, err := os.Readlink(link); err != nil || at != path {
				t.Errorf("the link became a file: %v", err)
			}
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if encrypted := recipients != nil; Encrypted(raw) != encrypted || bytes.Contains(raw, []byte(content)) == encrypted || bytes.Contains(raw, []byte("TOKEN")) == encrypted {
				t.Errorf("the file holds\n%s", raw)
			}
			if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
			got, err := Open(path, keys)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f, got, equalValues); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
				t.Errorf("files left: %v, %v", left, err)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	key, recipient, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	identities := func(v Value) Identities {
		k, err := ParseIdentities(v.Reveal())
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	f := sample()
	f.Recipients = []string{recipient}
	good := filepath.Join(dir, "good")
	if err := f.Save(good); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"cut": raw[:len(raw)/2], "changed": bytes.Replace(raw, raw[400:404], []byte("AAAA"), 1)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		file string
		keys Identities
		kind errs.Kind
		want string
	}{
		"no file":   {"none", Identities{}, errs.NotFound, "no such file"},
		"no key":    {"good", Identities{}, errs.Denied, "no key to open it"},
		"wrong key": {"good", identities(other), errs.Denied, "other keys"},
		"cut":       {"cut", identities(key), errs.Invalid, "damaged"},
		"changed":   {"changed", identities(key), errs.Invalid, "damaged"},
	} {
		_, err := Open(filepath.Join(dir, tt.file), tt.keys)
		if !errs.Is(err, tt.kind) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v (%v), want %q (%v)", name, err, errs.KindOf(err), tt.want, tt.kind)
		}
	}
	f.Recipients = []string{"age1nonsense"}
	if err := f.Save(good); !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "age1nonsense") {
		t.Errorf("a bad recipient: %v", err)
	}
	if again, err := os.ReadFile(good); err != nil || !bytes.Equal(again, raw) {
		t.Error("the file was changed by a save that was refused")
	}
	if _, err := ParseIdentities([]byte("AGE-SECRET-KEY-1NONSENSE")); !errs.Is(err, errs.Invalid) || strings.Contains(err.Error(), "NONSENSE") {
		t.Errorf("a bad key: %v", err)
	}
}

func TestPutAndRemove(t *testing.T) {
	t.Parallel()
	f := &File{}
	for _, v := range []Variable{
		{Name: "A", Value: NewString("1")},
		{Name: "A", Value: NewString("2"), Environment: "production"},
		{Name: "A", Value: NewString("3"), Environment: "*"},
	} {
		if err := f.Put(v); err != nil {
			t.Fatal(err)
		}
	}
	if got := shown(f.Variables); got != "A=3 A=2" {
		t.Errorf("got %s", got)
	}
	if err := f.Put(Variable{Name: "A B"}); !errs.Is(err, errs.Invalid) {
		t.Errorf("a bad name: %v", err)
	}
	if err := f.Remove("A", "production"); err != nil || shown(f.Variables) != "A=3" {
		t.Errorf("got %s, %v", shown(f.Variables), err)
	}
	for _, name := range []string{"A", "B"} {
		want := map[string]string{
			"A": "variable A is in the file, but for environment *, not for production",
			"B": "variable B for environment production is not in the file",
		}[name]
		if err := f.Remove(name, "production"); !errs.Is(err, errs.NotFound) || err.Error() != want {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Whatever a value holds, line ends and white space included, comes back.
func TestValuesSurviveTheFile(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ \t\r\n:#'"|>\-a0~!]{0,12}`)).Draw(t, "value")
		f := &File{}
		if f.Put(Variable{Name: "A", Value: NewString(value)}) != nil {
			t.Skip("not text")
		}
		plain, err := f.Plain()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Parse("f", plain)
		if err != nil {
			t.Fatalf("%v\n%s", err, plain)
		}
		if back := got.Variables[0].Value.RevealString(); back != value {
			t.Fatalf("put in %q, got back %q\n%s", value, back, plain)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte("variables: [{name: A, value: !!binary aGk=}, &x {name: B, value: *x}]"))
	f.Add([]byte("? [a]\n: b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse("f", data)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("kind %v: %v", errs.KindOf(err), err)
			}
			return
		}
		plain, err := file.Plain()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse("f", plain)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, plain)
		}
		if diff := cmp.Diff(file, again, equalValues); diff != "" {
			t.Fatalf("(-first +again)\n%s", diff)
		}
	})
}
