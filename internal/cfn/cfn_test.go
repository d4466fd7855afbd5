package cfn_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/jsonnet"
)

// brief writes a value on one line, for comparison.
func brief(n *cfn.Node) string {
	var b strings.Builder
	var write func(n *cfn.Node)
	write = func(n *cfn.Node) {
		switch n.Kind {
		case cfn.Map:
			b.WriteString("{")
			for i, f := range n.Fields {
				if i > 0 {
					b.WriteString(" ")
				}
				b.WriteString(f.Name + ":")
				write(f.Value)
			}
			b.WriteString("}")
		case cfn.List:
			b.WriteString("[")
			for i, item := range n.Items {
				if i > 0 {
					b.WriteString(" ")
				}
				write(item)
			}
			b.WriteString("]")
		default:
			b.WriteString(n.Kind.String()[:1] + "'" + n.Text + "'")
		}
	}
	write(n)
	return b.String()
}

func TestParseValues(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, src, want string }{
		{"short forms", "a: !Ref x\nb: !GetAtt r.a.b\nc: !Sub '${x}'\nd: !If [c, !Ref y, 1]\ne: !Condition z\nf: !GetAZs ''\ng: !Base64\n  Fn::Sub: t\n",
			"{a:{Ref:s'x'} b:{Fn::GetAtt:[s'r' s'a.b']} c:{Fn::Sub:s'${x}'} d:{Fn::If:[s'c' {Ref:s'y'} i'1']} e:{Condition:s'z'} f:{Fn::GetAZs:s''} g:{Fn::Base64:{Fn::Sub:s't'}}}"},
		{"scalars of YAML 1.1", "a: [1, 010, 0x1f, 1.5, 1e3, yes, Off, ~, null, '1', \"true\", 2012-10-17, 1.2.3.4, -5, +.5, 1_000, 08]",
			"{a:[i'1' i'010' i'0x1f' n'1.5' s'1e3' b'yes' b'Off' n'~' n'null' s'1' s'true' s'2012-10-17' s'1.2.3.4' i'-5' n'+.5' i'1000' s'08']}"},
		{"anchors and merges", "a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}\n", "{a:{p:i'1' q:i'2'} b:{p:i'1' q:i'2'} c:{q:i'3' p:i'1'}}"},
		{"block texts", "a: |\n  one\n  two\nb: >-\n  x\n  y\n", "{a:s'one\ntwo\n' b:s'x y'}"},
		{"JSON", "{\"a\": [1, -2.5e3, true, null, \"\\u00fc\\ud83d\\ude00\\n\"], \"b\": {}}", "{a:[i'1' n'-2.5e3' b'true' n'null' s'ü😀\n'] b:{}}"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := cfn.Parse("t", []byte(tc.src))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, brief(got.Root)); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestPlaces(t *testing.T) {
	t.Parallel()
	yaml := "Resources:\n  Bücket:\n    Type: x\n    Tags:\n      - Key: a\n      - !Ref b\n    V: !Sub c\n"
	json := "{\"R\": {\n  \"ü\": [1,\n   {\"x\": 2}]}}"
	for _, tc := range []struct {
		src    string
		path   cfn.Path
		line   int
		column int
	}{
		{yaml, nil, 1, 1},
		{yaml, cfn.Path{"Resources", "Bücket"}, 2, 3},
		{yaml, cfn.Path{"Resources", "Bücket", "Tags", "0", "Key"}, 5, 9},
		{yaml, cfn.Path{"Resources", "Bücket", "Tags", "1"}, 6, 9},
		{yaml, cfn.Path{"Resources", "Bücket", "V", "Fn::Sub"}, 7, 5}, // a short form has no key of its own
		{yaml, cfn.Path{"Resources", "Bücket", "Missing", "x"}, 2, 3},
		{json, cfn.Path{"R", "ü", "0"}, 2, 9},
		{json, cfn.Path{"R", "ü", "1", "x"}, 3, 5},
	} {
		got, err := cfn.Parse("t", []byte(tc.src))
		if err != nil {
			t.Fatal(err)
		}
		want := diag.Place{File: "t", Line: tc.line, Column: tc.column}
		if p := got.Place(tc.path); p != want {
			t.Errorf("%v: got %v, want %v", tc.path, p, want)
		}
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, src string
		line, col int
		says      string
	}{
		{"JSON without colon", "{\n\t\"a\" {}\n}", 2, 6, "expected ':'"},
		{"JSON that ends", `{"a": [1, `, 1, 11, "the end of the file"},
		{"JSON comma", `{"a": 1,}`, 1, 9, "expected a key"},
		{"JSON more", `{} {}`, 1, 4, "after the template"},
		{"JSON number", `{"a": 01}`, 1, 9, "not a JSON number"},
		{"JSON escape", `{"a": "\q"}`, 1, 8, "not a JSON escape"},
		{"JSON twice", "{\"a\": 1,\n \"a\": 2}", 1, 2, "duplicate key"},
		{"YAML twice", "a: 1\nb: 2\na: 3\n", 1, 1, "duplicate key"},
		{"YAML indentation", "a:\n  b: 1\n c: 2\n", 3, 0, "not YAML"},
		{"a list", "[1, 2]", 1, 1, "a map, not a list"},
		{"short form as a key", "a: [ !ImportValue Fn::Sub: x ]\n", 1, 6, "a key must be a string"},
		{"YAML key", "? [a, b]\n: 1\n", 1, 3, "a key must be a string"},
		{"YAML null as a key", "Condition:\n  Null: {a: true}\n", 2, 3, "not null"},
		{"deep JSON", `{"a":` + strings.Repeat("[", 300), 1, 205, "nested more than 200 levels deep"},
		{"deep YAML", "a: " + strings.Repeat("[", 9000), 1, 0, "brackets are nested too deeply"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := cfn.Parse("t.json", []byte(tc.src))
			var failure *diag.Failure
			if !errors.As(err, &failure) || !errs.Is(err, errs.Invalid) {
				t.Fatalf("got %v", err)
			}
			f := failure.Findings[0]
			if f.Rule != "E0000" || f.Line != tc.line || tc.col != 0 && f.Column != tc.col || !strings.Contains(f.Message, tc.says) {
				t.Errorf("got %+v", f)
			}
		})
	}
}

func TestAliasBomb(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		d := string(rune('0' + i))
		n := string(rune('1' + i))
		b.WriteString("a" + n + ": &a" + n + " [" + strings.Repeat("*a"+d+", ", 10) + "x]\n")
	}
	_, err := cfn.Parse("t.yaml", []byte(b.String()))
	if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), "aliases") {
		t.Errorf("got %v", err)
	}
}

func TestFromJsonnet(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"t.jsonnet":         {Data: []byte("local vpc = import 'lib/vpc.libsonnet';\n{\n  Resources: vpc('10.0.0.0/16') {\n    Extra: { Type: 'X' },\n  },\n}\n")},
		"lib/vpc.libsonnet": {Data: []byte("function(cidr) {\n  Vpc: {\n    Type: 'AWS::EC2::VPC',\n    Properties: { CidrBlock: cidr },\n  },\n}\n")},
	}
	in := jsonnet.Input{File: "t.jsonnet", Read: func(name string) ([]byte, error) { return fs.ReadFile(files, name) }}
	got, err := cfn.Load(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]diag.Place{
		"Resources/Vpc/Properties/CidrBlock": {File: "lib/vpc.libsonnet", Line: 4, Column: 19},
		"Resources/Extra/Type":               {File: "t.jsonnet", Line: 4, Column: 14},
		"Resources/Extra/Missing":            {File: "t.jsonnet", Line: 4, Column: 5},
	} {
		if p := got.Place(strings.Split(pointer, "/")); p != want {
			t.Errorf("%s: got %v, want %v", pointer, p, want)
		}
	}
	if d := cmp.Diff([]string{"lib/vpc.libsonnet", "t.jsonnet"}, got.Sources, cmpopts.SortSlices(strings.Compare)); d != "" {
		t.Error(d)
	}
}

func TestLoadMissing(t *testing.T) {
	t.Parallel()
	none := func(string) ([]byte, error) { return nil, fs.ErrNotExist }
	for _, file := range []string{"a.yaml", "a.jsonnet"} {
		_, err := cfn.Load(t.Context(), jsonnet.Input{File: file, Read: none})
		if !errs.Is(err, errs.NotFound) || err.Error() != file+": no such file" {
			t.Errorf("got %v", err)
		}
	}
}

func TestVariables(t *testing.T) {
	t.Parallel()
	got := cfn.Variables("a ${x} ${ y.z } ${!literal} ${} ${open")
	want := []cfn.Variable{{Name: "x", Begin: 2, End: 6}, {Name: "y.z", Begin: 7, End: 15}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"{\"a\": [1, \"x\"]}", "a: !Ref b\n", "a: &x [*x]", "- <<: {a: 1}", "{\"a\": \"\\ud800\"}", "? - a\n: b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		got, err := cfn.Parse("t", src)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatal(err)
			}
			return
		}
		got.Root.Walk(func(p cfn.Path, n *cfn.Node) bool {
			if place := got.Place(p); place.Line < 1 {
				t.Errorf("%v has no line", p)
			}
			return true
		})
	})
}

func TestJSON(t *testing.T) {
	t.Parallel()
	got, err := cfn.Parse("t.yaml", []byte("b: !Sub '${a} <x>'\na: [010, 0x10, yes, ~, +.5, '1', 2026-01-01]\ne: {}\nf: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := "{\n  \"b\": {\n    \"Fn::Sub\": \"${a} <x>\"\n  },\n  \"a\": [\n    8,\n    16,\n    true,\n    null,\n    0.5,\n    \"1\",\n    \"2026-01-01\"\n  ],\n  \"e\": {},\n  \"f\": []\n}\n"
	if d := cmp.Diff(want, string(got.Root.JSON())); d != "" {
		t.Error(d)
	}
	again, err := cfn.Parse("t.json", got.Root.JSON())
	if err != nil || brief(again.Root) != strings.NewReplacer("i'010'", "i'8'", "i'0x10'", "i'16'", "b'yes'", "b'true'", "n'~'", "n'null'", "n'+.5'", "n'0.5'").Replace(brief(got.Root)) {
		t.Errorf("got %s, %v", brief(again.Root), err)
	}
}
