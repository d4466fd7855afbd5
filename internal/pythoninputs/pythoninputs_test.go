package pythoninputs

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
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
			got := slices.Clone(s.Flows[0].Inputs) // the script is kept
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
		"long texts":      {"# -*- coding: latin-1 -*-\n" + strings.Repeat("def ", 100_000), ""},
		"UTF-16":          {"\xff\xfef\x00r\x00o\x00m\x00", ""},
		"many inputs":     {"from refline import flow\n@flow\ndef f(" + manyInputs(300) + "): pass\n", "too many inputs"},
		"much text":       {"from refline import flow\n@flow\ndef f(a='" + strings.Repeat("é", 300_000) + "'): pass\n", "says too much"},
		"large":           {strings.Repeat("x = 1\n", MaxSource), "larger than 1 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Read(t.Context(), []byte(c.source))
			if err != nil || s.Error == "" || !strings.Contains(s.Error, c.want) {
				t.Errorf("got %.300s, %v; want an error with %q", fmt.Sprintf("%+v", s), err, c.want)
			}
		})
	}
	// Sources that have an answer, whatever is odd in them.
	for name, c := range map[string]struct{ source, want string }{
		"a number without end":   {"from refline import flow\n@flow\ndef f(a=0x" + strings.Repeat("f", 50_000) + ", b: int = 1e999): pass\n", "a b"},
		"limits without end":     {"from refline import flow\n@flow\ndef f(a: Annotated[int, Field(le=1e999, ge=" + strings.Repeat("9", 400) + ")]): pass\n", "a"},
		"a deep default":         {"from refline import flow\n@flow\ndef f(a=" + strings.Repeat("[", 90) + strings.Repeat("]", 90) + "): pass\n", "a"},
		"halves of characters":   {"from refline import flow\n@flow\ndef f(a='\\ud800'): pass\n", "a"},
		"a text as annotation":   {"from refline import flow\n@flow\ndef f(a: '((((', b: 'x\\0y'): pass\n", "a b"},
		"Latin-1":                {"# -*- coding: latin-1 -*-\nfrom refline import flow\n@flow\ndef f(a='\xe4'): pass\n", "a"},
		"a byte order mark":      {"\xef\xbb\xbffrom refline import flow\n@flow\ndef f(a): pass\n", "a"},
		"carriage returns":       {"from refline import flow\r\n@flow\r\ndef f(a,\r\n  b): pass\r\n", "a b"},
		"literals of a megabyte": {"from refline import flow\nx = [" + strings.Repeat("'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', ", 20_000) + "]\n@flow\ndef f(a): pass\n", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := Read(t.Context(), []byte(c.source))
			if err != nil || len(s.Flows) != 1 {
				t.Fatalf("got %+v, %v; want one flow", s, err)
			}
			var names []string
			for _, in := range s.Flows[0].Inputs {
				names = append(names, in.Name)
			}
			if got := strings.Join(names, " "); got != c.want {
				t.Errorf("got the inputs %q, want %q", got, c.want)
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

func manyInputs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "a%d, ", i)
	}
	return b.String()
}

// TestChosen: which of several flows a file means.
func TestChosen(t *testing.T) {
	t.Parallel()
	const two = "from refline import flow\n@flow\ndef a(): pass\n@flow(name='Other name')\ndef b(): pass\n"
	cases := map[string]struct{ source, name, want string }{
		"none is":               {two, "", ""},
		"by its function":       {two, "b", "b"},
		"by its name":           {two, "Other name", "b"},
		"unknown":               {two, "c", ""},
		"the module attribute":  {two + "flow = b\n", "", "b"},
		"the last attribute":    {two + "flow = b\nflow = a\n", "", "a"},
		"an unknown attribute":  {two + "flow = pick(a, b)\n", "", ""},
		"what __main__ calls":   {two + "if __name__ == '__main__':\n    b()\n", "", "b"},
		"both are called there": {two + "if __name__ == '__main__':\n    a(); b()\n", "", ""},
		"the only one":          {"from prefect import flow\n@flow\ndef a(): pass\n", "", "a"},
	}
	sources := map[string]string{}
	for name, c := range cases {
		sources[name] = c.source
	}
	scripts := readAll(t, sources)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := scripts[name]
			if s == nil || s.Error != "" {
				t.Fatal(s)
			}
			if got, _ := s.Find(c.name); got.Function != c.want {
				t.Errorf("got %q, want %q", got.Function, c.want)
			}
		})
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
