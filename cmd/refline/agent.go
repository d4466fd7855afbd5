package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/sshagent"
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
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("no command; it comes after --: refline agent … -- COMMAND")
			}
			return runAgent(cmd.Context(), e, o, args)
		},
	}
	o.bind(cmd)
	bindKeySource(cmd, &o.keyFile, &o.keyEnv)
	cmd.Flags().StringVar(&o.key, "key", "", "a key kept by refline key")
	cmd.MarkFlagsMutuallyExclusive("key", "key-file", "key-env")
	return cmd
}

// usableKey is a private key and the hosts that it may be used for.
type usableKey struct{ text, knownHosts []byte }

func (o *agentOptions) load(ctx context.Context, e *env) (usableKey, error) {
	var k usableKey
	var err error
	if o.key != "" {
		store, err := openKeyStore(e)
		if err != nil {
			return k, err
		}
		if k.text, k.knownHosts, err = store.read(o.key); err != nil {
			return k, err
		}
		if len(o.hosts) == 0 && o.knownHosts == "" {
			return k, nil
		}
	} else if k.text, err = keyText(e, o.keyFile, o.keyEnv); err != nil {
		return k, err
	}
	k.knownHosts, err = hostKeys(ctx, e, o.hosts, o.knownHosts)
	return k, err
}

func runAgent(ctx context.Context, e *env, o *agentOptions, args []string) error {
	path, err := lookCommand(args)
	if err != nil {
		return err
	}
	hideMemory() // before the key is in it
	key, err := o.load(ctx, e)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "refline-agent-")
	if err != nil {
		return errs.E(errs.Unavailable, "folder for the agent: %w", err)
	}
	defer os.RemoveAll(dir)
	refused := func(reason string) { e.notef("agent: refused %s", reason) }
	serving, err := startAgent(key, dir, dir, 0, refused)
	if err != nil {
		return err
	}
	cmd := &exec.Cmd{
		Path: path, Args: args, Dir: e.dir, Stdin: e.stdin, Stdout: bare(e.stdout), Stderr: e.stderr,
		Env: append(withoutKey(e.environ(), o.keyEnv), serving.env...),
	}
	wait, err := startCommand(cmd, false)
	if err != nil {
		return errors.Join(err, serving.close())
	}
	return errors.Join(wait(), serving.close())
}

// servedKey is an agent at work and the variables by which git and ssh find it.
type servedKey struct {
	env        []string
	socket     string
	knownHosts string
	close      func() error
}

// startAgent serves a key from dir, which whoever uses the key sees as seen.
func startAgent(key usableKey, dir, seen string, mode os.FileMode, refused func(string)) (*servedKey, error) {
	a, err := sshagent.Start(sshagent.Config{Key: key.text, KnownHosts: key.knownHosts, Dir: dir, Mode: mode, Refused: refused})
	if err != nil {
		return nil, err
	}
	const name = "known_hosts"
	if err := os.WriteFile(filepath.Join(dir, name), a.KnownHosts(), 0o644); err != nil {
		return nil, errors.Join(errs.E(errs.Unavailable, "known hosts: %w", unwrapPath(err)), a.Close())
	}
	socket, known := seen+"/"+filepath.Base(a.Socket()), seen+"/"+name
	return &servedKey{
		socket: a.Socket(), knownHosts: filepath.Join(dir, name), close: a.Close,
		env: []string{"SSH_AUTH_SOCK=" + socket, "GIT_SSH_COMMAND=" + sshagent.Command(known), "GIT_SSH_VARIANT=ssh"},
	}, nil
}

// withoutKey leaves the variable of a key out of an environment, those of its
// lines, and what would lead to another agent or ask for a password.
func withoutKey(environ []string, name string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(kv string) bool {
		key, _, _ := strings.Cut(kv, "=")
		if name != "" {
			if line, ok := strings.CutPrefix(key, name+"_"); ok {
				n, err := strconv.Atoi(line)
				return err == nil && key == lineVariable(name, n)
			}
		}
		switch key {
		case "SSH_AUTH_SOCK", "SSH_AGENT_PID", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT":
			return true
		}
		return name != "" && key == name
	})
}
