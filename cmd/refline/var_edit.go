package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
			v.File = f
			return nil
		}
		if !e.interactive || !askAgain(e, err) {
			return fmt.Errorf("nothing is changed: %w", err)
		}
	}
}

func checkEdited(text []byte) (*secret.File, error) {
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
	fmt.Fprintf(e.stderr, "refline: %v\nedit again? (Enter, or n to give up) ", err)
	answer, _ := bufio.NewReader(e.stdin).ReadString('\n')
	return !strings.HasPrefix(strings.ToLower(strings.TrimSpace(answer)), "n")
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

func newVarImportCmd(e *env) *cobra.Command {
	o := &varSetOptions{maskedWhenItCan: true}
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Take variables over from a file",
		Long: `Take variables over from a file ("-": standard input): lines NAME=VALUE, or the JSON
that GitLab's API gives. Those of lines are masked where that is possible; which are
not is said.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline var import .env --env staging\n  glab variable export | refline var import -",
		Args:    oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.changed = cmd.Flags().Changed
			list, err := o.read(e, args[0])
			if err != nil {
				return err
			}
			return changeVars(cmd.Context(), e, o.varOptions, func(v *varFile) error { return o.take(e, v, list) })
		},
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringVar(&o.environment, "env", secret.AnyEnvironment, "of lines: for jobs of this environment only")
	f.BoolVar(&o.visible, "visible", false, "of lines: none is masked")
	f.BoolVar(&o.protected, "protected", false, "of lines: for jobs of protected refs only")
	return cmd
}

// importedVar is a variable as GitLab's API writes it, or a line.
type importedVar struct {
	Key         string  `json:"key"`
	Value       *string `json:"value"` // null when it is hidden
	Type        string  `json:"variable_type"`
	Protected   bool    `json:"protected"`
	Masked      bool    `json:"masked"`
	Raw         bool    `json:"raw"`
	Scope       string  `json:"environment_scope"`
	Description string  `json:"description"`

	line bool
}

func (o *varSetOptions) read(e *env, file string) ([]importedVar, error) {
	path := e.path(file)
	if file == "-" {
		tmp, err := os.CreateTemp(memoryFolder(), "refline-import-")
		if err != nil {
			return nil, errs.E(errs.Unavailable, "file for standard input: %w", err)
		}
		defer os.Remove(tmp.Name())
		_, err = io.Copy(tmp, e.stdin)
		if err := errors.Join(err, tmp.Close()); err != nil {
			return nil, errs.E(errs.Unavailable, "standard input: %w", err)
		}
		path = tmp.Name()
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, errs.E(errs.NotFound, "%s: %w", file, unwrapPath(err))
	}
	if start := strings.TrimSpace(string(data[:min(len(data), 64)])); strings.HasPrefix(start, "[") {
		var list []importedVar
		if err := json.Unmarshal(data, &list); err != nil {
			return nil, errs.E(errs.Invalid, "%s: this is not the JSON of variables that GitLab's API gives", file)
		}
		return list, nil
	}
	vars, err := readVarFile(path, file)
	if err != nil {
		return nil, err
	}
	list := make([]importedVar, len(vars))
	for i, v := range vars {
		list[i] = importedVar{Key: v.Name, Value: &v.Value, line: true}
	}
	return list, nil
}

func (o *varSetOptions) take(e *env, v *varFile, list []importedVar) error {
	var hidden, visible []string
	taken := 0
	for _, in := range list {
		if in.Value == nil {
			hidden = append(hidden, in.Key)
			continue
		}
		x := secret.Variable{
			Name: in.Key, Value: secret.NewString(*in.Value), Environment: in.Scope, Protected: in.Protected,
			Masked: in.Masked, Raw: in.Raw, File: in.Type == "file", Description: in.Description,
		}
		if in.line {
			var err error
			if x, err = o.variable(v, in.Key, x.Value); err != nil {
				return err
			}
			if !x.Masked && !o.visible {
				visible = append(visible, in.Key)
			}
		}
		if err := v.Put(x); err != nil {
			return err
		}
		taken++
	}
	e.notef("%s taken over", plural(taken, "variable"))
	slices.Sort(visible)
	if len(visible) > 0 {
		e.notef("not masked, since too little of them can be: %s", strings.Join(visible, ", "))
	}
	if len(hidden) > 0 {
		e.notef("not taken over, since GitLab does not give hidden values: %s", strings.Join(hidden, ", "))
	}
	return nil
}

func newVarEncryptCmd(e *env) *cobra.Command {
	o := varOptions{}
	var recipients []string
	cmd := &cobra.Command{
		Use:   "encrypt",
		Short: "Encrypt the file of variables with age, for you and others",
		Long: `Encrypt the file of variables with age, to your own key and to those of --recipient.
Your key is made at first use and kept in refline's state folder; its public half is
printed for others to add. In CI the key is in the variable REFLINE_VARIABLES_KEY,
or in the file that it names.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline var encrypt --file team.yml.age --recipient age1…",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			own, err := ownRecipient(e)
			if err != nil {
				return err
			}
			return changeVars(cmd.Context(), e, o, func(v *varFile) error {
				for _, r := range append([]string{own}, recipients...) {
					if !slices.Contains(v.Recipients, r) {
						v.Recipients = append(v.Recipients, r)
					}
				}
				fmt.Fprintln(e.stdout, own)
				e.notef("%s opens for %s", v.path, plural(len(v.Recipients), "key"))
				return nil
			})
		},
	}
	o.bind(cmd)
	cmd.Flags().StringArrayVar(&recipients, "recipient", nil, "a public key that opens the file too: age1…")
	return cmd
}

// ownRecipient is the public half of this user's key, which is made if need be.
func ownRecipient(e *env) (string, error) {
	path, err := identityFile(e)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if r, ok := strings.CutPrefix(strings.TrimSpace(line), "# public key: "); ok {
				return r, nil
			}
		}
		return "", errs.E(errs.Invalid, "%s: there is no line \"# public key: age1…\" in it", path)
	}
	if !os.IsNotExist(err) {
		return "", errs.E(errs.Denied, "%s: %w", path, unwrapPath(err))
	}
	key, recipient, err := secret.NewIdentity()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", errs.E(errs.Denied, "%s: %w", filepath.Dir(path), unwrapPath(err))
	}
	return recipient, writeKey(e, key.Reveal(), path)
}
