package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/pipeline"
)

type testOptions struct{ json bool }

func newTestCmd(e *env) *cobra.Command {
	o := &testOptions{}
	cmd := &cobra.Command{
		Use:   "test [FILE…]",
		Short: "Run unit tests of pipelines",
		Long: `Check pipelines against what their authors expect: which jobs exist for a ref,
event and changed files, and what becomes of each when others succeed or fail.
Nothing is run. Without FILE the tests are .gitlab-ci.test.yml and
.gitlab/test/*.yml. GitLab's own state cases are accepted as they are.
docs/test.md describes the format.

Exit codes: 0 all passed, 1 a test failed or cannot be read, 2 usage.`,
		Example: `  refline test
  refline test ci/deploy.test.yml --json`,
		RunE: func(cmd *cobra.Command, args []string) error { return runTest(cmd.Context(), e, o, args) },
	}
	cmd.Flags().BoolVar(&o.json, "json", false, "print the results as JSON")
	return cmd
}

// testFile is a file of tests: one test at the top level, or several in tests:.
type testFile struct {
	pipelineTest `yaml:",inline"`
	Tests        []pipelineTest `yaml:"tests"`
}

// pipelineTest is one test.
type pipelineTest struct {
	Name      string            `yaml:"name"`
	Pipeline  string            `yaml:"pipeline"` // a file, default .gitlab-ci.yml
	Config    yaml.Node         `yaml:"config"`   // or the configuration itself
	Branch    string            `yaml:"branch"`
	Tag       string            `yaml:"tag"`
	Event     string            `yaml:"event"`
	Variables map[string]string `yaml:"variables"`
	Inputs    map[string]any    `yaml:"inputs"`
	Changed   []string          `yaml:"changed"`
	Expect    createdExpect     `yaml:"expect"`

	Init        pipeline.Init         `yaml:"init"`
	Transitions []pipeline.Transition `yaml:"transitions"`
	Partial     bool                  `yaml:"partial"`
}

// createdExpect is what is expected of the pipeline as it is created.
type createdExpect struct {
	Jobs    *[]string           `yaml:"jobs"`    // exactly these
	Present []string            `yaml:"present"` // these among others
	Absent  []string            `yaml:"absent"`
	When    map[string]string   `yaml:"when"` // of jobs
	Needs   map[string][]string `yaml:"needs"`
	Created *bool               `yaml:"created"` // whether there is a pipeline at all
	Error   string              `yaml:"error"`   // a part of an error that must come
}

func (x createdExpect) empty() bool {
	return x.Jobs == nil && x.Created == nil && x.Error == "" && len(x.Present)+len(x.Absent)+len(x.When)+len(x.Needs) == 0
}

// testResult is one test's outcome.
type testResult struct {
	File     string   `json:"file"`
	Name     string   `json:"name"`
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures,omitempty"`
}

func runTest(ctx context.Context, e *env, o *testOptions, files []string) error {
	files, err := testFiles(e, files)
	if err != nil {
		return err
	}
	results := make([]testResult, 0, len(files))
	var broken diag.List
	for _, file := range files {
		tests, err := readTests(e, file)
		if err != nil {
			var list *diag.Failure
			if errors.As(err, &list) {
				broken = append(broken, list.Findings...)
				continue
			}
			return err
		}
		for _, t := range tests {
			failures, err := checkTest(ctx, e, file, t)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", file, t.Name, err)
			}
			results = append(results, testResult{file, t.Name, len(failures) == 0, failures})
		}
	}
	if o.json {
		if err := e.printJSON(results); err != nil {
			return err
		}
	} else {
		printTests(e, results)
	}
	if len(broken) > 0 {
		return broken.Err()
	}
	if slices.ContainsFunc(results, func(r testResult) bool { return !r.Passed }) {
		return errShown
	}
	return nil
}

func testFiles(e *env, files []string) ([]string, error) {
	if len(files) > 0 {
		return files, nil
	}
	for _, pattern := range []string{".gitlab-ci.test.yml", ".gitlab/test/*.yml"} {
		found, err := filepath.Glob(filepath.Join(e.dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			rel, err := filepath.Rel(e.dir, f)
			if err != nil {
				return nil, err
			}
			files = append(files, rel)
		}
	}
	if len(files) == 0 {
		return nil, errs.E(errs.NotFound, "no tests here: write .gitlab-ci.test.yml or .gitlab/test/NAME.yml, or name files; docs/test.md describes them")
	}
	return files, nil
}

func readTests(e *env, file string) ([]pipelineTest, error) {
	data, err := readRegular(e.path(file), "test file "+file, 16<<20)
	if err != nil {
		return nil, err
	}
	var tests []pipelineTest
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	for {
		var f testFile
		err := dec.Decode(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, testFileErrors(file, err).Err()
		}
		if len(f.Tests) == 0 {
			f.Tests = []pipelineTest{f.pipelineTest}
		}
		for i, t := range f.Tests {
			if t.Name == "" {
				t.Name = strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
				if len(f.Tests) > 1 {
					t.Name = fmt.Sprintf("%s %d", t.Name, i+1)
				}
			}
			tests = append(tests, t)
		}
	}
	if len(tests) == 0 {
		return nil, errs.E(errs.Invalid, "%s holds no test; docs/test.md describes them", file)
	}
	return tests, nil
}

// testFileErrors turns the parser's words into findings, each at its line.
func testFileErrors(file string, err error) diag.List {
	var list diag.List
	for line := range strings.SplitSeq(err.Error(), "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(line, "yaml: "))
		f := diag.Finding{Place: diag.Place{File: file}, Level: diag.Error, Rule: "test-file", Hint: "docs/test.md describes test files"}
		if m := regexp.MustCompile(`line (\d+)(?::|, column (\d+):)? *(.*)`).FindStringSubmatch(line); m != nil {
			f.Line, _ = strconv.Atoi(m[1])
			f.Column, _ = strconv.Atoi(m[2])
			line = m[3]
		} else if strings.HasSuffix(line, ":") {
			continue // a heading of the parser's
		}
		if m := regexp.MustCompile(`field (\S+) (?:not found in type|already set in type)`).FindStringSubmatch(line); m != nil {
			line = fmt.Sprintf("%q is not a key of a test", m[1])
		} else if m := regexp.MustCompile(`cannot construct (\S+).* into (\S+)$`).FindStringSubmatch(line); m != nil {
			line = fmt.Sprintf("%s must stand here, not %s", typeInWords(m[2]), typeInWords(m[1]))
		}
		f.Message = line
		list = append(list, f)
	}
	return list
}

// typeInWords names a type of Go or a tag of YAML as those who write tests would.
func typeInWords(name string) string {
	switch {
	case name == "!!seq" || strings.HasPrefix(name, "[]"):
		return "a list"
	case name == "!!str" || name == "string":
		return "a text"
	case name == "!!bool" || name == "bool":
		return "true or false"
	case name == "!!int" || name == "!!float" || name == "int":
		return "a number"
	case name == "!!null":
		return "null"
	}
	return "a map"
}

// checkTest compiles one test's pipeline and compares it with what is expected.
func checkTest(ctx context.Context, e *env, file string, t pipelineTest) ([]string, error) {
	if t.Expect.empty() && len(t.Transitions) == 0 && t.Init.Expect.Pipeline == "" && len(t.Init.Expect.Jobs) == 0 {
		return []string{"it expects nothing; give it expect:, or init: and transitions:"}, nil
	}
	opts := pipelineOptions{file: t.Pipeline, branch: t.Branch, tag: t.Tag, event: t.Event, changed: t.Changed, values: t.Inputs}
	for _, name := range sortedKeys(t.Variables) {
		opts.vars = append(opts.vars, name+"="+t.Variables[name])
	}
	if !t.Config.IsZero() {
		if t.Pipeline != "" {
			return []string{"pipeline: and config: exclude each other"}, nil
		}
		content, err := yaml.Marshal(&t.Config)
		if err != nil {
			return nil, err
		}
		opts.content, opts.file = content, file
	}
	c, err := compileAny(ctx, e, &opts)
	if err != nil {
		return nil, err
	}
	defer c.close()
	failures := t.Expect.check(c)
	if c.pipeline != nil && (len(t.Transitions) > 0 || t.Init.Expect.Pipeline != "" || len(t.Init.Expect.Jobs) > 0) {
		states := pipeline.Case{Init: t.Init, Transitions: t.Transitions, Partial: t.Partial}
		for _, d := range states.Check(c.pipeline) {
			failures = append(failures, d.String())
		}
	}
	return failures, nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (x createdExpect) check(c *compiled) []string {
	var out []string
	failf := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if c.result.Findings.HasErrors() {
		for _, f := range c.result.Findings {
			if x.Error != "" && f.Level == diag.Error && strings.Contains(f.String(), x.Error) {
				return nil
			}
		}
		for _, f := range c.result.Findings {
			if f.Level == diag.Error {
				failf("%s", f)
			}
		}
		return out
	}
	if x.Error != "" {
		failf("want an error with %q, got none", x.Error)
	}
	if x.Created != nil && *x.Created != (c.pipeline != nil) {
		failf("want a pipeline: %t, got %t (%s)", *x.Created, c.pipeline != nil, c.notCreated)
	}
	if c.pipeline == nil {
		if x.Created == nil || *x.Created {
			failf("no pipeline is created: %s", c.notCreated)
		}
		return out
	}
	return append(out, x.checkJobs(c.pipeline)...)
}

func (x createdExpect) checkJobs(p *pipeline.Pipeline) []string {
	var out []string
	failf := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	has := func(name string) bool {
		return slices.ContainsFunc(p.Jobs, func(j pipeline.Job) bool { return j.Name == name || j.Base == name })
	}
	if x.Jobs != nil {
		for _, want := range *x.Jobs {
			if !has(want) {
				failf("job %q is not in the pipeline", want)
			}
		}
		for i := range p.Jobs {
			if !slices.Contains(*x.Jobs, p.Jobs[i].Name) && !slices.Contains(*x.Jobs, p.Jobs[i].Base) {
				failf("job %q is in the pipeline but not expected", p.Jobs[i].Name)
			}
		}
	}
	for _, want := range x.Present {
		if !has(want) {
			failf("job %q is not in the pipeline", want)
		}
	}
	for _, no := range x.Absent {
		if has(no) {
			failf("job %q is in the pipeline", no)
		}
	}
	for _, name := range sortedKeys(x.When) {
		j := p.Job(name)
		switch {
		case j == nil:
			failf("job %q is not in the pipeline, so its when is not %s", name, x.When[name])
		case string(j.When) != x.When[name]:
			failf("job %q: want when %s, got %s", name, x.When[name], j.When)
		}
	}
	for name, want := range x.Needs {
		j := p.Job(name)
		if j == nil {
			failf("job %q is not in the pipeline, so it needs nothing", name)
			continue
		}
		var got []string
		for _, n := range j.Needs {
			got = append(got, n.Job)
		}
		if !slices.Equal(got, want) {
			failf("job %q: want needs %q, got %q", name, want, got)
		}
	}
	return out
}

func printTests(e *env, results []testResult) {
	failed := 0
	for _, r := range results {
		if r.Passed {
			fmt.Fprintf(e.stdout, "✓ %s: %s\n", r.File, r.Name)
			continue
		}
		failed++
		fmt.Fprintf(e.stdout, "✗ %s: %s\n", r.File, r.Name)
		for _, f := range r.Failures {
			fmt.Fprintf(e.stdout, "    %s\n", f)
		}
	}
	fmt.Fprintf(e.stdout, "%d passed, %d failed\n", len(results)-failed, failed)
}
