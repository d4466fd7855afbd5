package pipeline_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

func values(pairs ...string) []pipeline.Variable {
	var list []pipeline.Variable
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		list = append(list, pipeline.Variable{Name: name, Value: value})
	}
	return list
}

func TestExpandAndResolve(t *testing.T) {
	t.Parallel()
	lookup := pipeline.Lookup(values("A=one", "A_2=two", "EMPTY=", "DOLLAR=$A"))
	tests := []struct{ text, expand, resolve string }{
		{"", "", ""},
		{"plain", "plain", "plain"},
		{"$A", "one", "one"},
		{"${A}", "one", "one"},
		{"%A%", "one", "%A%"},
		{"x${A}y$A-z", "xoneyone-z", "xoneyone-z"},
		{"$A_2$A", "twoone", "twoone"},
		{"$A$A", "oneone", "oneone"},
		{"[$EMPTY]", "[]", "[]"},
		{"$NOPE ${NOPE} %NOPE%", "$NOPE ${NOPE} %NOPE%", "  %NOPE%"},
		{"$$A", "$$A", "$A"},
		{"%%A%%", "%%A%%", "%%A%%"},
		{"$$$A", "$$one", "$one"},
		{"$DOLLAR", "$A", "$A"},
		{"100%", "100%", "100%"},
		{"50% of $A% x", "50% of one% x", "50% of one% x"},
		{"${A", "${A", "A"},
		{"${}", "${}", ""},
		{"$1 $é $", "$1 $é $", " $é $"},
		{"%A", "%A", "%A"},
		{"%A$A%", "%Aone%", "%Aone%"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			t.Parallel()
			if got := pipeline.Expand(tt.text, lookup); got != tt.expand {
				t.Errorf("Expand gives %q, want %q", got, tt.expand)
			}
			if got := pipeline.Resolve(tt.text, lookup); got != tt.resolve {
				t.Errorf("Resolve gives %q, want %q", got, tt.resolve)
			}
		})
	}
}

func TestExpandAll(t *testing.T) {
	t.Parallel()
	raw := func(name, value string) pipeline.Variable {
		return pipeline.Variable{Name: name, Value: value, Raw: true}
	}
	file := func(name, value string) pipeline.Variable {
		return pipeline.Variable{Name: name, Value: value, File: true}
	}
	tests := []struct {
		name string
		vars []pipeline.Variable
		want string // values, joined by |
		err  string
	}{
		{name: "in any order, at any depth", vars: values("A=<$B>", "B=[${C}]", "C=(%D%)", "D=d"), want: "<[(d)]>|[(d)]|(d)|d"},
		{name: "unknown and doubled names stay", vars: values("A=$NOPE $$B %%B%%", "B=b"), want: "$NOPE $$B %%B%%|b"},
		{name: "raw ones are not expanded, nor are references to them", vars: append(values("A=$R", "B=b"), raw("R", "$B")), want: "$R|b|$B"},
		{name: "references to file variables stay", vars: append(values("A=$F", "B=b"), file("F", "$B")), want: "$F|b|b"},
		{name: "a reference to itself stays", vars: values("PATH=$PATH:/x", "A=$PATH"), want: "$PATH:/x|$PATH:/x"},
		{name: "the last of one name is meant", vars: values("A=1", "B=$A", "A=2"), want: "1|2|2"},
		{name: "a cycle", vars: values("A=$B", "B=$C", "C=$B"), err: "variables refer to each other in a cycle: B → C → B"},
		{name: "none", want: ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			given := append([]pipeline.Variable(nil), tt.vars...)
			got, err := pipeline.ExpandAll(tt.vars)
			if tt.err != "" {
				if !errs.Is(err, errs.Invalid) || err.Error() != tt.err {
					t.Fatalf("got %v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := joined(got); s != tt.want {
				t.Errorf("got %s, want %s", s, tt.want)
			}
			if d := cmp.Diff(given, tt.vars); d != "" {
				t.Error("changed its input:", d)
			}
		})
	}
}

func joined(vars []pipeline.Variable) string {
	var list []string
	for _, v := range vars {
		list = append(list, v.Value)
	}
	return strings.Join(list, "|")
}

func TestResolveAll(t *testing.T) {
	t.Parallel()
	vars := append(values("A=$B and $F", "B=$C", "C=c $$HOME", "D=$NOPE."),
		pipeline.Variable{Name: "R", Value: "$A", Raw: true},
		pipeline.Variable{Name: "F", Value: "content of $C", File: true})
	got := pipeline.ResolveAll(vars, func(name string) string { return "/tmp/" + name })
	want := "$C and /tmp/F|c $$HOME|c $HOME|.|$A|content of c $$HOME"
	if s := joined(got); s != want {
		t.Errorf("got %s, want %s", s, want)
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	got := pipeline.Merge(values("A=1", "B=1", "A=2"), nil, values("C=3", "B=3"), values("B=4", "D=4"))
	if d := cmp.Diff(values("A=2", "B=4", "C=3", "D=4"), got); d != "" {
		t.Error(d)
	}
	if got := pipeline.Merge(); got != nil {
		t.Errorf("nothing merged is %v", got)
	}
}

// TestExpandAllIsDone: what is expanded once and has no circle, no self
// reference and no raw or file variable is not changed by expanding again.
func TestExpandAllIsDone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var vars []pipeline.Variable
		for i := range rapid.IntRange(0, 6).Draw(t, "n") {
			parts := []string{"x", "$$", "%%", "$UNKNOWN", " "}
			for k := range i {
				name := string(rune('A' + k))
				parts = append(parts, "$"+name, "${"+name+"}", "%"+name+"%")
			}
			value := strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 4).Draw(t, "value"), ".")
			vars = append(vars, pipeline.Variable{Name: string(rune('A' + i)), Value: value})
		}
		once, err := pipeline.ExpandAll(vars)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := pipeline.ExpandAll(once)
		if d := cmp.Diff(once, twice); d != "" || err != nil {
			t.Fatal(err, d)
		}
	})
}

func FuzzExpandAll(f *testing.F) {
	f.Add("$B", "${A}", false, false)
	f.Add("%B%%", "$$A${}", true, false)
	f.Add("${B", "$", false, true)
	f.Fuzz(func(t *testing.T, a, b string, raw, file bool) {
		vars := []pipeline.Variable{{Name: "A", Value: a}, {Name: "B", Value: b, Raw: raw, File: file}}
		got, err := pipeline.ExpandAll(vars)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatal(err)
			}
			return
		}
		if len(got) != 2 || raw && got[1].Value != b {
			t.Fatalf("%v became %v", vars, got)
		}
		none := func(string) (string, bool) { return "", false }
		if same := pipeline.Expand(a, none); same != a {
			t.Fatalf("%q became %q although nothing is known", a, same)
		}
	})
}
