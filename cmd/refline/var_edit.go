package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/secretsource"
)

func newVarEditCmd(e *cli.Env) *cobra.Command {
	o := varOptions{}
	cmd := &cobra.Command{
		Use:   "edit",
		Short: "Edit the variables as YAML in your editor",
		Long: `Edit the variables as YAML in VISUAL or EDITOR. The text is in a file that only
you can read, in memory if the system has such a folder, and is removed afterwards.
A text that cannot be read changes nothing.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline var edit\n  EDITOR='code --wait' refline var edit --file team.yml.age",
		Args:    cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return e.Secrets().ChangeVariables(ctx, o.Variables, func(v *secretsource.VariableFile) error {
				return v.Edit(
					func(path string) error { return runEditor(ctx, e, path) },
					func(x secret.Variable) error { return secretsource.Maskable(x.Name, x.Value) },
					func(err error) bool { return e.Interactive && askAgain(e, err) },
				)
			})
		},
	}
	o.bind(cmd)
	return cmd
}

func askAgain(e *cli.Env, err error) bool {
	answer, asked := e.Ask(e.Stderr, fmt.Sprintf("refline: %v\nedit again? (Enter or y, or n to give up) ", err))
	return asked == nil && !strings.HasPrefix(strings.ToLower(answer), "n")
}

func runEditor(ctx context.Context, e *cli.Env, file string) error {
	editor := e.Getenv("VISUAL")
	if editor == "" {
		editor = e.Getenv("EDITOR")
	}
	words := strings.Fields(editor)
	if len(words) == 0 {
		return errs.E(errs.NotFound, "no editor: set EDITOR, or use refline var set")
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], file)...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = e.Dir, e.Environ(), e.Stdin, e.Stdout, e.Stderr
	if err := cmd.Run(); err != nil {
		return errs.E(errs.Unavailable, "%s: %w; nothing is changed", words[0], err)
	}
	return nil
}
