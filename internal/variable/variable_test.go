package variable

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/forge"
	"refline/internal/secret"
)

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := Parse([]byte("# a comment\n\nA=1\nexport B = \"two words\"\nC='x=y'\nD=\"open\nE=\n"), ".env")
	want := []Assignment{{"A", "1"}, {"B", "two words"}, {"C", "x=y"}, {"D", `"open`}, {"E", ""}}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v\n%s", err, d)
	}
	for text, want := range map[string]string{"A=1\nhunter2\n": ".env:2: want NAME=VALUE", "2A=hunter2": ".env:1: want NAME=VALUE"} {
		if _, err := Parse([]byte(text), ".env"); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

func FuzzParseExport(f *testing.F) {
	for _, s := range []string{"A=1\nexport B='2'\n", `[{"key":"A","value":"x","variable_type":"file"},{"key":"B","value":null}]`, "[", "=", "\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := ParseExport(data, "file")
		for _, v := range list {
			if err != nil || v.Line && !ValidName(v.Name) || v.Hidden && v.Value.Len() > 0 {
				t.Errorf("%q gives %+v, %v", data, v, err)
			}
		}
	})
}

// A device or a pipe would never end.
func TestReadFileTakesRegularFilesOnly(t *testing.T) {
	t.Parallel()
	for _, path := range []string{os.DevNull, t.TempDir()} {
		if _, err := ReadFile(path, "FILE"); !errs.Is(err, errs.Invalid) && !errs.Is(err, errs.NotFound) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestOpenAndWrite(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	path := ProjectPath(state, "git.example.com/data/flows")
	if dir, name := filepath.Split(path); dir != filepath.Join(state, "variables")+"/" || !strings.HasPrefix(name, "flows-") {
		t.Errorf("the path is %s", path)
	}
	if AnyProject(state) {
		t.Error("a new state folder has variables")
	}
	if _, err := Open(path, secret.Identities{}, false); !errs.Is(err, errs.NotFound) {
		t.Errorf("a file that is not there: %v", err)
	}
	f, err := Open(path, secret.Identities{}, true)
	if err != nil {
		t.Fatal(err)
	}
	want := secret.Variable{Name: "A", Value: secret.NewString("hunter2-hunter2"), Environment: secret.AnyEnvironment, Masked: true}
	if err := f.Put(want); err != nil {
		t.Fatal(err)
	}
	if err := f.Write(); err != nil {
		t.Fatal(err)
	}
	f, err = Open(path, secret.Identities{}, false)
	if err != nil || f.Index(want) != 0 || !same(f.Variables[0], want) || !AnyProject(state) {
		t.Errorf("got %+v, %v", f, err)
	}
}

func TestPull(t *testing.T) {
	t.Parallel()
	v := func(name, value string) secret.Variable {
		return secret.Variable{Name: name, Value: secret.NewString(value), Environment: secret.AnyEnvironment}
	}
	f := &File{File: &secret.File{Variables: []secret.Variable{v("SAME", "1"), v("OLD", "1"), v("KEPT", "1"), v("HERE", "1")}}}
	there := []forge.ProjectVariable{{Variable: v("SAME", "1")}, {Variable: v("OLD", "2")}, {Variable: v("KEPT", ""), Hidden: true},
		{Variable: v("LOST", ""), Hidden: true}, {Variable: v("NEW", "1")}}
	changes, err := f.Pull(there, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range changes {
		got = append(got, c.Variable.Name+" "+string(c.Outcome))
	}
	if d := cmp.Diff([]string{"SAME same", "OLD changed", "KEPT refused", "LOST refused", "NEW new"}, got); d != "" {
		t.Error(d)
	}
	values := map[string]string{}
	for _, x := range f.Variables {
		values[x.Name] = x.Value.RevealString()
	}
	if d := cmp.Diff(map[string]string{"SAME": "1", "OLD": "2", "KEPT": "1", "HERE": "1", "NEW": "1"}, values); d != "" {
		t.Error(d)
	}
	if changes, err := f.Pull(there, []string{"LOST"}); err != nil || len(changes) != 1 {
		t.Errorf("one name: %+v, %v", changes, err)
	}
}
