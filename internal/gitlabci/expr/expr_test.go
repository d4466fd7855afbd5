package expr

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/errs"
)

func scope() Scope {
	vars := map[string]string{
		"MAIN": "main", "EMPTY": "", "BLANK": " \t", "X": "x", "TAG": "v1.2.3",
		"RE": "/^v\\d/", "PATH_": "a/b/c", "TRUE": "true", "LINES": "one\ntwo", "RE_I": "/MAIN/i",
	}
	return Scope{
		Variable: func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		Input: func(name string) (any, bool) {
			v, ok := map[string]any{"flag": true, "env": "prod", "n": 3}[name]
			return v, ok
		},
	}
}

func TestTrue(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		`$MAIN`: true, `$UNDEF`: false, `$EMPTY`: false, `$BLANK`: false, `"x"`: true, `""`: false, `null`: false,
		`$MAIN == "main"`: true, `$MAIN == 'main'`: true, `$MAIN != "main"`: false, `"main" == $MAIN`: true,
		`$UNDEF == null`: true, `$EMPTY == null`: false, `$UNDEF == ""`: false, `$EMPTY == ""`: true, `$UNDEF != ""`: true,
		// Ruby's truth: "" counts inside, but not as the end result.
		`$EMPTY && $X`: true, `$X && $EMPTY`: false, `$EMPTY || $X`: false, `$UNDEF || $X`: true, `$UNDEF && $X`: false,
		`$UNDEF || $EMPTY`:                      false,
		`$MAIN =~ /^ma/`:                        true,
		`$MAIN =~ /^MA/`:                        false,
		`$MAIN =~ /^MA/i`:                       true,
		`$MAIN !~ /^ma/`:                        false,
		`$UNDEF =~ /ab/`:                        false,
		`$UNDEF !~ /ab/`:                        true,
		`$MAIN =~ $UNDEF`:                       false,
		`$MAIN !~ $UNDEF`:                       true,
		`$MAIN =~ null`:                         false,
		`$TAG =~ $RE`:                           true,
		`$MAIN =~ $RE`:                          false,
		`$MAIN =~ $RE_I`:                        true,
		`$MAIN =~ "/main/"`:                     true,
		`"b" =~ $PATH_`:                         true, // not a pattern: left within right
		`$PATH_ =~ "b"`:                         false,
		`"z" !~ $PATH_`:                         true,
		`$UNDEF =~ "b"`:                         true, // "" is within "b"
		`$PATH_ =~ /a\/b/`:                      true,
		`$LINES =~ /^two$/`:                     false,
		`$LINES =~ /^two$/m`:                    true,
		`$LINES =~ /one.two/`:                   false,
		`$LINES =~ /one.two/s`:                  true,
		`$MAIN =~ /(?:main|x)/`:                 true,
		`$X == "x" || $MAIN == "y" && $UNDEF`:   true, // && before ||
		`($X == "x" || $MAIN == "y") && $UNDEF`: false,
		`!$UNDEF`:                               true, `!$X`: false, `!$EMPTY`: true, `!!$X`: true, `!($X == "x")`: false,
		`!$UNDEF && $X`: true, `!$UNDEF == true`: true,
		`$X == "x" == true`: true, `$TRUE == true`: false, `true`: true, `false`: false, `false || true`: true,
		"$X ==\n  \"x\"": true, `$MAIN=="main"&&$X`: true,
		`$[[ inputs.flag ]]`: true, `$[[inputs.flag]] == true`: true, `$[[ inputs.env ]] == "prod"`: true,
		`$[[ inputs.nope ]] == null`: true, `$[[ inputs.n ]] == "3"`: false,
		`/ab/`: true, `"a//b" =~ /a//`: true,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			e, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.True(scope()); got != want {
				t.Errorf("True = %v, want %v", got, want)
			}
		})
	}
}

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]SyntaxError{
		``:                     {1, 1, "the expression is empty", ""},
		`  `:                   {1, 1, "the expression is empty", ""},
		`${X} == "a"`:          {1, 2, "${…} is not allowed in an expression", "write $X"},
		`$X = "a"`:             {4, 1, `"=" is not part of the language of rules`, "use == to compare, =~ to match"},
		`$X == `:               {7, 1, "a value is missing at the end", ""},
		`== "a"`:               {1, 2, "a value is missing before this", ""},
		`$X $MAIN`:             {4, 5, "an operator is missing before this", "join conditions with && or ||"},
		`($X`:                  {1, 1, "this ( is not closed", ""},
		`$X)`:                  {3, 1, "this ) closes nothing", ""},
		`$X == "a`:             {7, 2, `this string has no closing "`, ""},
		`$X =~ /a/`:            {7, 3, "a regular expression must have at least two characters", "compare with == instead, or write /a{1}/"},
		`$X =~ /ab`:            {7, 3, "this regular expression has no closing /", ""},
		`$X =~ /(ab/`:          {7, 5, "this regular expression cannot be read: missing closing ) in (ab", "the syntax is RE2's"},
		`$X =~ /^(?!a).*$/`:    {7, 11, "this regular expression cannot be read: Perl syntax in (?!", "RE2 has no look-ahead and look-behind; use a second condition with !~"},
		`$X == main`:           {7, 4, `"main" is not part of the language of rules`, "a variable is written $main, a string in quotes"},
		`$X and $MAIN`:         {4, 3, `"and" is not part of the language of rules`, "write &&"},
		`$ == "a"`:             {1, 1, "a variable's name must follow $", ""},
		`"ü" == $[[ matrix ]]`: {8, 3, "$[[ ]] may only hold inputs.NAME here", ""},
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(text)
			var got *SyntaxError
			if !errors.As(err, &got) || !errs.Is(err, errs.Invalid) {
				t.Fatalf("error = %v, want a SyntaxError of kind Invalid", err)
			}
			if diff := cmp.Diff(want, *got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestTooManyTokens(t *testing.T) {
	t.Parallel()
	if _, err := Parse(strings.Repeat("$A||", 49) + "$A"); err != nil {
		t.Errorf("99 tokens: %v", err)
	}
	if _, err := Parse(strings.Repeat("$A||", 50) + "$A"); err == nil {
		t.Error("101 tokens are accepted")
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	e, err := Parse(`$X == "main" && ($[[ inputs.env ]] || $Y)`)
	if err != nil {
		t.Fatal(err)
	}
	got := e.Show(func(name string) string { return "<" + name + ">" })
	if want := `<X> == "main" && (<inputs.env> || <Y>)`; got != want {
		t.Errorf("Show = %s, want %s", got, want)
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	if _, ok, err := Pattern("main"); ok || err != nil {
		t.Errorf("a plain name is taken for a pattern (%v, %v)", ok, err)
	}
	if _, ok, err := Pattern("/(/"); !ok || err == nil {
		t.Error("a broken pattern is no error")
	}
	match, ok, err := Pattern("/^issue-.*$/i")
	if !ok || err != nil || !match("ISSUE-1") || match("x") {
		t.Error("/^issue-.*$/i does not match as it should")
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`$A == "b" && ($C =~ /x+/i || !$D)`, `$[[ inputs.a ]]`, `/ab//`, `$A=~/\/x/`, `(((`, "null\n==''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := Parse(text)
		if err != nil {
			var fault *SyntaxError
			if !errors.As(err, &fault) || fault.Column < 1 || fault.Width < 1 {
				t.Fatalf("error without a place: %v", err)
			}
			return
		}
		if first, second := e.True(scope()), e.True(scope()); first != second {
			t.Error("not the same twice")
		}
		if got := e.Show(func(n string) string { return "$" + n }); !strings.Contains(text, "[[") && got != text {
			t.Errorf("Show with the names = %q, want %q", got, text)
		}
	})
}

func BenchmarkTrue(b *testing.B) {
	e, err := Parse(`$CI_PIPELINE_SOURCE == "merge_request_event" && $MAIN =~ /^ma.*/ || $TAG =~ $RE`)
	if err != nil {
		b.Fatal(err)
	}
	s := scope()
	b.ReportAllocs()
	for b.Loop() {
		e.True(s)
	}
}
