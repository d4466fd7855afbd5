package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/inputfile"
	"refline/internal/secret"
	"refline/internal/sshagent"
	"refline/internal/termview"
	"refline/internal/variable"
)

type keySplitOptions struct {
	gitlabOptions
	oneLine bool
	name    string
}

func newKeySplitCmd(e *cli.Env) *cobra.Command {
	o := &keySplitOptions{}
	cmd := &cobra.Command{
		Use:   "split [--one-line] [--gitlab PROJECT] FILE",
		Short: "Turn a private key into variables that GitLab can mask",
		Long: `Print a private key as variables that GitLab can mask, lines NAME=VALUE: one for
each line of the key's body, or with --one-line the body in a single one. What is
wrong with the key's text is mended. Lines too short to mask are named.

With --gitlab the variables are created in that project instead, masked and
protected. Else the key is printed: do not let it go where logs are kept.

` + gitlabHelp + `

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline key split --one-line deploy_key
  refline key split --name WIKI_KEY deploy_key > variables.env
  refline key split --one-line --gitlab data/flows deploy_key`,
		Args: cli.OneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := checkKey(e, args[0])
			if err != nil {
				return err
			}
			return runKeySplit(cmd.Context(), e, o, &c)
		},
	}
	o.gitlabOptions.bind(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.oneLine, "one-line", false, "one variable with the body in a single line")
	f.StringVar(&o.name, "name", "DEPLOY_KEY", "the variable's name; lines get _1, _2, … after it")
	return cmd
}

func runKeySplit(ctx context.Context, e *cli.Env, o *keySplitOptions, c *credential.CheckedKey) error {
	if !variable.ValidName(o.name) {
		return cli.Usagef("invalid variable name %q in --name", o.name)
	}
	vars, err := c.Split(o.name, o.oneLine)
	if err != nil {
		return err
	}
	for _, m := range c.Mended {
		e.Notef("%s: %s; mended", c.File, m)
	}
	if !o.oneLine && len(c.ShortLines) > 0 {
		e.Notef("%s: %s", c.File, shortLine(c))
		e.Notef("or take a single variable: refline key split --one-line %s", termview.ShellWord(c.File))
	}
	if o.project != "" {
		if err := o.create(ctx, e, vars); err != nil {
			return err
		}
	} else {
		for _, v := range vars {
			fmt.Fprintf(e.Stdout, "%s=%s\n", v.Name, v.Value)
		}
	}
	e.Notef("%s", c.JobAdvice(o.name, vars))
	return nil
}

// create makes the variables in a GitLab project, masked and protected: all of
// them, or none when one could not be masked or is there already.
func (o *keySplitOptions) create(ctx context.Context, e *cli.Env, vars []credential.KeyVariable) error {
	project, err := o.open(ctx, e)
	if err != nil {
		return err
	}
	list := make([]secret.Variable, len(vars))
	for i, v := range vars {
		list[i] = secret.Variable{Name: v.Name, Value: secret.NewString(v.Value), Environment: secret.AnyEnvironment, Masked: true, Protected: true}
	}
	err = variable.Create(ctx, project, o.project, list)
	if errs.Is(err, errs.Conflict) {
		return errs.E(errs.Conflict, "%w; to take another name: --name", err)
	}
	if err != nil {
		return err
	}
	for _, x := range list {
		fmt.Fprintf(e.Stdout, "+ %s in %s, masked, protected\n", x.Name, o.project)
	}
	return nil
}

func newKeyJoinCmd(e *cli.Env) *cobra.Command {
	var name, output string
	cmd := &cobra.Command{
		Use:   "join [--name VARIABLE] [--output FILE]",
		Short: "Make a private key of variables again",
		Long: `Make a private key of the variables that "key split" gave (NAME, or NAME_1, NAME_2,
…) or of one that holds a key whose text has suffered, and write it to a file that
only you can read, or to standard output if that is not a terminal.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline key join --name DEPLOY_KEY --output ~/.ssh/id_deploy
  refline key join | ssh-add -`,
		Args: cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := e.Secrets().KeyFromEnv(name)
			if err != nil {
				return err
			}
			key, err := sshagent.ReadKeyFile(text)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return writeKey(e, key.PEM(), output)
		},
	}
	cmd.Flags().StringVar(&name, "name", "DEPLOY_KEY", "the variable's name, without _1")
	cmd.Flags().StringVarP(&output, "output", "o", "", "write the key to this file, which must not exist")
	return cmd
}

func writeKey(e *cli.Env, text []byte, output string) error {
	if output == "" {
		if e.Terminal {
			return cli.Usagef("a private key is not for the screen; write it to a file (--output FILE) or to a program (refline key join | ssh-add -)")
		}
		_, err := e.Stdout.Write(text)
		return err
	}
	f, err := os.OpenFile(e.Path(output), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return errs.E(errs.Conflict, "%s: %w", output, inputfile.Pathless(err))
	}
	if _, err := f.Write(text); err != nil {
		f.Close()
		return errs.E(errs.Unavailable, "%s: %w", output, inputfile.Pathless(err))
	}
	return f.Close()
}
