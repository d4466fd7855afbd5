package lint_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"refline/internal/cfn/lint"
)

var update = flag.Bool("update", false, "write the goldens and the table in docs")

// The table of rules in docs is what the code says.
func TestTableOfRules(t *testing.T) {
	t.Parallel()
	rules, err := lint.Rules()
	if err != nil {
		t.Fatal(err)
	}
	version, err := lint.Version()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	done := 0
	for _, r := range rules {
		if r.Done {
			done++
		}
	}
	fmt.Fprintf(&b, "# Rules for CloudFormation templates\n\n")
	fmt.Fprintf(&b, "`refline stack lint` checks a template offline. Its rules have the numbers of cfn-lint, so cfn-lint's documentation applies here too. The resource schemas and the titles below come from %s (licence MIT-0). %d of its %d rules are checked.\n\n", version, done, len(rules))
	fmt.Fprintf(&b, "E is an error, W a warning, I a note; notes are off unless `--include` turns them on. This file is generated: `go test ./internal/cfn/lint -run TestTableOfRules -update`.\n\n")
	fmt.Fprintf(&b, "| rule | | about | |\n|---|---|---|---|\n")
	for _, r := range rules {
		mark := "✓"
		if !r.Done {
			mark = "–"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.ID, mark, strings.ReplaceAll(r.Title, "|", "\\|"), r.Why)
	}
	path := filepath.Join("..", "..", "..", "docs", "cloudformation-rules.md")
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.ReplaceAll(string(want), "\r\n", "\n"), b.String()); d != "" {
		t.Errorf("run with -update: %s", d)
	}
}
