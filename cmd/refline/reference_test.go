package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/cli/serve"
)

// TestCommandReference keeps docs/commands.md as the commands' own help; -update
// writes it. Each command must have an example and name its exit codes.
func TestCommandReference(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("# Commands\n\nMade from the commands' own help.\n\n")
	root := wholeRoot(t)
	root.InitDefaultHelpFlag()
	b.WriteString("Flags of every command:\n\n```\n" + root.PersistentFlags().FlagUsages() + "```\n")
	var write func(cmd *cobra.Command)
	write = func(cmd *cobra.Command) {
		for _, c := range cmd.Commands() {
			if c.Hidden || c.Name() == "help" {
				continue
			}
			path := strings.TrimPrefix(c.CommandPath(), "refline ")
			if !strings.Contains(c.Long, "Exit codes:") {
				t.Errorf("refline %s: its help does not end with the exit codes", path)
			}
			if c.Example == "" {
				t.Errorf("refline %s: its help has no example", path)
			}
			fmt.Fprintf(&b, "\n## refline %s\n\n%s\n", path, strings.TrimSpace(c.Long))
			if c.Example != "" {
				fmt.Fprintf(&b, "\n```sh\n%s\n```\n", trimIndent(c.Example))
			}
			if flags := c.NonInheritedFlags().FlagUsages(); flags != "" {
				fmt.Fprintf(&b, "\n```\n%s```\n", flags)
			}
			write(c)
		}
	}
	write(root)
	file := filepath.Join("..", "..", "docs", "commands.md")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), b.String()); d != "" {
		t.Errorf("docs/commands.md is not what the commands say; go test ./cmd/refline -run Reference -update\n%s", d)
	}
}

func trimIndent(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], "  ")
	}
	return strings.Join(lines, "\n")
}

// wholeRoot is the tree of commands with those that refline-server runs.
func wholeRoot(t *testing.T) *cobra.Command {
	t.Helper()
	e := cli.ProcessEnv()
	root := newRootCmd(e, nil)
	there := serve.Commands(e)
	if len(there) != len(cli.OfServer) {
		t.Errorf("refline hands over %d commands, refline-server has %d", len(cli.OfServer), len(there))
	}
	for _, c := range there {
		stub, _, err := root.Find([]string{c.Name()})
		if err != nil || stub.Short != c.Short {
			t.Errorf("refline lists %s as %q, refline-server as %q", c.Name(), stub.Short, c.Short)
		}
		root.RemoveCommand(stub)
		root.AddCommand(c)
	}
	return root
}
