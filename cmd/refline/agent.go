package main

import (
	"errors"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"refline/internal/credential"
	"refline/internal/errs"
)

type agentOptions struct {
	hostOptions
	key, keyFile, keyEnv string
}

func newAgentCmd(e *env) *cobra.Command {
	o := &agentOptions{}
	cmd := &cobra.Command{
		Use:   "agent (--key-env VARIABLE | --key-file FILE | --key NAME) [--host HOST…] -- COMMAND [ARG…]",
		Short: "Give one command the use of a deploy key, not the key",
		Long: `Run COMMAND with an ssh agent that holds one key, for as long as COMMAND runs. The
agent signs log-ins to the named hosts only, whose keys must be known: all else is
refused. SSH_AUTH_SOCK and GIT_SSH_COMMAND are set, so that git clone, pull and
push just work; the key's variable is not in COMMAND's environment.

The hosts' keys are taken from --known-hosts, from the variable SSH_KNOWN_HOSTS, or
from your own known_hosts; those of a kept key are pinned with it.

Whoever gives the key in a variable has it in their own process; a key kept by
"refline key" or in a file is in none but refline's.

Exit codes: that of COMMAND; else 1 error, 2 usage.`,
		Example: `  refline agent --key-env DEPLOY_KEY --host git.example.com -- git clone git@git.example.com:data/flows.wiki.git
  refline agent --key flows -- ./publish.sh`,
		Args: afterDashes,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("no command; it comes after --: refline agent … -- COMMAND")
			}
			return runAgent(e, o, args)
		},
	}
	o.bind(cmd)
	bindKeySource(cmd, &o.keyFile, &o.keyEnv)
	cmd.Flags().StringVar(&o.key, "key", "", "a key kept by refline key")
	cmd.MarkFlagsMutuallyExclusive("key", "key-file", "key-env")
	return cmd
}

func (o *agentOptions) load(e *env) (credential.Key, error) {
	var k credential.Key
	var err error
	if o.key != "" {
		store, err := openKeyStore(e)
		if err != nil {
			return k, err
		}
		if _, err := findKey(store, o.key); err != nil {
			return k, err
		}
		if k, err = store.Key(o.key); err != nil {
			return k, err
		}
		if len(o.hosts) == 0 && o.knownHosts == "" {
			return k, nil
		}
	} else if k.Text, err = keyText(e, o.keyFile, o.keyEnv); err != nil {
		return k, err
	}
	k.KnownHosts, err = hostKeys(e, o.hosts, o.knownHosts)
	return k, err
}

func runAgent(e *env, o *agentOptions, args []string) error {
	path, err := lookCommand(args)
	if err != nil {
		return err
	}
	hideMemory() // before the key is in it
	key, err := o.load(e)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "refline-agent-")
	if err != nil {
		return errs.E(errs.Unavailable, "folder for the agent: %w", err)
	}
	defer os.RemoveAll(dir)
	refused := func(reason string) { e.notef("agent: refused %s", reason) }
	serving, err := key.Serve(credential.Place{Dir: dir, Seen: dir, Refused: refused})
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{
		Path: path, Args: args, Dir: e.dir, Stdin: e.stdin, Stdout: bare(e.stdout), Stderr: e.stderr,
		Env: append(credential.WithoutKey(e.environ(), o.keyEnv), serving.Env...),
	}
	wait, err := startCommand(cmd, false)
	if err != nil {
		return errors.Join(err, serving.Close())
	}
	return errors.Join(wait(), serving.Close())
}
