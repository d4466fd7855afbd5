package gitlabci

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestMistakes: what is said, with line and column, and what to do.
func TestMistakes(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"an input of a job without one": {"j: {script: x, inputs: {a: {type: string}}}", `1:28: error: job "j": inputs:a:default is missing; an input of a job must have one`},
		"a bad default of an input":     {"j: {script: x, inputs: {a: {type: number, default: b}, c: {default: 5, regex: ^a}, d: {type: boolean, default: 'true'}, e: {default: f, options: [g]}}}", "1:52: error: job \"j\": inputs:a: the default must be a number, not \"b\"\n1:69: error: job \"j\": inputs:c: the default does not match ^a: the number 5\n1:134: error: job \"j\": inputs:e: the default cannot be \"f\"; it can be g"},
		"an expression of an input":     {"j: {script: ['${{ job.inputs.b }}', '${{ 1 + }}'], inputs: {a: {default: b}}}", `1:13: warning: job "j": script: the job will fail: there is no "b" at character 15 of "${{ job.inputs.b }}"; name an input as ${{ job.inputs.NAME }}; write \${{ for the text itself` + "\n" + `1:13: warning: job "j": script: the job will fail: a value is missing at character 9 of "${{ 1 + }}"; name an input as ${{ job.inputs.NAME }}; write \${{ for the text itself`},
		"a bad ref of a release":        {"j: {script: x, release: {tag_name: a, description: b, ref: 'a b'}}", `1:60: error: job "j": release:ref must be the name of a branch or tag, or a commit, not "a b"`},
		"kubernetes of nothing":         {"j: {script: x, environment: {name: a, kubernetes: {}}}", `1:51: error: job "j": environment:kubernetes must not be empty`},
		"kubernetes without an agent":   {"j: {script: x, environment: {name: a, kubernetes: {dashboard: {namespace: n}}}}\nk: {script: x, environment: {name: a, kubernetes: {managed_resources: {enabled: true}}}}\nl: {script: x, environment: {name: a, kubernetes: {namespace: n, managed_resources: {enabled: false}}}}", "1:51: error: job \"j\": environment:kubernetes:agent is missing\n2:51: error: job \"k\": environment:kubernetes:agent is missing"},
		"flux without a namespace":      {"j: {script: x, environment: {name: a, kubernetes: {agent: a, flux_resource_path: p}}}", `1:82: error: job "j": environment:kubernetes:flux_resource_path needs namespace`},
		"two namespaces":                {"j: {script: x, environment: {name: a, kubernetes: {agent: a, namespace: n, dashboard: {namespace: m}}}}", `1:73: error: job "j": environment:kubernetes:namespace is set in dashboard too`},
		"a mistyped keyword":            {"job: {script: x, imgae: y}", `1:18: error: "imgae" is not a keyword of a job; did you mean "image"?`},
		"a mistyped script":             {"job: {scritp: x}", "1:1: error: job \"job\" has no script, run or trigger\n1:7: error: \"scritp\" is not a keyword of a job; did you mean \"script\"?"},
		"no script":                     {"job: {image: x}", `1:1: error: job "job" has no script, run or trigger; give it a script, or a name that begins with a dot if others extend it`},
		"a mistyped top keyword":        {"stage: [a]\njob: {script: x}", `1:1: error: "stage" is not a keyword, and a job must be a map, not a list; did you mean "stages"?`},
		"a mistyped top map":            {"varables: {A: b}\njob: {script: x}", `1:1: error: job "varables" has no script, run or trigger; did you mean the keyword "variables"?`},
		"an empty script":               {"job: {script: []}", `1:15: error: job "job": script must not be empty`},
		"a blank script":                {"job: {script: ' '}", `1:15: error: job "job": script must not be empty`},
		"a script of nothing":           {"job: {script: }", `1:15: error: job "job": script must not be empty`},
		"a colon in a script":           {"job:\n  script:\n    - echo: hi", `3:7: error: job "job": script must be a list of strings, not a map; a colon and a space make this line a map; put the whole line in quotes, or write it under a |`},
		"a number in a script":          {"job: {script: [1]}", `1:16: error: job "job": script must be a list of strings, not the number 1`},
		"script and trigger":            {"job: {script: x, trigger: a/b}", `1:18: error: job "job" cannot have both script and trigger`},
		"script and run":                {"job: {script: x, run: [{name: a, script: y}]}", `1:18: error: job "job" cannot have both script and run`},
		"before_script and run":         {"job: {before_script: x, run: [{name: a, script: y}]}", `1:25: error: job "job" cannot have both before_script and run`},
		"an unknown stage":              {"job: {stage: tset, script: x}", `1:14: error: job "job": stage "tset" is not among the stages; did you mean "test"?`},
		"no stage test":                 {"stages: [a]\njob: {script: x}", `2:1: error: job "job" has no stage, and the default, test, is not among the stages; give it one of .pre, a, .post`},
		"an unknown when":               {"job: {script: x, when: manuel}", `1:24: error: job "job": when must be one of on_success, on_failure, always, manual, delayed, not "manuel"; did you mean "manual"?`},
		"never outside of rules":        {"job: {script: x, when: never}", `1:24: error: job "job": when must be one of on_success, on_failure, always, manual, delayed, not "never"; never is for rules only`},
		"delayed without start_in":      {"job: {script: x, when: delayed}", `1:24: error: job "job": when is delayed, so start_in must say for how long`},
		"delayed beside rules":          {"job: {script: x, when: delayed, rules: [{if: $A}]}", `1:24: error: job "job": when cannot be delayed together with rules; put when: delayed and start_in into the rules`},
		"start_in without delayed":      {"job: {script: x, start_in: 1 day}", `1:28: error: job "job": start_in needs when: delayed`},
		"start_in too long":             {"job: {script: x, when: delayed, start_in: 8 days}", `1:43: error: job "job": start_in must not be longer than 1 week`},
		"rules and only":                {"job: {script: x, rules: [{if: $A}], only: [main]}", `1:37: error: job "job": only cannot be used together with rules`},
		"no rules":                      {"job: {script: x, rules: []}", `1:25: error: job "job": rules must not be empty`},
		"an empty rule":                 {"job: {script: x, rules: [{}]}", `1:26: error: job "job": rules must not have an empty rule`},
		"a rule that is a string":       {"job: {script: x, rules: [main]}", `1:26: error: job "job": rules must be a list of maps, not the string "main"`},
		"a mistyped rule":               {"job: {script: x, rules: [{fi: $A}]}", `1:27: error: "fi" is not a keyword of rules in job "job"; did you mean "if"?`},
		"a broken condition":            {"job: {script: x, rules: [{if: '$A = \"b\"'}]}", `1:31: error: job "job": rules:if cannot be read at character 4 of "$A = \"b\"": "=" is not part of the language of rules; use == to compare, =~ to match`},
		"a delayed rule":                {"job: {script: x, rules: [{if: $A, when: delayed}]}", `1:26: error: job "job": rules:start_in is missing; when: delayed needs it`},
		"a variable in a rule":          {"job: {script: x, rules: [{variables: {A: {value: b}}}]}", `1:42: error: job "job": rules:variables:A must be a string here, not a map`},
		"a condition of only":           {"job: {script: x, only: {variables: ['$A &&']}}", `1:37: error: job "job": only:variables cannot be read at character 6 of "$A &&": a value is missing at the end`},
		"a broken ref":                  {"job: {script: x, only: ['/(/']}", `1:25: error: job "job": only has a regular expression that cannot be read: missing closing ) in (; RE2 has no look-ahead; leave out with except, or use rules`},
		"only as a string":              {"job: {script: x, only: main}", `1:24: error: job "job": only must be a list or a map, not the string "main"`},
		"a variable that is a list":     {"variables: {A: [b]}\njob: {script: x}", `1:16: error: variables:A must be a string, a number, true, false or a map, not a list`},
		"a circle of variables":         {"job:\n  script: x\n  variables:\n    C: $D\n    D: '${C}x'", circles("4:8", `job "job": variables`, "C → D → C")},
		"two circles at the top level":  {"variables: {A: $B, B: $A, C: $D, D: '%C%'}\na: {script: x}\nb: {script: x}", circles("1:16", "variables", "A → B → A") + "\n" + circles("1:30", "variables", "C → D → C")},
		"a circle through the job":      {"variables: {A: $B, B: x}\na: {script: x}\nb: {script: x, variables: {B: $A}}", circles("3:31", `job "b": variables`, "A → B → A")},
		"a circle that jobs share":      {".base: {script: x, variables: {A: $B, B: $C, C: $A}}\na: {extends: .base}\nb: {extends: .base}", circles("1:35", `job "a": variables`, "A → B → C → A")},
		"a circle of a rule":            {"a: {script: x, variables: {A: $B}, rules: [{when: always, variables: {B: $A}}]}", circles("1:74", `job "a": variables`, "A → B → A")},
		"a circle of a matrix":          {"a: {script: x, parallel: {matrix: [{A: $B, B: $A}]}}", circles("1:4", `job "a": variables`, "A → B → A")},
		"what is no circle":             {"variables: {A: $A, B: $C, C: {value: $B, expand: false}, D: $$E, E: $D$F}\na: {script: x}", ""},
		"a circle that no job has":      {"variables: {A: $B, B: $A}\na: {script: x, inherit: {variables: false}}\nb: {script: x, rules: [{when: never}]}", ""},
		"a wrong default of an input":   {"spec: {inputs: {n: {type: number, default: x}, u: {type: number, default: y}}}\n---\njob: {script: x, stage: tset, parallel: '$[[ inputs.n ]]', retry: 7}", "1:44: error: the default of input \"n\" must be a number, not \"x\"\n1:75: error: the default of input \"u\" must be a number, not \"y\"\n3:67: error: job \"job\": retry must be a number from 0 to 2, not 7"},
		"a wrong default not used":      {"spec: {inputs: {n: {type: number, default: x}}}\n---\njob: {script: x, stage: tset}", "1:44: error: the default of input \"n\" must be a number, not \"x\"\n3:25: error: job \"job\": stage \"tset\" is not among the stages; did you mean \"test\"?"},
		"a reference that is no list":   {"a: {script: !reference foo, extends: .b}\nc: {script: [x, !reference [d, script]], image: 7}", "1:13: error: !reference takes a list of names; write it as !reference [JOB, KEYWORD]\n1:38: error: \"a\" extends \".b\", which is not defined\n2:29: error: !reference [d, script]: \"d\" is not defined\n2:49: error: job \"c\": image must be a string or a map, not the number 7"},
		"references to nowhere":         {"a: {script: !reference [zz, script], image: !reference [zz, image], needs: [!reference [zz, needs]], rules: !reference [zz, rules], variables: {V: !reference [zz, v]}}\nb: !reference [zz]", nowhere},
		"a script that is mistyped":     {"a: {scirpt: x, stage: tset, retry: 5}\nb: {script: x, needs: [a]}", "1:1: error: job \"a\" has no script, run or trigger\n1:5: error: \"scirpt\" is not a keyword of a job; did you mean \"script\"?\n1:23: error: job \"a\": stage \"tset\" is not among the stages; did you mean \"test\"?\n1:36: error: job \"a\": retry must be a number from 0 to 2, not 5"},
		"a trigger that is mistyped":    {"a: {triger: {include: c.yml}, stage: tset}", "1:1: error: job \"a\" has no script, run or trigger\n1:5: error: \"triger\" is not a keyword of a trigger job; did you mean \"trigger\"?\n1:38: error: job \"a\": stage \"tset\" is not among the stages; did you mean \"test\"?"},
		"no script, and more":           {"a: {stage: tset, image: 7}", "1:1: error: job \"a\" has no script, run or trigger; give it a script, or a name that begins with a dot if others extend it\n1:12: error: job \"a\": stage \"tset\" is not among the stages; did you mean \"test\"?\n1:25: error: job \"a\": image must be a string or a map, not the number 7"},
		"an option that is missing":     {"variables: {A: {value: x, options: [y]}}\njob: {script: x}", `1:36: error: variables:A:options must contain the value "x"`},
		"a description in a job":        {"job: {script: x, variables: {A: {value: b, description: c}}}", `1:44: error: "description" is not a keyword of variables:A in job "job"; known are value, expand`},
		"an image without a name":       {"job: {script: x, image: {entrypoint: [a]}}", `1:25: error: job "job": image:name is missing`},
		"an image as a number":          {"job: {script: x, image: 7}", `1:25: error: job "job": image must be a string or a map, not the number 7`},
		"a default that is wrong":       {"default: {image: 7, scrip: x}\na: {script: x}\nb: {script: x}", "1:18: error: default:image must be a string or a map, not the number 7\n1:21: error: \"scrip\" is not a keyword of default; known are after_script, artifacts, before_script, cache, hooks, id_tokens, identity, image, interruptible, retry, services, tags, timeout"},
		"a default that is there twice": {"default: {image: a}\nimage: b\njob: {script: x}", `2:1: error: image is at the top level and in default; keep the one in default; the top level is its older place`},
		"a mistake that jobs share":     {".base: {script: x, retry: 5}\na: {extends: .base}\nb: {extends: .base}", `1:27: error: job "a": retry must be a number from 0 to 2, not 5`},
		"inherit of no default":         {"job: {script: x, inherit: {default: [imagee]}}", `1:37: error: job "job": inherit:default names "imagee", which is not a keyword of default; did you mean "image"?`},
		"a timeout in seconds":          {"job: {script: x, timeout: 3600}", `1:27: error: job "job": timeout must be a duration as a string, not the number 3600; write "3600 seconds"`},
		"a timeout in nothing":          {"job: {script: x, timeout: soon}", `1:27: error: job "job": timeout must be a duration, not "soon"; as "1h 30m", "90 minutes" or "2 days"`},
		"too many retries":              {"job: {script: x, retry: {max: 3, when: script_failur}}", "1:31: error: job \"job\": retry:max must be a number from 0 to 2, not 3\n1:40: warning: job \"job\": retry:when \"script_failur\" is not a failure reason that Refline knows; did you mean \"script_failure\"?"},
		"allow_failure as a string":     {"job: {script: x, allow_failure: 'yes'}", `1:33: error: job "job": allow_failure must be true, false or a map with exit_codes, not the string "yes"`},
		"coverage without slashes":      {"job: {script: x, coverage: 'a+'}", `1:28: error: job "job": coverage must be a regular expression between slashes, not "a+"`},
		"too many caches":               {"job: {script: x, cache: [{}, {}, {}, {}, {}]}", `1:25: error: job "job": cache may have at most 4 caches, not 5`},
		"too many files of a key":       {"job: {script: x, cache: {key: {files: [a, b, c]}}}", `1:39: error: job "job": cache:key:files must name 1 or 2 files, not 3`},
		"expose_as without paths":       {"job: {script: x, artifacts: {expose_as: a}}", `1:41: error: job "job": artifacts:expose_as needs paths`},
		"access and public":             {"job: {script: x, artifacts: {access: all, public: true}}", `1:43: error: job "job": artifacts cannot have both access and public`},
		"an unknown report":             {"job: {script: x, artifacts: {reports: {junt: a}}}", `1:40: error: "junt" is not a keyword of artifacts:reports in job "job"; did you mean "junit"?`},
		"an environment's name":         {"job: {script: x, environment: 'a?b'}", `1:31: error: job "job": environment may only have letters, digits, spaces and - _ / $ { } . and must not begin or end with /`},
		"on_stop of no job":             {"job: {script: x, environment: {name: p, on_stop: stp}}\nstop: {script: x}", `1:50: error: job "job": environment:on_stop names "stp", which is not a job; did you mean "stop"?`},
		"on_stop that starts":           {"job: {script: x, environment: {name: p, on_stop: stop}}\nstop: {script: x, environment: p}", `1:50: error: job "job": environment:on_stop names "stop", which does not stop its environment; it needs environment:action: stop`},
		"a trigger with an image":       {"job: {trigger: a/b, image: x}", `1:21: error: "image" is not a keyword of a trigger job`},
		"a trigger of many files":       {"job: {trigger: {include: [a.yml, b.yml, c.yml, d.yml]}}", `1:26: error: job "job": trigger:include may name at most 3 files, not 4` + "\n" + `1:26: warning: job "job": trigger:include should have maps in its list, as local: FILE`},
		"a trigger of no job":           {"job: {trigger: {include: {artifact: a.yml}}}", `1:26: error: job "job": trigger:include needs job: the job that makes the artifact "a.yml"`},
		"a trigger of no pipeline":      {"job: {trigger: {include: child.txt}}", `1:26: error: job "job": trigger:include must name a file that ends in .yml or .yaml, not "child.txt"`},
		"a step without a name":         {"job: {run: [{script: x}]}", `1:13: error: job "job": run:name is missing`},
		"a step of two kinds":           {"job: {run: [{name: a, script: x, step: y}]}", `1:23: error: "script" is not a keyword of run in job "job"; known are name, step, env, inputs`},
		"a step's variable":             {"job: {run: [{name: a, script: x, env: {'A-B': c}}]}", `1:40: error: job "job": run:env may only have names of letters, digits and _, not "A-B"`},
		"a step that does nothing":      {"job: {run: [{name: a}]}", `1:13: error: job "job": run must have in each step one of step, script, action, func`},
		"publish without pages":         {"job: {script: x, publish: a}", `1:27: error: job "job": publish can only be used in a job that publishes pages`},
		"a workflow that waits":         {"workflow: {rules: [{when: manual}]}\njob: {script: x}", `1:27: error: workflow:rules:when must be one of always, never, not "manual"`},
		"an empty file":                 {"", noJobs("is empty")},
		"only comments":                 {"# later\n", noJobs("is empty")},
		"only a header":                 {"spec: {inputs: {a: {default: b}}}\n---\n", noJobs("is empty")},
		"only hidden jobs":              {".a: {script: x}\n.b: {script: x}", noJobs("has no visible job")},
		"only variables":                {"\nvariables: {A: b}", noJobs("has no visible job")},
		"no job, and a workflow":        {"workflow: {rules: [{when: never}]}\n.a: {script: x}", noJobs("has no visible job")},
		"no job but a mistyped one":     {"a: {scrip: x}", "1:1: error: job \"a\" has no script, run or trigger\n1:5: error: \"scrip\" is not a keyword of a job; did you mean \"script\"?"},
		"an empty hidden key":           {".a: \njob: {script: x}", `1:1: error: ".a" must not be empty; leave it out, or put something in it`},
		"a name that is too long":       {strings.Repeat("n", 256) + ": {script: x}", `1:1: error: the name of a job may have at most 255 characters, this one has 256`},
		"a list deep in lists":          {"job: {script: [[[[[[[[[[[x]]]]]]]]]]]}", `1:25: error: job "job": script may have lists in lists up to 10 deep`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := said(compiled(t, tt.text)); got != tt.want {
				t.Errorf("said\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func circles(at, who, path string) string {
	return at + ": error: " + who + " form a cycle: " + path + "; give one of them a value that does not lead back to it"
}

// nowhere is all that is said of references that lead nowhere.
const nowhere = `1:25: error: !reference [zz, script]: "zz" is not defined
1:57: error: !reference [zz, image]: "zz" is not defined
1:89: error: !reference [zz, needs]: "zz" is not defined
1:121: error: !reference [zz, rules]: "zz" is not defined
1:160: error: !reference [zz, v]: "zz" is not defined
2:16: error: !reference [zz]: "zz" is not defined`

func noJobs(how string) string {
	return "1:1: error: the configuration " + how + "; write a job: a name that does not begin with a dot, and below it a script"
}

// Everything that is wrong is told at once, in the order of the file.
func TestAllMistakesTogether(t *testing.T) {
	t.Parallel()
	got := said(compiled(t, `
stages: [build]
a: {stage: biuld, script: x, needs: [b]}
c: {stage: build, scrpt: x}
d: {stage: build, script: [1], rules: [{if: "$A =="}]}
`))
	want := []string{"3:12", "3:38", "4:1", "4:19", "5:28", "5:45"}
	lines := strings.Split(got, "\n")
	if len(lines) != len(want) {
		t.Fatalf("said\n%s", got)
	}
	for i, w := range want {
		if !strings.HasPrefix(lines[i], w+": error: ") {
			t.Errorf("line %d is %s, want it at %s", i+1, lines[i], w)
		}
	}
}

func TestEditorWarnings(t *testing.T) {
	t.Parallel()
	got := said(compiled(t, "job: {script: x, tags: [], needs: , image: , variables: {A: }, artifacts: {paths: [], reports: {annotations: [a]}}}\n"+
		"other: {script: x, retry: {exit_codes: [1, 2, 1]}, rules: [{if: }, {exists: a}, {if: $A, needs: }]}"))
	more := said(compiled(t, "stages:\nj: {script: x, allow_failure: {}, cache: {paths: }, release: {tag_name: a, description: b, milestones: m}}\nk: {trigger: {include: [a.yml]}}"))
	if want := strings.Join([]string{
		`1:8: warning: stages is empty and ignored`,
		`2:31: warning: job "j": allow_failure is an empty map`,
		`2:50: warning: job "j": cache:paths is empty and ignored`,
		`2:104: warning: job "j": release:milestones should be a list; the editor's schema refuses a string`,
		`3:24: warning: job "k": trigger:include should have maps in its list, as local: FILE`,
	}, "\n"); more != want {
		t.Errorf("said\n%s\nwant\n%s", more, want)
	}
	want := strings.Join([]string{
		`1:24: warning: job "job": tags is an empty list`,
		`1:35: warning: job "job": needs is empty and ignored`,
		`1:44: warning: job "job": image is empty and ignored`,
		`1:61: warning: job "job": variables:A is empty, which means ""`,
		`1:83: warning: job "job": artifacts:paths is an empty list`,
		`1:110: warning: job "job": artifacts:reports:annotations should be one string; the editor's schema refuses a list`,
		`2:47: warning: job "other": retry:exit_codes names 1 twice`,
		`2:65: warning: job "other": rules:if is empty and ignored`,
		`2:77: warning: job "other": rules:exists should be a list; the editor's schema refuses a string`,
		`2:97: warning: job "other": rules:needs is empty and ignored`,
	}, "\n")
	if got != want {
		t.Errorf("said\n%s\nwant\n%s", got, want)
	}
}

func TestWarningOfTwoPipelines(t *testing.T) {
	t.Parallel()
	want := `1:36: warning: job "job" may run twice for one push, in a branch and a merge request pipeline: its last rule has no condition; say with workflow:rules which pipelines there are`
	for text, want := range map[string]string{
		"job: {script: x, rules: [{if: $A}, {when: manual}]}":                                      want,
		"job: {script: x, rules: [{if: $A}, {when: never}]}":                                       "",
		"job: {script: x, rules: [{if: $A}, {if: $B, when: manual}]}":                              "",
		"job: {script: x, rules: [{if: $A}, {when: manual, allow_failure: true}]}":                 "",
		"job: {script: x, rules: [{if: $A}, {when: manual}]}\nworkflow: {rules: [{when: always}]}": "",
	} {
		if got := said(compiled(t, text)); got != want {
			t.Errorf("%s: said %q, want %q", text, got, want)
		}
	}
}

func TestFindingsUnderlineWhatIsMeant(t *testing.T) {
	t.Parallel()
	res := compiled(t, "job: {script: x, imgae: y, stage: bild, needs: [other]}")
	var widths []int
	for _, f := range res.Findings {
		widths = append(widths, f.Width)
	}
	if diff := cmp.Diff([]int{len("imgae"), len("bild"), len("other")}, widths); diff != "" {
		t.Errorf("%s\n%v", diff, res.Findings)
	}
}
