package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/interrupt"
	"refline/internal/mask"
	"refline/internal/maskrun"
	"refline/internal/secretsource"
)

// secretSources say where the secrets of a command come from.
type secretSources struct {
	env   []string
	files []string
}

func (s *secretSources) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&s.env, "env", nil, "a secret: the value of this environment variable, or what is in the file that it names")
	f.StringArrayVar(&s.files, "file", nil, "a secret: what is in this file")
	_ = cmd.MarkFlagFilename("file")
}

func newMaskCmd(e *cli.Env) *cobra.Command {
	secrets := &secretSources{}
	cmd := &cobra.Command{
		Use:   "mask [--env NAME…] [--file FILE…] [-- COMMAND [ARG…]]",
		Short: "Take secrets out of standard input, or out of what a command prints",
		Long: `Replace secrets by ` + mask.Token + `: whole, any piece of 16 bytes or more of a secret
of 16 or more, in every form that programs print (see docs/secrets.md). Secrets
may have several lines. Without COMMAND standard input is copied to standard
output. With COMMAND its standard output and its standard error are masked each
on its own; signals, exit code and standard input are as without refline, and
where they are a terminal, COMMAND sees one.

A secret of fewer than ` + fmt.Sprint(mask.MinSecret) + ` bytes cannot be masked, and a variable that is not set
is not a secret: both are errors before anything runs.

A line ` + mask.AddPrefix + `VALUE in the output has VALUE masked from then on and is not shown;
"refline mask add" prints one.

Masking stops accidents, not a program that wants to betray a secret it holds.

Exit codes: that of COMMAND; else 0 good, 1 error, 2 usage.`,
		Example: `  refline mask --env DEPLOY_KEY -- ./release.sh
  ./release.sh 2>&1 | refline mask --file deploy_key --env API_TOKEN`,
		Args: afterDashes,
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := e.Secrets().MaskSet(secrets.env, secrets.files)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return maskInput(cmd.Context(), e, set)
			}
			return maskCommand(e, set, args)
		},
	}
	secrets.bind(cmd)
	cmd.AddCommand(newMaskAddCmd(e))
	return cmd
}

func newMaskAddCmd(e *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "add",
		Short: "Have a value that a job has made masked from then on",
		Long: `Read a value from standard input, without its last line end, and print the line
` + mask.AddPrefix + `VALUE, by which "refline run" and "refline mask" mask it in what the job or
command prints after it. The line itself is not shown. GitHub's runner obeys such
lines too.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  TOKEN=$(./sign-in) && printf %s \"$TOKEN\" | refline mask add",
		Args:    cli.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if e.Terminal {
				return cli.Usagef("the value would be shown: this is for the output of a job, which refline reads")
			}
			value, err := e.Secrets().Input()
			if err != nil {
				return err
			}
			if err := secretsource.Maskable("standard input", value); err != nil {
				return errs.E(errs.Invalid, "%w", err)
			}
			_, err = io.WriteString(e.Stdout, mask.AddLine(value.Reveal()))
			return err
		},
	}
}

// afterDashes admits a command line after --, and no other arguments.
func afterDashes(cmd *cobra.Command, args []string) error {
	if at := cmd.ArgsLenAtDash(); len(args) > 0 && at != 0 {
		return cli.Usagef("%q is not a flag of %s; a command comes after --: refline %s … -- COMMAND", args[0], cmd.Name(), cmd.Name())
	}
	return nil
}

// maskInput copies standard input to its end. Ctrl-C ends whatever writes to the
// pipe too, whose last words are still to come: a first one ends the filter only
// where keys are its input. TERM is meant for the filter itself.
func maskInput(ctx context.Context, e *cli.Env, set *mask.Set) error {
	defer e.KeepOrder()()
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	defer signal.Stop(term)
	var stop <-chan struct{}
	if maskrun.IsTerminal(e.Stdin) {
		stop = e.Stop.Done()
	}
	done := make(chan error, 1)
	go func() { done <- maskrun.Copy(set, e.Stdout, e.Stdin) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	case <-stop:
	case <-term:
		// The listener of all signals hears of it too, perhaps a moment later; the
		// exit code, 143, is its.
		<-e.Stop.Done()
	}
	return context.Canceled
}

// maskCommand runs a command with its output masked.
func maskCommand(e *cli.Env, set *mask.Set, args []string) error {
	e.Stdout = interrupt.Bare(e.Stdout) // a terminal stays one
	path, err := lookCommand(args)
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{Path: path, Args: args, Dir: e.Dir, Env: e.Environ()}
	return maskrun.Run(maskrun.Streams{In: e.Stdin, Out: e.Stdout, Err: e.Stderr}, set, cmd)
}
