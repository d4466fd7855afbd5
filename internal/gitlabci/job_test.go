package gitlabci

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"refline/internal/pipeline"
)

func TestKeywords(t *testing.T) {
	t.Parallel()
	yes := true
	tests := map[string]struct {
		text string
		want pipeline.Job // without what every job has
	}{
		"scripts": {
			"before_script: a\nscript: [b, [c, [d, \"e\\nf\"]]]\nafter_script: [g]",
			pipeline.Job{BeforeScript: []string{"a"}, Script: []string{"b", "c", "d", "e\nf"}, AfterScript: []string{"g"}},
		},
		"hooks": {"hooks: {pre_get_sources_script: [a, b]}", pipeline.Job{PreGetSources: []string{"a", "b"}}},
		"image": {"image: alpine", pipeline.Job{Image: &pipeline.Image{Name: "alpine"}}},
		"image, all": {
			"image: {name: a, entrypoint: ['', x], pull_policy: [never, always], docker: {platform: linux/arm64, user: me}}",
			pipeline.Job{Image: &pipeline.Image{Name: "a", Entrypoint: []string{"", "x"}, PullPolicy: []string{"never", "always"}, Platform: "linux/arm64", User: "me"}},
		},
		"image in kubernetes": {"image: {name: a, kubernetes: {user: 1001}}", pipeline.Job{Image: &pipeline.Image{Name: "a", User: "1001"}}},
		"services": {
			"services: [redis, {name: postgres, alias: 'db,pg other', entrypoint: [e], command: [c, d], variables: {A: 1}, pull_policy: never}]",
			pipeline.Job{Services: []pipeline.Service{
				{Image: pipeline.Image{Name: "redis"}},
				{
					Image:   pipeline.Image{Name: "postgres", Entrypoint: []string{"e"}, PullPolicy: []string{"never"}},
					Aliases: []string{"db", "pg", "other"}, Command: []string{"c", "d"}, Variables: []pipeline.Variable{{Name: "A", Value: "1"}},
				},
			}},
		},
		"artifacts": {
			"artifacts: {name: n, paths: [a], exclude: [b], untracked: yes, when: always, expire_in: 1 week, expose_as: x y, public: true, reports: {junit: [r, s], dotenv: d, coverage_report: {coverage_format: cobertura, path: c}}}",
			pipeline.Job{Artifacts: &pipeline.Artifacts{
				Name: "n", Paths: []string{"a"}, Exclude: []string{"b"}, Untracked: true, When: pipeline.WhenAlways, ExpireIn: "1 week", ExposeAs: "x y",
				Public: &yes, Reports: map[string][]string{"junit": {"r", "s"}, "dotenv": {"d"}, "coverage_report": {"c"}}, CoverageFormat: "cobertura",
			}},
		},
		"artifacts forever": {"artifacts: {expire_in: never, access: none}", pipeline.Job{Artifacts: &pipeline.Artifacts{ExpireIn: "never", Access: "none"}}},
		"cache":             {"cache: {paths: [a]}", pipeline.Job{Caches: []pipeline.Cache{{Key: pipeline.CacheKey{Text: "default"}, Paths: []string{"a"}}}}},
		"caches": {
			"cache: [{key: {files: [a, b], prefix: p}, paths: [x], fallback_keys: [f], policy: pull, when: always, unprotect: true}, [{key: {files_commits: [c]}, untracked: true, policy: $P}]]",
			pipeline.Job{Caches: []pipeline.Cache{
				{Key: pipeline.CacheKey{Files: []string{"a", "b"}, Prefix: "p"}, Paths: []string{"x"}, FallbackKeys: []string{"f"}, Policy: "pull", When: pipeline.WhenAlways, Unprotect: true},
				{Key: pipeline.CacheKey{Files: []string{"c"}, FilesCommit: true}, Untracked: true, Policy: "$P"},
			}},
		},
		"no cache":       {"cache: []", pipeline.Job{}},
		"an empty cache": {"cache: {}", pipeline.Job{}},
		"retry":          {"retry: 2", pipeline.Job{Retry: pipeline.Retry{Max: 2, When: []string{"always"}}}},
		"retry when":     {"retry: {max: 1, when: script_failure}", pipeline.Job{Retry: pipeline.Retry{Max: 1, When: []string{"script_failure"}}}},
		"retry on codes": {"retry: {max: 1, exit_codes: [1, 137]}", pipeline.Job{Retry: pipeline.Retry{Max: 1, ExitCodes: []int{1, 137}}}},
		"retry on both":  {"retry: {max: 2, when: [api_failure], exit_codes: 3}", pipeline.Job{Retry: pipeline.Retry{Max: 2, When: []string{"api_failure"}, ExitCodes: []int{3}}}},
		"timeout":        {"timeout: 1h 30m", pipeline.Job{Timeout: pipeline.Duration(90 * time.Minute)}},
		"tags":           {"tags: [a, $B]", pipeline.Job{Tags: []string{"a", "$B"}}},
		"interruptible":  {"interruptible: true", pipeline.Job{Interruptible: true}},
		"resource_group": {"resource_group: prod/$X", pipeline.Job{ResourceGroup: "prod/$X"}},
		"coverage":       {`coverage: '/total:\s+(\d+)%/'`, pipeline.Job{Coverage: `total:\s+(\d+)%`}},
		"a confirmation": {"when: manual\nmanual_confirmation: Really?", pipeline.Job{When: pipeline.WhenManual, AllowFailure: true, ManualConfirmation: "Really?"}},
		"environment":    {"environment: prod", pipeline.Job{Environment: &pipeline.Environment{Name: "prod", Action: "start"}}},
		"environment, whole": {
			"environment: {name: review/a, url: https://x, action: prepare, auto_stop_in: 2 days, deployment_tier: testing, kubernetes: {agent: g/p:a, namespace: n}}",
			pipeline.Job{Environment: &pipeline.Environment{
				Name: "review/a", URL: "https://x", Action: "prepare", AutoStopIn: "2 days", DeploymentTier: "testing",
				Kubernetes: map[string]any{"agent": "g/p:a", "namespace": "n"},
			}},
		},
		"release": {
			"release: {tag_name: $CI_COMMIT_TAG, description: d, name: n, ref: r, milestones: m1, released_at: '2026-11-22T09:30:00Z', assets: {links: [{name: a, url: b, link_type: image}]}}",
			pipeline.Job{Release: &pipeline.Release{
				TagName: "$CI_COMMIT_TAG", Description: "d", Name: "n", Ref: "r", Milestones: []string{"m1"}, ReleasedAt: "2026-11-22T09:30:00Z",
				Assets: map[string]any{"links": []any{map[string]any{"name": "a", "url": "b", "link_type": "image"}}},
			}},
		},
		"pages": {
			"pages: {publish: site, path_prefix: p, expire_in: 1 day}\nartifacts: {paths: [x]}",
			pipeline.Job{
				Pages:     &pipeline.Pages{Publish: "site", PathPrefix: "p", ExpireIn: "1 day"},
				Artifacts: &pipeline.Artifacts{Paths: []string{"x", "site"}},
			},
		},
		"pages, true": {"pages: true", pipeline.Job{Pages: &pipeline.Pages{Publish: "public"}, Artifacts: &pipeline.Artifacts{Paths: []string{"public"}}}},
		"pages, no":   {"pages: false", pipeline.Job{}},
		"secrets": {
			"secrets: {A: {vault: a/b/c@ops}, B: {gcp_secret_manager: {name: n}, token: $T, file: false}}",
			pipeline.Job{Secrets: []pipeline.Secret{
				{Name: "A", File: true, Source: map[string]any{"vault": "a/b/c@ops"}},
				{Name: "B", Token: "$T", Source: map[string]any{"gcp_secret_manager": map[string]any{"name": "n"}}},
			}},
		},
		"id_tokens": {"id_tokens: {T: {aud: a}, U: {aud: [b, c]}}", pipeline.Job{IDTokens: []pipeline.IDToken{{Name: "T", Aud: []string{"a"}}, {Name: "U", Aud: []string{"b", "c"}}}}},
		"identity":  {"identity: google_cloud", pipeline.Job{Identity: "google_cloud"}},
		"job inputs": {
			"script: ['echo ${{ job.inputs.who }} ${{inputs.n}} ${{ job.inputs.l }}', 'x ${{ job.inputs.n > 2 && \"-v\" || \"\" }}', '${{ other.x }}', '\\${{ x }}']\n" +
				"image: ${{ job.inputs.who }}:1\nservices: [{name: '${{ job.inputs.l[1] }}', variables: {V: '${{ str(job.inputs.n) }}'}}]\n" +
				"cache: {key: '${{ job.inputs.who }}', paths: ['${{ job.inputs.who }}/c']}\nartifacts: {name: '${{ job.inputs.who }}', paths: ['${{ job.inputs.who }}/a']}\n" +
				"inputs: {who: {default: you}, n: {type: number, default: 3}, l: {type: array, default: [a, b]}}",
			pipeline.Job{
				Script:    []string{`echo you 3 ["a","b"]`, "x -v", "${{ other.x }}", "${{ x }}"},
				Image:     &pipeline.Image{Name: "you:1"},
				Services:  []pipeline.Service{{Image: pipeline.Image{Name: "b"}, Aliases: []string{}, Variables: []pipeline.Variable{{Name: "V", Value: "3"}}}},
				Caches:    []pipeline.Cache{{Key: pipeline.CacheKey{Text: "you"}, Paths: []string{"you/c"}}},
				Artifacts: &pipeline.Artifacts{Name: "you", Paths: []string{"you/a"}},
			},
		},
		"job inputs of none":           {"script: ['${{ job.inputs.a }}', '\\${{']", pipeline.Job{Script: []string{"${{ job.inputs.a }}", `\${{`}}},
		"extends nothing that is left": {"variables: {}\nneeds:\nimage:\ntags: []", pipeline.Job{Tags: []string{}}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := "job:\n  stage: build\n"
			if name != "scripts" && !strings.HasPrefix(name, "job inputs") {
				text += "  script: x\n"
				tt.want.Script = []string{"x"}
			}
			text += "  " + indent(tt.text) + "\n"
			p := mustCompile(t, text)
			tt.want.Name, tt.want.Base, tt.want.Stage = "job", "job", "build"
			if tt.want.When == "" {
				tt.want.When = pipeline.WhenOnSuccess
			}
			if diff := cmp.Diff(tt.want, p.Jobs[0], cmpopts.IgnoreFields(pipeline.Job{}, "Origin")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func indent(text string) string {
	out := ""
	for _, c := range text {
		out += string(c)
		if c == '\n' {
			out += "  "
		}
	}
	return out
}

func TestTrigger(t *testing.T) {
	t.Parallel()
	forward := pipeline.Forward{YAMLVariables: true}
	tests := map[string]struct {
		text string
		want pipeline.Downstream
	}{
		"a project": {"trigger: g/p", pipeline.Downstream{Project: "g/p", Forward: forward}},
		"more of it": {
			"trigger: {project: $P, branch: b, strategy: depend, inputs: {a: 1, b: [x]}, forward: {pipeline_variables: true, yaml_variables: false}}",
			pipeline.Downstream{Project: "$P", Branch: "b", Strategy: "depend", Inputs: map[string]any{"a": 1, "b": []any{"x"}}, Forward: pipeline.Forward{PipelineVariables: true}},
		},
		"a file":     {"trigger: {include: child.yml, strategy: mirror}", pipeline.Downstream{Include: []pipeline.DownstreamInclude{{Local: "child.yml"}}, Strategy: "mirror", Forward: forward}},
		"an address": {"trigger: {include: 'https://x.example.com/c.yml'}", pipeline.Downstream{Include: []pipeline.DownstreamInclude{{Remote: "https://x.example.com/c.yml"}}, Forward: forward}},
		"one map":    {"trigger: {include: {local: c.yml}}", pipeline.Downstream{Include: []pipeline.DownstreamInclude{{Local: "c.yml"}}, Forward: forward}},
		"of a job": {
			"trigger: {include: [{artifact: out.yml, job: gen}, {project: g/p, ref: main, file: f.yml}, {component: a/b/c@1}]}",
			pipeline.Downstream{Forward: forward, Include: []pipeline.DownstreamInclude{
				{Artifact: "out.yml", Job: "gen"}, {Project: "g/p", Ref: "main", File: "f.yml"}, {Component: "a/b/c@1"},
			}},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := mustCompile(t, "gen: {stage: build, script: x}\njob: {"+tt.text+"}")
			if diff := cmp.Diff(&tt.want, p.Job("job").Downstream); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, "job: {run: [{name: a, script: x, env: {K: v}}, {name: b, step: ./s, inputs: {i: 1}}, {name: c, step: {git: {url: u, rev: v}}}]}")
	want := []pipeline.RunEntry{
		{Name: "a", Script: "x", Env: map[string]string{"K": "v"}},
		{Name: "b", Step: "./s", Inputs: map[string]any{"i": 1}},
		{Name: "c", Step: `{"git":{"rev":"v","url":"u"}}`},
	}
	if diff := cmp.Diff(want, p.Jobs[0].Run); diff != "" {
		t.Error(diff)
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
default: {image: d, before_script: [b], tags: [t], retry: 1, interruptible: true}
after_script: [top]
all: {script: x}
own: {script: x, image: {name: own}, before_script: []}
null image: {script: x, image: }
none: {script: x, inherit: {default: false}}
some: {script: x, inherit: {default: [image, after_script]}}
bridge: {trigger: g/p}
`)
	type row struct {
		Name, Image         string
		Before, After, Tags []string
		Retry               int
		Interruptible       bool
	}
	var got []row
	for _, j := range p.Jobs {
		r := row{Name: j.Name, Before: j.BeforeScript, After: j.AfterScript, Tags: j.Tags, Retry: j.Retry.Max, Interruptible: j.Interruptible}
		if j.Image != nil {
			r.Image = j.Image.Name
		}
		got = append(got, r)
	}
	b, top, tags := []string{"b"}, []string{"top"}, []string{"t"}
	want := []row{
		{"all", "d", b, top, tags, 1, true},
		{"own", "own", []string{}, top, tags, 1, true},
		{"null image", "d", b, top, tags, 1, true},
		{"none", "", nil, nil, nil, 0, false},
		{"some", "d", nil, top, nil, 0, false},
		{"bridge", "", nil, nil, nil, 0, true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWorkflow(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, `
variables: {V: top}
workflow:
  name: ' $V on $CI_COMMIT_BRANCH '
  auto_cancel: {on_new_commit: interruptible, on_job_failure: all}
  rules:
    - if: $NO
    - if: $CI_COMMIT_BRANCH
      variables: {V: rule}
      auto_cancel: {on_job_failure: none}
job: {script: x, rules: [{if: '$V == "rule"'}]}
`, onBranch("main")...)
	want := pipeline.AutoCancel{OnNewCommit: "interruptible", OnJobFailure: "none"}
	if p.Name != "rule on main" || p.AutoCancel != want {
		t.Errorf("name %q, auto_cancel %+v", p.Name, p.AutoCancel)
	}
}

// TestWorkflowName: variables that are not set vanish, and white space around.
func TestWorkflowName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"'  $NOPE of ${V} %NOPE%  '": "of v", "'$NOPE'": "", "' '": "", "'$$V costs $5'": "$$V costs $5", "$W": "v and",
	} {
		p := mustCompile(t, "variables: {V: v, W: '$V and $NOPE'}\nworkflow: {name: "+name+"}\njob: {script: x}")
		if p.Name != want {
			t.Errorf("%s is %q, want %q", name, p.Name, want)
		}
	}
}

func TestStages(t *testing.T) {
	t.Parallel()
	p := mustCompile(t, "stages: [b, [a, [.post, c]], .pre, b]\nx: {stage: a, script: x}\ny: {stage: b, script: x}\nz: {stage: c, script: x}\nw: {stage: .pre, script: x}\nv: {stage: .post, script: x}")
	if diff := cmp.Diff([]string{".pre", "b", "a", "c", ".post"}, p.Stages); diff != "" {
		t.Error(diff)
	}
}
