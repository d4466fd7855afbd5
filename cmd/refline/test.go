package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v4"

	"refline/internal/cli"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/localpipeline"
	"refline/internal/pipelinetest"
)

type testOptions struct{ json bool }

func newTestCmd(e *cli.Env) *cobra.Command {
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

// testResult is one test's outcome.
type testResult struct {
	File     string   `json:"file"`
	Name     string   `json:"name"`
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures,omitempty"`
}

func runTest(ctx context.Context, e *cli.Env, o *testOptions, files []string) error {
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
			failures, err := runPipelineTest(ctx, e, file, t)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", file, t.Name, err)
			}
			results = append(results, testResult{file, t.Name, len(failures) == 0, failures})
		}
	}
	if o.json {
		if err := e.PrintJSON(results); err != nil {
			return err
		}
	} else if len(results) > 0 {
		printTests(e, results)
	}
	if len(broken) > 0 {
		return broken.Err()
	}
	if slices.ContainsFunc(results, func(r testResult) bool { return !r.Passed }) {
		return cli.ErrShown
	}
	return nil
}

func testFiles(e *cli.Env, files []string) ([]string, error) {
	if len(files) > 0 {
		return files, nil
	}
	for _, pattern := range []string{".gitlab-ci.test.yml", ".gitlab/test/*.yml"} {
		found, err := filepath.Glob(filepath.Join(e.Dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, f := range found {
			rel, err := filepath.Rel(e.Dir, f)
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

func readTests(e *cli.Env, file string) ([]pipelinetest.Test, error) {
	data, err := inputfile.Read(e.Path(file), "test file "+file, 16<<20)
	if err != nil {
		return nil, err
	}
	return pipelinetest.ReadFile(file, data)
}

// runPipelineTest compiles one test's pipeline and compares it with what is
// expected.
func runPipelineTest(ctx context.Context, e *cli.Env, file string, t pipelinetest.Test) ([]string, error) {
	opts := localpipeline.Options{File: t.Pipeline, Branch: t.Branch, Tag: t.Tag, Event: t.Event, Changed: t.Changed, Values: t.Inputs}
	for _, name := range slices.Sorted(maps.Keys(t.Variables)) {
		opts.Vars = append(opts.Vars, name+"="+t.Variables[name])
	}
	if !t.Config.IsZero() {
		if t.Pipeline != "" {
			return []string{"pipeline: and config: exclude each other"}, nil
		}
		content, err := yaml.Marshal(&t.Config)
		if err != nil {
			return nil, err
		}
		opts.Content, opts.File = content, file
	}
	c, err := localpipeline.CompileAny(ctx, e.Local(), &opts)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return t.Check(pipelinetest.Outcome{Pipeline: c.Pipeline, NotCreated: c.NotCreated, Findings: c.Result.Findings}), nil
}

func printTests(e *cli.Env, results []testResult) {
	failed := 0
	for _, r := range results {
		if r.Passed {
			fmt.Fprintf(e.Stdout, "✓ %s: %s\n", r.File, r.Name)
			continue
		}
		failed++
		fmt.Fprintf(e.Stdout, "✗ %s: %s\n", r.File, r.Name)
		for _, f := range r.Failures {
			fmt.Fprintf(e.Stdout, "    %s\n", f)
		}
	}
	fmt.Fprintf(e.Stdout, "%d passed, %d failed\n", len(results)-failed, failed)
}
