package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/secret"
)

func newVarEditCmd(e *env) *cobra.Command {
	o := varOptions{}
	cmd := &cobra.Command{
		Use:   "edit",
		Short: "Edit the variables as YAML in your editor",
		Long: `Edit the variables as YAML in VISUAL or EDITOR. The text lies in a file that only
you can read, in memory where the system has such a folder, and is gone afterwards.
A text that cannot be read changes nothing.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline var edit\n  EDITOR='code --wait' refline var edit --file team.yml.age",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return changeVars(ctx, e, o, func(v *varFile) error { return editVars(ctx, e, v) })
		},
	}
	o.bind(cmd)
	return cmd
}

func editVars(ctx context.Context, e *env, v *varFile) error {
	dir, err := os.MkdirTemp(memoryFolder(), "refline-edit-")
	if err != nil {
		return errs.E(errs.Unavailable, "folder for the editor: %w", err)
	}
	defer os.RemoveAll(dir)
	text, err := v.Plain()
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "variables.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return errs.E(errs.Unavailable, "file for the editor: %w", err)
	}
	for {
		if err := runEditor(ctx, e, file); err != nil {
			return err
		}
		edited, err := os.ReadFile(file)
		if err != nil {
			return errs.E(errs.NotFound, "the editor left no file: %w", unwrapPath(err))
		}
		f, err := checkEdited(edited)
		if err == nil {
			v.File.File = f
			return nil
		}
		if !e.interactive || !askAgain(e, err) {
			return fmt.Errorf("nothing is changed: %w", err)
		}
	}
}

func checkEdited(text []byte) (*secret.File, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, errs.E(errs.Invalid, "the text is empty; to have no variables write: variables: []")
	}
	f, err := secret.Parse("variables.yml", text)
	if err != nil {
		return nil, err
	}
	var bad []error
	for _, x := range f.Variables {
		if x.Masked {
			bad = append(bad, maskable(x.Name, x.Value))
		}
	}
	return f, errors.Join(bad...)
}

func askAgain(e *env, err error) bool {
	answer, asked := e.ask(e.stderr, fmt.Sprintf("refline: %v\nedit again? (Enter or y, or n to give up) ", err))
	return asked == nil && !strings.HasPrefix(strings.ToLower(answer), "n")
}

// memoryFolder is a folder that is on no disk; "" where there is none.
func memoryFolder() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func runEditor(ctx context.Context, e *env, file string) error {
	editor := e.getenv("VISUAL")
	if editor == "" {
		editor = e.getenv("EDITOR")
	}
	words := strings.Fields(editor)
	if len(words) == 0 {
		return errs.E(errs.NotFound, "no editor: set EDITOR, or use refline var set")
	}
	cmd := exec.CommandContext(ctx, words[0], append(words[1:], file)...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = e.dir, e.environ(), e.stdin, e.stdout, e.stderr
	if err := cmd.Run(); err != nil {
		return errs.E(errs.Unavailable, "%s: %w; nothing is changed", words[0], err)
	}
	return nil
}
