package jobexpr

import (
	"strings"
	"testing"

	"refline/internal/errs"
)

func scope() Scope {
	inputs := map[string]any{
		"name": "you", "empty": "", "n": 3.0, "yes": true, "no": false, "none": nil,
		"list": []any{"a", "b", map[string]any{"k": "v", "a-b": 1.5}},
	}
	return Scope{"job": map[string]any{"inputs": inputs}, "x": "X"}
}

func TestExpand(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"no expression $x ${x} }}":                                       "no expression $x ${x} }}",
		"${{ x }}":                                                       "X",
		"${{x}}-${{ x }}":                                                "X-X",
		"${{\n  x\t}}":                                                   "X",
		`\${{ x }} ${{ x }}`:                                             "${{ x }} X",
		"${{ job.inputs.name }}":                                         "you",
		`${{ job["inputs"]["name"] }}`:                                   "you",
		"${{ job . inputs . name }}":                                     "you",
		"${{ job.inputs.list[1] }}":                                      "b",
		`${{ job.inputs.list[2]["a-b"] }}`:                               "1.5",
		"${{ job.inputs.list }}":                                         `["a","b",{"a-b":1.5,"k":"v"}]`,
		"v=${{ job.inputs.n }} ${{ job.inputs.yes }}":                    "v=3 true",
		"${{ null }}${{ true }}${{ false }}":                             "<null>truefalse",
		"${{ 42 }} ${{ 3.14 }} ${{ 1.5e3 }} ${{ 2E-4 }}":                 "42 3.14 1500 0.0002",
		"${{ 10 / 4 }} ${{ 10 % 3 }} ${{ -10 % 3 }}":                     "2.5 1 -1",
		"${{ 1 + 2 * 3 - 4 / 2 }} ${{ (1 + 2) * 3 }}":                    "5 9",
		"${{ 10 - 4 - 3 }} ${{ +5 }} ${{ - -5 }}":                        "3 5 5",
		`${{ "a" + 'b' }}`:                                               "ab",
		`${{ 1 == 1 }} ${{ 1 == "1" }} ${{ 1 != 2 }}`:                    "true false true",
		`${{ "a" < "b" }} ${{ 2 <= 2 }} ${{ 3 > 4 }} ${{ 3 >= 4 }}`:      "true true false false",
		`${{ false < true }} ${{ null == null }}`:                        "true true",
		`${{ [1, 2] == [1, 2] }} ${{ [1] < [1, 2] }}`:                    "true true",
		`${{ {a: 1, b: 2} == {b: 2, a: 1} }}`:                            "true",
		`${{ job.inputs.empty || "default" }}`:                           "default",
		`${{ job.inputs.name && "-v" || "" }}`:                           "-v",
		`${{ job.inputs.no && "-v" || "" }}`:                             "",
		`${{ job.inputs.none || 0 || [] || {} }}`:                        "{}",
		`${{ true || nothing }} ${{ false && nothing }}`:                 "true false",
		`${{ !true }} ${{ !"" }} ${{ !!1 }}`:                             "false true true",
		`${{ !false == true }} ${{ 1 + 1 == 2 && 2 < 3 }}`:               "true true",
		`${{ str(42) + str(true) + str(null) }}`:                         "42true<null>",
		`${{ num("3.5") + 1 }} ${{ bool("") }} ${{ bool(1) }}`:           "4.5 false true",
		`${{ "a\n\t\"\\\u00e9" }}`:                                       "a\n\t\"\\é",
		`${{ 'a\n it\'s \\ ${{ x }}' }}`:                                 `a\n it's \ ${{ x }}`,
		`${{ "<${{ x + "y" }}>" }} ${{ "\${{ x }}" }}`:                   "<Xy> ${{ x }}",
		`${{ {"a": [1, {b: null},], (x): true,} }}`:                      `{"X":true,"a":[1,{"b":null}]}`,
		`${{ {a: {b: "c"}}.a.b }}`:                                       "c",
		`${{ "}}" }}`:                                                    "}}",
		`${{ job.inputs.n == 3 && "deploy:stable" || "deploy:latest" }}`: "deploy:stable",
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			if got, err := Expand(text, scope()); err != nil || got != want {
				t.Errorf("%q, %v; want %q", got, err, want)
			}
		})
	}
}

func TestExpandSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"${{ x":                 "${{ has no closing }} at character 1",
		"é ${{ x y }}":          "an operator is missing at character 9",
		"${{ }}":                "a value is missing at character 5",
		"${{ 1 + }}":            "a value is missing at character 9",
		"${{ y }}":              `there is no "y" at character 5`,
		"${{ job.inputs.zip }}": `there is no "zip" at character 15`,
		"${{ job. }}":           "a name must follow the dot at character 10",
		"${{ job[1] }}":         "an object has no property 1 at character 8",
		"${{ x.y }}":            "a string has no property y at character 6",
		"${{ [1][1] }}":         "[1] is past the end of a list of 1 at character 8",
		"${{ [1][0.5] }}":       "an array has no property 0.5 at character 8",
		"${{ [1 }}":             "] is missing at character 8",
		"${{ (1 }}":             ") is missing at character 8",
		"${{ x[1 }}":            "] is missing at character 9",
		"${{ {a} }}":            ": is missing at character 7",
		"${{ {a: 1 }}":          `an operator is missing at character 12`,
		"${{ {(1): 1} }}":       "a key must be a string, not a number at character 6",
		`${{ "a" + 1 }}`:        "+ cannot take a string and a number at character 9",
		"${{ 1 / 0 }}":          "a division by zero at character 7",
		`${{ -"a" }}`:           "- takes a number, not a string at character 5",
		`${{ num("a") }}`:       `"a" is not a number at character 5`,
		`${{ num(null) }}`:      "num takes a string, not null at character 5",
		"${{ now(1) }}":         "there is no function now at character 5",
		"${{ str(1 }}":          ") is missing at character 11",
		`${{ "a }}`:             `a string has no closing " at character 10`,
		`${{ 'a }}`:             `a string has no closing ' at character 5`,
		`${{ "\q" }}`:           `\q means nothing in a string at character 6`,
		"${{ 1.2.3 }}":          `"1.2.3" is not a number at character 5`,
		"${{ 0x10 }}":           `"0x10" is not a number at character 5`,
		"${{ " + strings.Repeat("(", 200) + " }}": "the expression is nested too deeply at character 105",
	}
	for text, want := range tests {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			got, err := Expand(text, scope())
			if err == nil || err.Error() != want || !errs.Is(err, errs.Invalid) || got != "" {
				t.Errorf("%q, %v; want the error %s", got, err, want)
			}
		})
	}
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{
		"a ${{ x }} b", `\${{ ${{ "a${{ x }}" + 'b' }}`, "${{ [1, {a: 2}][1].a }}", "${{ !x && (1 + 2) * -3 >= 4 || null }}",
		`${{ str(num("1e3")) }}`, `${{ "\u0041\n" }}`, "${{ job.inputs.list[2].k }}",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := Expand(text, scope())
		switch {
		case err != nil && (got != "" || !errs.Is(err, errs.Invalid)):
			t.Errorf("%q beside the error %v", got, err)
		case !strings.Contains(text, "${{") && got != text:
			t.Errorf("%q became %q without an expression in it", text, got)
		}
	})
}
