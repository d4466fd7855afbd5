package pythoninputs

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func needPython(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("needs python3: apt-get install python3")
	}
}

func number(n float64) *float64 { return &n }

// TestFlows: what the parameters of a flow become, of Refline and of Prefect, under
// other names too.
func TestFlows(t *testing.T) {
	t.Parallel()
	needPython(t)
	for name, c := range map[string]struct {
		source string
		want   []Input
	}{
		"types": {"from refline import flow\nfrom datetime import date, datetime\n@flow\ndef f(a, b: int, c: float, d: str, e: bool, g: date, h: datetime, i: list, j: dict): pass\n", []Input{
			{Name: "a", Type: TypeAny}, {Name: "b", Type: TypeInteger}, {Name: "c", Type: TypeNumber}, {Name: "d", Type: TypeText}, {Name: "e", Type: TypeBoolean},
			{Name: "g", Type: TypeDate}, {Name: "h", Type: TypeDatetime}, {Name: "i", Type: TypeList}, {Name: "j", Type: TypeJSON},
		}},
		"defaults": {"import refline\n@refline.flow(name='x')\ndef f(a=1, b='t', *, c=None, d=now(), e=[1]): pass\n", []Input{
			{Name: "a", Type: TypeAny, HasDefault: true, Default: json.RawMessage("1")}, {Name: "b", Type: TypeAny, HasDefault: true, Default: json.RawMessage(`"t"`)},
			{Name: "c", Type: TypeAny, HasDefault: true, Default: json.RawMessage("null")}, {Name: "d", Type: TypeAny, HasDefault: true, Code: "now()"},
			{Name: "e", Type: TypeAny, HasDefault: true, Default: json.RawMessage("[1]")},
		}},
		"aliases and text annotations": {"import prefect as p\nfrom typing import Optional as O, Literal\n@p.flow\ndef f(a: 'O[int]', b: \"int | None\", c: Literal['x', 'y'], d: Unknown): pass\n", []Input{
			{Name: "a", Type: TypeInteger, Optional: true}, {Name: "b", Type: TypeInteger, Optional: true}, {Name: "c", Type: TypeText, Options: []string{"x", "y"}}, {Name: "d", Type: TypeAny},
		}},
		"limits and enums": {"from prefect import flow as fl\nfrom enum import Enum\nclass E(Enum):\n  A = 'a'\n  B = 'b'\n@fl\ndef f(a: Annotated[int, Field(ge=1, lt=9)], b: E): pass\n", []Input{
			{Name: "a", Type: TypeInteger, Min: number(1), Max: number(9), MaxOpen: true}, {Name: "b", Type: TypeText, Options: []string{"a", "b"}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Read(t.Context(), []byte(c.source))
			if err != nil || s.Error != "" || len(s.Flows) != 1 {
				t.Fatalf("got %+v, %v; want one flow", s, err)
			}
			got := s.Flows[0].Inputs
			for i := range got {
				if got[i].Line == 0 {
					t.Errorf("%s has no line", got[i].Name)
				}
				got[i].Line = 0
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("inputs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestArgparse(t *testing.T) {
	t.Parallel()
	needPython(t)
	const begin = "import argparse\np = argparse.ArgumentParser()\n"
	for name, c := range map[string]struct {
		source string
		want   []Input // nil: not certain
	}{
		"options": {begin + "p.add_argument('-d', '--day', required=True, help='which')\np.add_argument('--n', type=int, default=3)\np.add_argument('--mode', choices=['a', 'b'])\np.add_argument('--dry-run', action='store_true')\n", []Input{
			{Name: "day", Type: TypeText, Help: "which"}, {Name: "n", Type: TypeInteger, HasDefault: true, Default: json.RawMessage("3")},
			{Name: "mode", Type: TypeText, HasDefault: true, Options: []string{"a", "b"}}, {Name: "dry-run", Type: TypeBoolean, HasDefault: true, Switch: true},
		}},
		"a positional argument": {begin + "p.add_argument('file')\n", nil},
		"in a loop":             {begin + "for x in y:\n  p.add_argument('--' + x)\n", nil},
		"sub-commands":          {begin + "p.add_argument('--a')\ns = p.add_subparsers()\n", nil},
		"two parsers":           {begin + "q = argparse.ArgumentParser()\nq.add_argument('--a')\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Read(t.Context(), []byte(c.source))
			if err != nil || s.Error != "" {
				t.Fatal(s, err)
			}
			for i := range s.Options {
				s.Options[i].Line = 0
			}
			if diff := cmp.Diff(c.want, s.Options); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
		})
	}
}

// TestHostileSources: there is always an answer, and nothing of the source runs.
func TestHostileSources(t *testing.T) {
	t.Parallel()
	needPython(t)
	for name, c := range map[string]struct{ source, want string }{
		"a syntax error":  {"from refline import flow\n@flow\ndef f(:\n", "invalid syntax"},
		"a zero byte":     {"x = '\x00'\n", ""},
		"other encodings": {"# -*- coding: no-such -*-\nx = 1\n", ""},
		"not UTF-8":       {"x = '\xff\xfe'\n", ""},
		"deep":            {"x = " + strings.Repeat("(", 5000) + strings.Repeat(")", 5000) + "\n", ""},
		"deep operators":  {"x = " + strings.Repeat("-", 100_000) + "1\n", ""},
		"large":           {strings.Repeat("x = 1\n", MaxSource), "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Read(t.Context(), []byte(c.source))
			if err != nil || s.Error == "" || !strings.Contains(s.Error, c.want) {
				t.Errorf("got %+v, %v; want an error with %q", s, err, c.want)
			}
		})
	}
	marker := t.TempDir() + "/ran"
	s, err := Read(t.Context(), []byte("open("+string(must(json.Marshal(marker)))+", 'w')\nfrom refline import flow\n@flow\ndef f(a=open('/x')): pass\n"))
	if err != nil || len(s.Flows) != 1 {
		t.Fatal(s, err)
	}
	if out, err := exec.Command("ls", marker).CombinedOutput(); err == nil {
		t.Errorf("the source was run: %s", out)
	}
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}

func TestCheck(t *testing.T) {
	t.Parallel()
	limited := Input{Type: TypeInteger, Min: number(1), Max: number(9), MaxOpen: true}
	for _, c := range []struct {
		in    Input
		value string
		wrong string
	}{
		{Input{Type: TypeInteger}, "5", ""}, {Input{Type: TypeInteger}, "5.5", "not a whole number"}, {Input{Type: TypeInteger, Optional: true}, "null", ""},
		{Input{Type: TypeNumber}, "1e3", ""}, {Input{Type: TypeNumber}, "NaN", "not a number"}, {Input{Type: TypeBoolean}, "yes", "not true or false"},
		{Input{Type: TypeDate}, "2026-11-22", ""}, {Input{Type: TypeDate}, "2026-02-30", "not a date"}, {Input{Type: TypeDatetime}, "2026-11-22T06:00:00+01:00", ""},
		{Input{Type: TypeDatetime}, "yesterday", "not a time"}, {Input{Type: TypeList}, `["a"]`, ""}, {Input{Type: TypeList}, "a,b", "not a list"}, {Input{Type: TypeJSON}, "{", "not JSON"},
		{limited, "0", "less than >= 1 allows"}, {limited, "9", "more than < 9 allows"}, {limited, "8", ""},
		{Input{Type: TypeText, Options: []string{"a", "b"}}, "c", "not one of a, b"}, {Input{Type: TypeText, Regex: "^x"}, "y", "does not match ^x"}, {Input{Type: TypeText, Regex: "(?<=a)b"}, "y", ""},
		{Input{Type: TypeAny}, "whatever", ""},
	} {
		got := c.in.Check(c.value)
		if (got == "") != (c.wrong == "") || !strings.Contains(got, c.wrong) {
			t.Errorf("%+v with %q: got %q, want %q", c.in, c.value, got, c.wrong)
		}
	}
}

// FuzzDecode: whatever python3 says, there is a script or an error.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"flows":[{"name":"a","parameters":[{"name":"x","type":"integer","min":1}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s := decode(text)
		for _, flow := range s.Flows {
			for _, in := range flow.Inputs {
				in.Check("1")
			}
		}
	})
}
