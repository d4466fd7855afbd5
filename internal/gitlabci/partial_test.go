package gitlabci

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/diag"
	"refline/internal/errs"
)

// What is wrong for certain is told although a file is missing or the header is
// wrong; what the missing part may put right is not.
func TestMistakesBesideWhatIsMissing(t *testing.T) {
	t.Parallel()
	const missing = "1:10: error: the file \"gone.yml\" cannot be reached: no source of files is configured"
	tests := map[string]struct{ text, want string }{
		"nothing else":                   {"job: {image: x}", ""},
		"a keyword":                      {"job: {imgae: x}", `2:7: error: "imgae" is not a keyword of a job; did you mean "image"?`},
		"a value":                        {"job: {retry: 7}", `2:14: error: job "job": retry must be a number from 0 to 2, not 7`},
		"a type":                         {"job: {tags: x, extends: .gone}", `2:13: error: job "job": tags must be a list of strings, not the string "x"`},
		"a condition":                    {"job: {rules: [{if: '$A ='}]}", `2:20: error: job "job": rules:if cannot be read at character 4 of "$A =": "=" is not part of the language of rules; use == to compare, =~ to match`},
		"a key of a rule":                {"job: {rules: [{fi: $A}]}", `2:16: error: "fi" is not a keyword of rules in job "job"; did you mean "if"?`},
		"a rule without start_in":        {"job: {rules: [{when: delayed}]}", `2:15: error: job "job": rules:start_in is missing; when: delayed needs it`},
		"a service without a name":       {"job: {services: [{alias: x}]}", `2:18: error: job "job": services:name is missing`},
		"a key in a list in a list":      {"job: {rules: [{changes: {compare_to: x}}]}", `2:25: error: job "job": rules:changes:paths is missing`},
		"a stage":                        {"stages: [a]\njob: {stage: b}", `3:14: error: job "job": stage "b" is not among the stages; they are .pre, a, .post`},
		"the default":                    {"default: {image: 5}", `2:18: error: default:image must be a string or a map, not the number 5`},
		"workflow":                       {"workflow: {rules: x}", `2:19: error: workflow:rules must be a list of maps, not the string "x"`},
		"script and trigger":             {"job: {script: x, trigger: a/b}", `2:18: error: job "job" cannot have both script and trigger`},
		"start_in beside when":           {"job: {when: manual, start_in: 1 day}", `2:31: error: job "job": start_in needs when: delayed`},
		"an order of stages":             {"stages: [a, b]\nj: {stage: a, needs: [k]}\nk: {stage: b}", `3:23: error: job "j": needs names "k", whose stage "b" comes after "a"`},
		"not an order unknown":           {"stages: [a, test]\nj: {stage: a, needs: [k]}\nk: {extends: .gone}", ""},
		"not an order of stages unknown": {"j: {stage: build, needs: [k]}\nk: {stage: test}", ""},
		"not the script":                 {"job: {stage: test}\nother: {needs: [job]}", ""},
		"not a name that is missing":     {"job: {environment: {url: 'https://x'}, image: {entrypoint: [a]}, release: {tag_name: a, assets: {}}, secrets: {A: {token: $T}}, id_tokens: {B: {}}}", ""},
		"not a job that is missing":      {"job: {script: x, needs: [a], dependencies: [a], extends: c}\nd: {script: x, environment: {name: e, on_stop: f}}", ""},
		"not a stage that is there":      {"job: {script: x, stage: other}", ""},
		"not when":                       {"job: {script: x, start_in: 1 day}\nk: {script: x, when: delayed}", ""},
		"not the parts of pages":         {"job: {script: x, publish: y}\nk: {script: x, artifacts: {expose_as: y}}", ""},
		"not a map of kubernetes":        {"job: {script: x, environment: {name: a, kubernetes: {flux_resource_path: y}}}", ""},
		"a likely other keyword":         {"varables: {A: b}", ""},
		"not what a cache lacks":         {"job: {script: x, cache: {key: {prefix: a}}}", ""},
		"what a cache of many lacks":     {"job: {script: x, cache: [{key: {prefix: a}}]}", `2:32: error: job "job": cache:key must have files or files_commits`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := strings.TrimSuffix(missing+"\n"+tt.want, "\n")
			if got := said(compiled(t, "include: gone.yml\n"+tt.text)); got != want {
				t.Errorf("said\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestInputsOfAnIncludeBesideAWrongHeader(t *testing.T) {
	t.Parallel()
	res := compiledWith(t, "spec: {inputz: {a: }}\n---\ninclude: [{local: a.yml, inputs: {n: '$[[ inputs.a ]]', zip: 1}}]\nj: {script: x}", func(in *Input) {
		in.Loader = files{"a.yml": "spec: {inputs: {n: {type: number}, m: {type: number}}}\n---\nk: {script: x, parallel: '$[[ inputs.n ]]', retry: 7}"}
	})
	want := "a.yml:3:52: error: job \"k\": retry must be a number from 0 to 2, not 7\n" +
		"1:8: error: \"inputz\" is not a keyword of spec; did you mean \"inputs\"?\n" +
		"3:19: error: the file \"a.yml\" needs the input \"m\"; give it a value, or a default at a.yml:1:36\n" +
		"3:57: error: the file \"a.yml\" has no input \"zip\"; it has n, m"
	if got := said(res); got != want {
		t.Errorf("said\n%s\nwant\n%s", got, want)
	}
}

func TestMistakesBesideAWrongHeader(t *testing.T) {
	t.Parallel()
	const wrong = `1:8: error: "inputz" is not a keyword of spec; did you mean "inputs"?`
	tests := map[string]struct{ text, want string }{
		"nothing else":        {"job: {script: 'echo $[[ inputs.a ]]', stage: '$[[ inputs.s ]]'}", ""},
		"without blocks":      {"job: {script: x, needs: [zip]}", `3:26: error: job "job" needs "zip", which is not a job`},
		"beside a block":      {"job: {script: '$[[ inputs.a ]]', retry: 7}", `3:41: error: job "job": retry must be a number from 0 to 2, not 7`},
		"any value":           {"job: {script: x, parallel: '$[[ inputs.n ]]', rules: '$[[ inputs.r ]]', cache: {key: '$[[ inputs.k ]]', policy: '$[[ inputs.p ]]'}, retry: {max: 1, when: ['$[[ inputs.w ]]']}, image: {pull_policy: ['$[[ inputs.q ]]']}}", ""},
		"any name":            {"job: {script: x, '$[[ inputs.k ]]': y, artifacts: {'$[[ inputs.l ]]': z}}\n'$[[ inputs.j ]]': {script: 7}", `4:29: error: job "$[[ inputs.j ]]": script must be a string or a list of strings, not the number 7`},
		"any include":         {"include: '$[[ inputs.f ]]'\njob: {script: x, retry: 7}", `4:25: error: job "job": retry must be a number from 0 to 2, not 7`},
		"a function":          {"job: {script: '$[[ inputs.a | nope ]]'}", ""},
		"a block that is bad": {"job: {script: '$[[ outputs.a ]]'}", `3:15: error: $[[ outputs.a ]]: there is no "outputs"; a block can read inputs, and component in a component`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := strings.TrimSuffix(wrong+"\n"+tt.want, "\n")
			if got := said(compiled(t, "spec: {inputz: {a: {default: b}}}\n---\n"+tt.text)); got != want {
				t.Errorf("said\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// without is a loader that lacks one file.
type without struct {
	Loader
	path string
}

func (w without) Read(ctx context.Context, s Source) ([]byte, Source, error) {
	if s.Path == w.path {
		return nil, s, errs.E(errs.NotFound, "hidden")
	}
	return w.Loader.Read(ctx, s)
}

// mistyped is a loader that has a mistake in the header of one file.
type mistyped struct {
	Loader
	path string
}

func (m mistyped) Read(ctx context.Context, s Source) ([]byte, Source, error) {
	text, found, err := m.Loader.Read(ctx, s)
	if header, rest, ok := strings.Cut(string(text), "\n---"); ok && s.Path == m.path && strings.Contains(header, "spec:") {
		text = []byte(strings.Replace(header, "inputs:", "inputz:", 1) + "\n---" + rest)
	}
	return text, found, err
}

// Whatever is told of a real pipeline that lacks one of its files is told of the
// whole one too, but for the file itself, and so for a mistake in its header.
func TestRealPipelinesWithoutOneFile(t *testing.T) {
	t.Parallel()
	dir := conformance(t, "gitlab/pipelines")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	facts := someFacts()[0]
	for _, e := range entries {
		loader := folder(filepath.Join(dir, e.Name()))
		compile := func(l Loader) *Result {
			res, err := Compile(t.Context(), Input{Root: Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, Loader: l, Predefined: Predefined(facts)})
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		whole := compile(loader)
		told := map[string]bool{}
		for _, f := range whole.Findings {
			told[f.String()] = true
		}
		for i, file := range whole.Files {
			list := compile(mistyped{loader, file.Path}).Findings
			if i > 0 {
				list = append(list, compile(without{loader, file.Path}).Findings...)
			}
			for _, f := range list {
				if f.Level == diag.Error && f.Rule != "include" && !strings.Contains(f.Message, "inputz") && !told[f.String()] {
					t.Errorf("%s without %s: %s", e.Name(), file.Path, f)
				}
			}
		}
	}
}
