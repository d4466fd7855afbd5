package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"refline/internal/cfn"
	"refline/internal/cfn/lint"
	"refline/internal/diag"
)

// Every rule that docs/cloudformation-rules.md calls checked is reached from the
// command: a template for each rule trips it. Regression: E2900 was documented,
// but nothing passed the values of parameters.
func TestEveryRuleIsReached(t *testing.T) {
	t.Parallel()
	rules, err := lint.Rules()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "internal", "cfn", "lint", "testdata", "rules.txt"))
	if err != nil {
		t.Fatal(err)
	}
	templates := templatesOfRules(string(text))
	for rule, template := range templatesAtLimits() {
		templates[rule] = template
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"stack", "lint", "--json", "--include", "I", "--include", "E3040"}
	for rule, template := range templates {
		write(rule+".yml", template)
		if rule != "E2900" && rule != "E2531" {
			args = append(args, rule+".yml")
		}
	}
	write("nested.yml", "Resources: {A: {Type: AWS::SNS::Topic}}\n")
	write("refline.stacks.yml", "stacks: {a: {template: E2900.yml, parameters: {P: b}}}\nenvironments: {dev: {account: \"111111111111\", region: us-east-1}}\n")

	found := lintedBy(t, dir, args...)
	found = append(found, lintedBy(t, dir, "stack", "lint", "--json")...)
	// A runtime that can be updated but not created is one for some time only.
	found = append(found, lintedOn(t, filepath.Join(dir, "E2531.yml"), time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC))...)
	for _, r := range rules {
		template, ok := templates[r.ID]
		switch {
		case r.Done && !ok:
			t.Errorf("no template for %s (%s): add one to testdata/rules.txt", r.ID, r.Title)
		case !r.Done && ok:
			t.Errorf("%s has a template, but the table says that it is not checked", r.ID)
		case r.Done && !slices.ContainsFunc(found, func(f diag.Finding) bool { return f.Rule == r.ID && wanted(f, r) }):
			t.Errorf("%s (%s) is not reported in its template:\n%.600s", r.ID, r.Title, template)
		}
	}
}

// wanted reports whether a finding is in the rule's own template, or, for
// E2900, at the value in the configuration.
func wanted(f diag.Finding, r lint.Rule) bool {
	return filepath.Base(f.File) == r.ID+".yml" || r.ID == "E2900" && f.File == "refline.stacks.yml"
}

func lintedBy(t *testing.T, dir string, args ...string) diag.List {
	t.Helper()
	cmd := exec.Command("refline", args...)
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var list diag.List
	if err := json.Unmarshal(out, &list); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return list
}

func lintedOn(t *testing.T, file string, day time.Time) diag.List {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	template, err := cfn.Parse(file, text)
	if err != nil {
		t.Fatal(err)
	}
	list, err := lint.Lint(t.Context(), template, lint.Options{Today: day})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// templatesOfRules reads testdata/rules.txt.
func templatesOfRules(text string) map[string]string {
	out := map[string]string{}
	for part := range strings.SplitSeq("\n"+strings.ReplaceAll(text, "\r\n", "\n"), "\n== ") {
		head, body, ok := strings.Cut(part, "\n")
		if !ok || len(out) == 0 && !strings.HasPrefix(head, "E0000") {
			continue // the introduction
		}
		rule, kind, ok := strings.Cut(head, " ")
		if ok {
			body = "Resources:\n  A:\n    Type: " + kind + "\n    Properties:\n      " + strings.ReplaceAll(strings.TrimRight(body, "\n"), "\n", "\n      ")
		}
		out[rule] = body + "\n"
	}
	return out
}

// templatesAtLimits are at a limit of CloudFormation, or over it.
func templatesAtLimits() map[string]string {
	const topic = "Resources: {A: {Type: AWS::SNS::Topic}}\n"
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format+"\n", i)
		}
		return b.String()
	}
	text := func(n int) string { return strings.Repeat("a", n) }
	const (
		parameters = "  P%d: {Type: String}"
		resources  = "  R%d: {Type: AWS::SNS::Topic}"
		outputs    = "  O%d: {Value: a}"
		mappings   = "  M%d: {a: {b: c}}"
		function   = "Resources:\n  A:\n    Type: AWS::Lambda::Function\n    Properties:\n      Code: {ZipFile: a}\n      Handler: index.a\n      Role: arn:aws:iam::123456789012:role/a\n      Runtime: "
	)
	return map[string]string{
		"E1002": topic + "# " + text(1_000_001) + "\n",
		"I1002": topic + "# " + text(950_000) + "\n",
		"E1003": topic + "Description: " + text(1025) + "\n",
		"I1003": topic + "Description: " + text(1000) + "\n",
		"E2010": topic + "Parameters:\n" + many(201, parameters),
		"I2010": topic + "Parameters:\n" + many(195, parameters),
		"E2011": topic + "Parameters:\n  " + text(256) + ": {Type: String}\n",
		"I2011": topic + "Parameters:\n  " + text(250) + ": {Type: String}\n",
		"E3010": "Resources:\n" + many(501, resources),
		"I3010": "Resources:\n" + many(490, resources),
		"I3012": "Resources:\n  " + text(250) + ": {Type: AWS::SNS::Topic}\n",
		"E6010": topic + "Outputs:\n" + many(201, outputs),
		"I6010": topic + "Outputs:\n" + many(195, outputs),
		"E6011": topic + "Outputs:\n  " + text(256) + ": {Value: a}\n",
		"I6011": topic + "Outputs:\n  " + text(250) + ": {Value: a}\n",
		"E7002": topic + "Mappings:\n  " + text(256) + ": {a: {b: c}}\n",
		"I7002": topic + "Mappings:\n  " + text(250) + ": {a: {b: c}}\n",
		"E7010": topic + "Mappings:\n" + many(201, mappings),
		"I7010": topic + "Mappings:\n" + many(195, mappings),
		"E2531": function + "python3.7\n",
		"E3697": function + "python3.13\n      Environment: {Variables: {A: " + text(4097) + "}}\n",
	}
}
