package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/jsonnet"
)

// files reads from a map of paths.
func files(m map[string]string) jsonnet.Read {
	return func(path string) ([]byte, error) {
		if text, ok := m[path]; ok {
			return []byte(text), nil
		}
		return nil, fs.ErrNotExist
	}
}

const twoStacks = `
stacks:
  network:
    template: network.jsonnet
  landing:
    template: template.jsonnet
    variables: {purpose: landing, size: 3}
    parameters:
      VpcId: {output: network.VpcId}
      Zones: [a, b]
      Days: 030
    tags: {team: data}
    capabilities: [CAPABILITY_IAM]
    on_failure: keep
environments:
  dev:
    refs: [develop, {branch: "feature/*", does: plan}]
    account: 012345678901
    region: ap-southeast-2
    tags: {stage: dev, team: none}
  prod:
    refs: [main, {tag: "v*"}, {branch: '/^hotfix-\d+$/'}]
    account: "210987654321"
    region: ap-southeast-2
    protected: true
    stacks:
      landing:
        parameters: {Days: 365}
`

func load(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Load(t.Context(), "refline.stacks.yml", files(map[string]string{"refline.stacks.yml": text}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTargetMergesStackAndEnvironment(t *testing.T) {
	t.Parallel()
	c := load(t, twoStacks)
	d, _ := c.Stack("landing")
	prod, _ := c.Environment("prod")
	dev, _ := c.Environment("dev")

	target := c.Target(d, prod)
	if target.StackName != "landing-prod" {
		t.Errorf("stack name %q, want landing-prod", target.StackName)
	}
	if p := target.TerminationProtection; p == nil || !*p {
		t.Error("a protected environment must protect its stacks from deletion")
	}
	got := map[string]string{}
	for _, v := range target.Parameters {
		got[v.Key] = v.Text + v.Output.Stack
	}
	want := map[string]string{"VpcId": "network", "Zones": "a,b", "Days": "365"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("parameters in prod (-want +got):\n%s", diff)
	}
	target = c.Target(d, dev)
	for _, v := range target.Parameters {
		if v.Key == "Days" && v.Text != "030" {
			t.Errorf("Days is %q in dev, want 030 as written", v.Text)
		}
	}
	tags := map[string]string{}
	for _, v := range target.Tags {
		tags[v.Key] = v.Text
	}
	if diff := cmp.Diff(map[string]string{"stage": "dev", "team": "data"}, tags); diff != "" {
		t.Errorf("tags in dev (-want +got):\n%s", diff)
	}
	if dev.Account != "012345678901" {
		t.Errorf("account %q, want the digits as written", dev.Account)
	}
	want2 := []jsonnet.Binding{{Name: "purpose", Value: "landing"}, {Name: "size", Value: "3", Code: true}}
	if diff := cmp.Diff(want2, d.External); diff != "" {
		t.Errorf("variables (-want +got):\n%s", diff)
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	c := load(t, twoStacks)
	for _, tc := range []struct {
		ref  Ref
		want string
	}{
		{Ref{Name: "develop"}, "dev deploy"},
		{Ref{Name: "main"}, "prod deploy"},
		{Ref{Name: "feature/x"}, "dev plan"},
		{Ref{Name: "feature/x/y"}, ""},
		{Ref{Name: "fix"}, ""},
		{Ref{Name: "main", Tag: true}, ""},
		{Ref{Name: "v1.2", Tag: true}, "prod deploy"},
		{Ref{Name: "hotfix-12"}, "prod deploy"},
		{Ref{Name: "hotfix-12b"}, ""},
	} {
		var got []string
		for _, s := range c.Select(tc.ref) {
			got = append(got, s.Env.Name+" "+string(s.Mode))
		}
		if strings.Join(got, ", ") != tc.want {
			t.Errorf("%s selects %q, want %q", tc.ref, strings.Join(got, ", "), tc.want)
		}
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"**", "a/b", true}, {"release/**", "release/a/b", true}, {"release/**", "release", true},
		{"**/x", "a/b/x", true}, {"a*", "ab", true}, {"a*", "a/b", false}, {"a/b", "a", false},
	} {
		if got := (RefRule{Branch: tc.pattern}).matches(Ref{Name: tc.name}); got != tc.want {
			t.Errorf("%s matches %s: %t, want %t", tc.pattern, tc.name, got, tc.want)
		}
	}
}

func TestChooseOrdersByDependency(t *testing.T) {
	t.Parallel()
	c := load(t, `
stacks:
  landing: {template: a.yml, parameters: {VpcId: {output: network.VpcId}}}
  alarms: {template: c.yml, depends_on: [landing], environments: [prod]}
  network: {template: b.yml}
environments:
  dev: {account: "111111111111", region: eu-west-1, refs: [develop]}
  prod: {account: "222222222222", region: eu-west-1, refs: [main]}
`)
	names := func(targets []*Target) string {
		var out []string
		for _, t := range targets {
			out = append(out, t.Name)
		}
		return strings.Join(out, " ")
	}
	_, targets, err := c.Choose("", Ref{Name: "main"}, nil)
	if err != nil || names(targets) != "network landing alarms" {
		t.Errorf("main: %q, %v", names(targets), err)
	}
	_, targets, err = c.Choose("dev", Ref{}, []string{"landing"})
	if err != nil || names(targets) != "landing" {
		t.Errorf("dev landing: %q, %v", names(targets), err)
	}
	for _, tc := range []struct {
		env, ref string
		stacks   []string
		want     string
	}{
		{"", "feature", nil, `feature chooses no environment of refline.stacks.yml; name one with --env: dev, prod`},
		{"prd", "", nil, `environment "prd" is not in refline.stacks.yml; did you mean "prod"?`},
		{"dev", "", []string{"netwrk"}, `stack "netwrk" is not in refline.stacks.yml; did you mean "network"?`},
		{"dev", "", []string{"alarms"}, `stack "alarms" is not in environment dev but in prod`},
	} {
		_, _, err := c.Choose(tc.env, Ref{Name: tc.ref}, tc.stacks)
		if err == nil || err.Error() != tc.want {
			t.Errorf("env %q ref %q: got %v, want %s", tc.env, tc.ref, err, tc.want)
		}
	}
}

func TestConfigErrorsComeTogether(t *testing.T) {
	t.Parallel()
	_, err := Load(t.Context(), "s.yml", files(map[string]string{"s.yml": `stacks:
  landing:
    tempalte: a.jsonnet
    capabilities: [CAPABILITY_AIM]
    on_failure: explode
    parameters:
      VpcId: {output: netwrk.VpcId}
      Empty:
      Two: {output: a.b, env: X}
      Bad: {output: noKey}
    depends_on: [network]
  1st: {template: x.yml}
environments:
  dev:
    account: 12345
    refs: [{branch: a, tag: b}, {brnch: x}, {branch: "/(/"}]
    protected: maybe
    stacks: {lnding: {role: r}}
stray: 1
`}))
	var failure *diag.Failure
	if !errors.As(err, &failure) {
		t.Fatalf("got %v, want findings", err)
	}
	want := []string{
		`s.yml:2:3: error: stack landing has no template; add template: with the path of a Jsonnet, YAML or JSON file`,
		`s.yml:3:5: error: "tempalte" is not a key of stack landing; did you mean "template"?`,
		`s.yml:4:20: error: "CAPABILITY_AIM" is not a known value; did you mean "CAPABILITY_IAM"?`,
		`s.yml:5:5: error: "explode" is not a known value; it is one of rollback, keep, delete`,
		`s.yml:7:15: error: "netwrk" is not a stack; stacks are landing, 1st`,
		`s.yml:8:7: error: Empty has no value; write a text`,
		`s.yml:9:7: error: Two has one source of its value; write {output: STACK.KEY} or {env: NAME}`,
		`s.yml:9:13: error: "a" is not a stack; stacks are landing, 1st`,
		`s.yml:10:13: error: "noKey" is not STACK.KEY; write: output: network.VpcId`,
		`s.yml:11:18: error: "network" is not a stack; stacks are landing, 1st`,
		`s.yml:12:3: error: "1st" is not a stack name: a letter, then letters, digits and hyphens`,
		`s.yml:14:3: error: environment dev has no region; add region:, as eu-west-1`,
		`s.yml:15:5: error: an account's id is twelve digits, not "12345"`,
		`s.yml:16:12: error: a ref has either a branch or a tag; write: develop, or {branch: develop}, or {tag: v*}`,
		`s.yml:16:33: error: a ref has either a branch or a tag; write: develop, or {branch: develop}, or {tag: v*}`,
		`s.yml:16:34: error: "brnch" is not a key of a ref; did you mean "branch"?`,
		"s.yml:16:45: error: /(/ is not a regular expression: error parsing regexp: missing closing ): `(`",
		`s.yml:17:5: error: protected is true or false, not a string`,
		`s.yml:18:14: error: "lnding" is not a stack; did you mean "landing"?`,
		`s.yml:19:1: error: "stray" is not a key; known are stacks, environments, stateful, rules, $schema`,
	}
	var got []string
	for _, f := range failure.Findings {
		got = append(got, f.String())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
}

func TestConfigInJsonnetHasItsLines(t *testing.T) {
	t.Parallel()
	_, err := Load(t.Context(), "refline.stacks.jsonnet", files(map[string]string{
		"refline.stacks.jsonnet": `local env = import 'env.libsonnet';
{
  stacks: { a: { template: 'a.yml' } },
  environments: { dev: env('1') },
}`,
		"env.libsonnet": `function(account) {
  account: account,
  regoin: 'eu-west-1',
}`}))
	want := `env.libsonnet:2:3: error: an account's id is twelve digits, not "1"
env.libsonnet:3:3: error: "regoin" is not a key of environment dev; did you mean "region"?
refline.stacks.jsonnet:4:19: error: environment dev has no region; add region:, as eu-west-1`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestCirclesAndTwins(t *testing.T) {
	t.Parallel()
	const envs = `
environments:
  dev: {account: "111111111111", region: r}
  prod: {account: "111111111111", region: r}
`
	for name, tc := range map[string]struct{ stacks, want string }{
		"circle": {"stacks:\n  a: {template: a, depends_on: [b]}\n  b: {template: b, tags: {x: {output: a.Y}}}",
			"c.yml:2:3: error: stacks form a cycle in environment dev: a → b → a"},
		"self": {"stacks:\n  a: {template: a, depends_on: [a]}",
			"c.yml:2:3: error: stacks form a cycle in environment dev: a → a"},
		"twins": {"stacks:\n  a: {template: a, stack_name: landing}",
			"c.yml:2:20: error: a in prod and a in dev are both landing in one account and region; put {environment} into stack_name"},
		"placeholder": {"stacks:\n  a: {template: a, stack_name: '{stck}'}",
			`c.yml:2:20: error: "{stck}" is not a stack's name: a letter, then letters, digits and hyphens, at most 128; placeholders are {stack}, {environment}, {region}, {account}`},
		"nothing in it": {"stacks: {}", "c.yml:1:1: error: the configuration has no stacks; add stacks: with a template each\nc.yml:1:1: error: the configuration has no environments; add environments: with an account and a region each"},
		"not a map":     {"[]\n---", "c.yml:1:1: error: the configuration is a map, not a list"},
		"a number":      {"stacks: 5", "c.yml:1:1: error: stacks is a map, not an integer"},
	} {
		text := tc.stacks + envs
		switch name {
		case "not a map":
			text = "[]"
		case "nothing in it":
			text = "stacks: {}\nenvironments: {}\n"
		}
		_, err := Load(t.Context(), "c.yml", files(map[string]string{"c.yml": text}))
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s: got\n%v\nwant\n%s", name, err, tc.want)
		}
	}
}

// TestSchemaKnowsTheSameKeys compares the schema for editors with the tables
// that the loader reads by.
func TestSchemaKnowsTheSameKeys(t *testing.T) {
	t.Parallel()
	var schema struct {
		Properties map[string]any
		Defs       map[string]struct {
			Properties map[string]any
		} `json:"$defs"`
	}
	if err := json.Unmarshal(Schema(), &schema); err != nil {
		t.Fatal(err)
	}
	r := &configReader{}
	for name, fields := range map[string][]field{
		"":            r.topFields(&Config{}),
		"stack":       r.stackFields(&Definition{}),
		"settings":    r.settingFields(&settings{}),
		"environment": r.environmentFields(&Environment{}),
		"ref":         r.refFields(&RefRule{}),
		"source":      r.valueFields(&Value{}, true),
		"tagSource":   r.valueFields(&Value{}, false),
	} {
		var want []string
		for _, f := range fields {
			want = append(want, f.name)
		}
		slices.Sort(want)
		in := schema.Properties
		if name != "" {
			in = schema.Defs[name].Properties
		}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(in))); diff != "" {
			t.Errorf("keys of %q (-loader +schema):\n%s", name, diff)
		}
	}
}

// FuzzLoad: a configuration is accepted with valid names and a complete order, or
// every finding is at a line of it. The seeds are short: the fuzzer cuts each input
// that it finds to its shortest form, which takes the square of its length.
func FuzzLoad(f *testing.F) {
	const env = "\nenvironments: {d: {account: '012345678901', region: r%s}}"
	for _, seed := range []string{
		"stacks: {a: {template: t.yml}}" + fmt.Sprintf(env, ""),
		"stacks: {a: {template: t, parameters: {P: {output: b.O}}}, b: {template: u}}" + fmt.Sprintf(env, ""),
		"stacks: {a: {template: t, depends_on: [b]}, b: {template: u}}" + fmt.Sprintf(env, ""),
		"stacks: {a: {template: t, variables: {x: [1, null]}, tags: {k: {env: V}}}}" + fmt.Sprintf(env, ""),
		"stacks: {a: {template: t, name: '{stack}-{environment}', environments: [d]}}" + fmt.Sprintf(env, ""),
		"stacks: {a: {template: t}}" + fmt.Sprintf(env, ", refs: [{tag: 'v*', does: plan}, '/^a/']"),
		"stacks: {a: {template: t}}" + fmt.Sprintf(env, ", stacks: {a: {on_failure: keep}}"),
		"stacks: {a: {template: [1]}}\nenvironments: []",
		"{",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Load(t.Context(), "s.yml", files(map[string]string{"s.yml": text}))
		if err != nil {
			found, ok := FindingsOf(err)
			if !ok || len(found) == 0 {
				t.Fatalf("got %v, want findings", err)
			}
			for _, x := range found {
				if x.File != "s.yml" || x.Line < 1 {
					t.Errorf("%s is at no line of the configuration", x)
				}
			}
			return
		}
		for _, e := range c.Overview("", Ref{Name: "main"}).Environments {
			if len(e.Order) != len(e.Stacks) {
				t.Errorf("order %q of stacks %q", e.Order, e.Stacks)
			}
			for _, name := range e.Stacks {
				if !validName(name) {
					t.Errorf("accepted a configuration with the stack name %q", name)
				}
			}
		}
	})
}

func FuzzCode(f *testing.F) {
	f.Add(`{a: [1, .inf, 0x1f, "x", null, true], b: {c: "\u2028"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := cfn.Parse("x.yml", []byte(text))
		if err != nil || tree.Root == nil {
			return
		}
		if got := code(tree.Root); !json.Valid([]byte(got)) {
			t.Errorf("%q is no JSON", got)
		}
	})
}

func TestValuesThatCannotBe(t *testing.T) {
	t.Parallel()
	config := fmt.Sprintf(oneStack, ", parameters: {Kept: {previous: false}}", ", bucket: Staging_Dev")
	_, err := Load(t.Context(), "refline.stacks.yml", files(map[string]string{"refline.stacks.yml": config}))
	want := `refline.stacks.yml:3:57: error: previous is either true or absent; give the parameter its value, or leave it out
refline.stacks.yml:5:70: error: "Staging_Dev" is not the name of a bucket: lower-case letters, digits, dots and hyphens, 3 to 63`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
