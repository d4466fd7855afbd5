package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"refline/internal/cfn"
)

// What the solver calls possible is what some choice of the parameters makes
// true, found by trying them all.
func TestPossibleAgainstAllChoices(t *testing.T) {
	t.Parallel()
	values := []string{"a", "b", "c"}
	params := []string{"P", "Q"}
	rapid.Check(t, func(t *rapid.T) {
		names := []string{}
		var b strings.Builder
		b.WriteString("Parameters:\n")
		for _, p := range params {
			fmt.Fprintf(&b, "  %s: {Type: String, AllowedValues: [a, b, c]}\n", p)
		}
		b.WriteString("Conditions:\n")
		count := rapid.IntRange(1, 5).Draw(t, "count")
		for i := range count {
			name := fmt.Sprintf("C%d", i)
			fmt.Fprintf(&b, "  %s: %s\n", name, drawCondition(t, names, params, values, 0))
			names = append(names, name)
		}
		tmpl, err := cfn.Parse("t", []byte(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		c := newConditions(tmpl.Root.Get("Conditions"), tmpl.Root.Get("Parameters"))
		var a *assumption
		want := map[string]bool{}
		for _, name := range names {
			if rapid.Bool().Draw(t, "assume "+name) {
				value := rapid.Bool().Draw(t, name)
				a, want[name] = &assumption{name: name, value: value, next: a}, value
			}
		}
		got := c.possible(a, nil, false)
		if exists := anyChoice(tmpl.Root.Get("Conditions"), params, values, want); got != exists {
			t.Fatalf("possible is %v, trying all gives %v\n%s%v", got, exists, &b, want)
		}
	})
}

func drawCondition(t *rapid.T, names, params, values []string, depth int) string {
	kind := rapid.IntRange(0, 4).Draw(t, "kind")
	if depth > 2 {
		kind = 0
	}
	sub := func() string { return drawCondition(t, names, params, values, depth+1) }
	switch {
	case kind == 1:
		return "{Fn::Not: [" + sub() + "]}"
	case kind == 2:
		return "{Fn::And: [" + sub() + ", " + sub() + "]}"
	case kind == 3:
		return "{Fn::Or: [" + sub() + ", " + sub() + "]}"
	case kind == 4 && len(names) > 0:
		return "{Condition: " + rapid.SampledFrom(names).Draw(t, "name") + "}"
	default:
		return "{Fn::Equals: [{Ref: " + rapid.SampledFrom(params).Draw(t, "parameter") + "}, " + rapid.SampledFrom(values).Draw(t, "value") + "]}"
	}
}

func anyChoice(conditions *cfn.Node, params, values []string, want map[string]bool) bool {
	for i := range len(values) * len(values) {
		chosen := map[string]string{params[0]: values[i%len(values)], params[1]: values[i/len(values)]}
		all := true
		for name, value := range want {
			all = all && evaluate(conditions, conditions.Get(name), chosen) == value
		}
		if all {
			return true
		}
	}
	return false
}

func evaluate(conditions, n *cfn.Node, chosen map[string]string) bool {
	name, arg, _ := n.Function()
	switch name {
	case "Condition":
		return evaluate(conditions, conditions.Get(arg.Text), chosen)
	case "Fn::Not":
		return !evaluate(conditions, arg.Items[0], chosen)
	case "Fn::And":
		return evaluate(conditions, arg.Items[0], chosen) && evaluate(conditions, arg.Items[1], chosen)
	case "Fn::Or":
		return evaluate(conditions, arg.Items[0], chosen) || evaluate(conditions, arg.Items[1], chosen)
	}
	_, ref, _ := arg.Items[0].Function()
	return chosen[ref.Text] == arg.Items[1].Text
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, text string
		want          bool
	}{
		{"^[a-z]+$", "abc", true},
		{"^[a-z]+$", "aBc", false},
		{"^(?!aws:).+$", "aws:x", false}, // needs the engine that backtracks
		{"^(?!aws:).+$", "x", true},
		{`^.{1,2048}\Z`, strings.Repeat("x", 2049), false},
		{"^[a-z]{2,3}+$", "abcd", false},
		{"[", "x", true}, // what is no expression refuses nothing
	} {
		if got := newPattern(tc.pattern).match(tc.text); got != tc.want {
			t.Errorf("%s on %.20s: got %v", tc.pattern, tc.text, got)
		}
	}
}

// Every entry of the archive can be read and compiled.
func TestArchive(t *testing.T) {
	t.Parallel()
	book, err := openRulebook()
	if err != nil {
		t.Fatal(err)
	}
	for name, e := range book.archive.entries {
		switch {
		case e.regions != 0:
			if typ := book.typeNamed(name); typ == nil || typ.schema == permissive {
				t.Errorf("type %s cannot be read", name)
			}
		case strings.HasPrefix(name, "other/"):
			if book.schema(name) == permissive {
				t.Errorf("%s cannot be read", name)
			}
		}
	}
	for _, row := range book.rows {
		switch {
		case row.Regional:
			if book.regional(row.ID, "us-east-1") == permissive {
				t.Errorf("rule %s has nothing for us-east-1", row.ID)
			}
		case row.Schema:
			if book.schema("rule/"+row.ID) == permissive {
				t.Errorf("rule %s cannot be read", row.ID)
			}
		}
	}
	if len(book.services()) < 100 || len(book.stateful()) < 10 || len(book.runtimes()) < 10 {
		t.Errorf("tables: %d services, %d stateful types, %d runtimes", len(book.services()), len(book.stateful()), len(book.runtimes()))
	}
}

func BenchmarkLint(b *testing.B) {
	var src strings.Builder
	src.WriteString("Resources:\n")
	for i := range 150 {
		fmt.Fprintf(&src, "  B%d:\n    Type: AWS::S3::Bucket\n    Properties:\n      BucketName: !Sub bucket-%d-${AWS::Region}\n      VersioningConfiguration:\n        Status: Enabled\n"+
			"      LifecycleConfiguration:\n        Rules:\n          - Id: a\n            Status: Enabled\n            ExpirationInDays: 30\n      Tags:\n        - Key: a\n          Value: !Ref AWS::StackName\n"+
			"  Q%d:\n    Type: AWS::SQS::Queue\n    Properties:\n      DelaySeconds: 5\n      QueueName: !Join ['-', [q, !Ref AWS::Region]]\n      Tags: [{Key: a, Value: b}]\n", i, i, i)
	}
	for b.Loop() {
		t, err := cfn.Parse("t.yaml", []byte(src.String()))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Lint(b.Context(), t, Options{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(strings.Count(src.String(), "\n")), "lines")
}

// A rule that the table calls done is checked by a schema, bound to a path, or
// reported somewhere in the code.
func TestDoneRulesAreChecked(t *testing.T) {
	t.Parallel()
	book, err := openRulebook()
	if err != nil {
		t.Fatal(err)
	}
	bound := map[string]bool{"E0000": true} // by the reader of templates
	for _, list := range book.byName {
		for _, b := range list {
			bound[b.id] = true
		}
	}
	var code strings.Builder
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if file == "catalog.go" || strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(src)
	}
	rules, err := Rules()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if r.Done && !bound[r.ID] && !strings.Contains(code.String(), `"`+r.ID+`"`) {
			t.Errorf("%s is not checked anywhere", r.ID)
		}
		if !r.Done && bound[r.ID] {
			t.Errorf("%s is checked, but the table says that it is not", r.ID)
		}
	}
}
