package main

import (
	"errors"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/interrupt"
	"refline/internal/maskrun"
	"refline/internal/secretsource"
)

type agentOptions struct {
	hostOptions
	keys, keyFiles, keyEnvs []string
}

func newAgentCmd(e *cli.Env) *cobra.Command {
	o := &agentOptions{}
	cmd := &cobra.Command{
		Use:   "agent (--key-env VARIABLE | --key-file FILE | --key NAME)… [--host HOST…] -- COMMAND [ARG…]",
		Short: "Give one command the use of a deploy key, not the key",
		Long: `Run COMMAND with an ssh agent that holds one key, for as long as COMMAND runs. The
agent signs log-ins to the named hosts only, whose keys must be known: all else is
refused. SSH_AUTH_SOCK and GIT_SSH_COMMAND are set, so that git clone, pull and
push just work; the key's variable is not in COMMAND's environment.

The hosts' keys are taken from --known-hosts, from the variable SSH_KNOWN_HOSTS, or
from your own known_hosts; those of a kept key are pinned with it.

Of several keys git uses the one whose repository is named (that of a kept key, or
--host with a repository's URL), else the first one for the host.

The passphrase of a key is asked for on a terminal, else taken from the variable
VARIABLE_PASSPHRASE, or REFLINE_KEY_PASSPHRASE.

A key in a variable is also in the process that set it; a key kept by "refline key"
or in a file is in refline's process only.

Exit codes: that of COMMAND; else 1 error, 2 usage.`,
		Example: `  refline agent --key-env DEPLOY_KEY --host git.example.com -- git clone git@git.example.com:data/flows.wiki.git
  refline agent --key flows -- ./publish.sh`,
		Args: afterDashes,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("no command; it comes after --: refline agent … -- COMMAND")
			}
			return runAgent(e, o, args)
		},
	}
	o.bind(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.keyFiles, "key-file", nil, "a private key is in this file (\"-\": standard input)")
	f.StringArrayVar(&o.keyEnvs, "key-env", nil, "a private key is in this variable (whole, in one line, in base64, in the file that it names, or split into NAME_1, NAME_2, …)")
	f.StringArrayVar(&o.keys, "key", nil, "a key kept by refline key")
	_ = cmd.MarkFlagFilename("key-file")
	return cmd
}

// sources are the keys that the flags name.
func (o *agentOptions) sources() []secretsource.Key {
	var out []secretsource.Key
	for _, name := range o.keys {
		out = append(out, secretsource.Key{Hosts: o.source(), Kept: name, Name: name})
	}
	for _, file := range o.keyFiles {
		out = append(out, secretsource.Key{Hosts: o.source(), File: file})
	}
	for _, name := range o.keyEnvs {
		out = append(out, secretsource.Key{Hosts: o.source(), Env: name, Name: name})
	}
	return out
}

func runAgent(e *cli.Env, o *agentOptions, args []string) error {
	path, err := lookCommand(args)
	if err != nil {
		return err
	}
	cli.HideMemory() // before a key is in it
	sources := o.sources()
	if len(sources) == 0 {
		return cli.Usagef("no private key is named: --key-file FILE, --key-env VARIABLE or --key NAME")
	}
	set, environ := credential.Set{}, e.Environ()
	for _, source := range sources {
		key, err := e.Secrets().Load(source)
		if err != nil {
			return err
		}
		set.Keys = append(set.Keys, &key)
		environ = credential.WithoutKey(environ, source.Env)
	}
	dir, err := os.MkdirTemp("", "refline-agent-")
	if err != nil {
		return errs.E(errs.Unavailable, "folder for the agent: %w", err)
	}
	defer os.RemoveAll(dir)
	watch := credential.WatchOver(dir)
	defer watch.Release()
	refused := func(reason string) { e.Notef("agent: refused %s", reason) }
	more, end, err := set.Serve(credential.Place{Dir: dir, Seen: dir, Refused: refused})
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{
		Path: path, Args: args, Dir: e.Dir, Stdin: e.Stdin, Stdout: interrupt.Bare(e.Stdout), Stderr: e.Stderr, Env: append(environ, more...),
	}
	wait, err := maskrun.Start(cmd, false)
	if err != nil {
		return errors.Join(err, end())
	}
	watch.Command(cmd.Process.Pid)
	return errors.Join(wait(), end())
}
