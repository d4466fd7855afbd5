package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/secretsource"
	"refline/internal/sshagent"
	"refline/internal/termview"
)

func newKeyCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make and keep deploy keys, and make keys fit into GitLab's variables",
		Long: `Deploy keys are ssh keys for one purpose: jobs read or write a repository with
them. "refline run --deploy-key NAME" and "refline agent --key NAME" give a job the
use of a key, never the key itself.

Keys are kept in the folder keys of refline's state folder, readable by you alone.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline key new flows --repo git@git.example.com:data/flows.git
  refline key check deploy_key`,
	}
	made, imported := &keyOptions{}, &keyOptions{}
	cmd.AddCommand(newKeyNewCmd(e, made), newKeyImportCmd(e, imported), newKeyShowCmd(e), newKeyRmCmd(e),
		newKeyCheckCmd(e), newKeySplitCmd(e), newKeyJoinCmd(e), newKeyIncludeCmd(e))
	addServerKeys(e, cmd, map[string]*keyOptions{"new": made, "import": imported})
	return cmd
}

// keyOptions say what a kept key is for.
type keyOptions struct {
	hostOptions
	repos []string
	write bool
}

func (o *keyOptions) bind(cmd *cobra.Command) {
	o.hostOptions.bind(cmd)
	f := cmd.Flags()
	f.StringArrayVar(&o.repos, "repo", nil, "a repository that the key is for; its host is one of the key's hosts")
	f.BoolVar(&o.write, "write", false, "the key is to push too (the forge decides; \"key show\" shows what to tick)")
}

// record is the key's entry in the store, with its hosts' keys pinned.
func (o *keyOptions) record(e *cli.Env, name string) (*credential.DeployKey, []byte, error) {
	if !credential.ValidKeyName(name) {
		return nil, nil, cli.Usagef("invalid key name %q: use letters, digits, dot, dash and underscore", name)
	}
	k := &credential.DeployKey{Name: name, Write: o.write, Repos: o.repos}
	hosts := o.hosts
	for _, r := range o.repos {
		h, err := credential.ParseHost(r)
		if err != nil {
			return nil, nil, cli.Usagef("%w", err)
		}
		hosts = append(hosts, h)
	}
	if len(hosts) == 0 {
		return nil, nil, cli.Usagef("say which host the key is for: --repo URL or --host HOST")
	}
	pinned, err := e.Secrets().HostKeys(secretsource.Hosts{Names: hosts, Known: o.knownHosts})
	if err != nil {
		return nil, nil, err
	}
	for _, h := range hosts {
		k.AddHost(h)
	}
	return k, pinned, nil
}

func newKeyNewCmd(e *cli.Env, o *keyOptions) *cobra.Command {
	var kind, comment string
	cmd := &cobra.Command{
		Use:   "new NAME (--repo URL | --host HOST)",
		Short: "Make a deploy key and say where to paste its public half",
		Long: `Make a deploy key, keep it under NAME, and show its public half and where to paste
it. The host's key is pinned: it is taken from --known-hosts, from the variable
SSH_KNOWN_HOSTS, or from your own known_hosts.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline key new flows --repo git@git.example.com:data/flows.git
  refline key new wiki --write --repo git@git.example.com:data/flows.wiki.git --known-hosts known_hosts`,
		Args: cli.OneArg("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			name := args[0]
			store, k, pinned, err := o.prepare(e, name)
			if err != nil {
				return err
			}
			if comment == "" {
				comment = name + "@refline"
			}
			text, err := credential.GenerateKey(kind, comment)
			if errs.Is(err, errs.Invalid) {
				return cli.Usagef("--type: %w", err)
			}
			if err != nil {
				return err
			}
			return addKey(e, store, k, credential.Key{Text: text, KnownHosts: pinned})
		},
	}
	o.bind(cmd)
	cmd.Flags().StringVar(&kind, "type", "ed25519", "ed25519, ecdsa or rsa")
	cmd.Flags().StringVar(&comment, "comment", "", "the key's comment (default NAME@refline)")
	return cmd
}

// prepare makes the entry of a new key, whose name must be free.
func (o *keyOptions) prepare(e *cli.Env, name string) (credential.Store, *credential.DeployKey, []byte, error) {
	store, err := e.Secrets().KeyStore()
	if err != nil {
		return store, nil, nil, err
	}
	if store.Has(name) {
		return store, nil, nil, errs.E(errs.Conflict, "there is a key %s already; to remove it: refline key rm %s", name, name)
	}
	k, pinned, err := o.record(e, name)
	return store, k, pinned, err
}

func newKeyImportCmd(e *cli.Env, o *keyOptions) *cobra.Command {
	var file, fromEnv string
	cmd := &cobra.Command{
		Use:   "import NAME (--key-file FILE | --key-env VARIABLE) (--repo URL | --host HOST)",
		Short: "Keep a key that exists already",
		Long: `Keep a private key under NAME. What happens to keys on their way through variables
is mended: line ends of Windows, line breaks that are missing, no last line end.
The passphrase of a key is asked for on a terminal, else taken from the variable
VARIABLE_PASSPHRASE, or REFLINE_KEY_PASSPHRASE; the key is kept without it.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline key import flows --key-file deploy_key --repo git@git.example.com:data/flows.git",
		Args:    cli.OneArg("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			store, k, pinned, err := o.prepare(e, args[0])
			if err != nil {
				return err
			}
			text, err := e.Secrets().KeyText(file, fromEnv)
			if err != nil {
				return err
			}
			if sshagent.Locked(text) {
				if text, err = e.Secrets().Unlock(text, fromEnv); err != nil {
					return err
				}
				e.Notef("the key is kept without its passphrase, readable by you alone")
			}
			return addKey(e, store, k, credential.Key{Text: sshagent.Mend(text), KnownHosts: pinned})
		},
	}
	o.bind(cmd)
	bindKeySource(cmd, &file, &fromEnv)
	return cmd
}

func newKeyShowCmd(e *cli.Env) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show [NAME]",
		Short: "Show a key's public half and where to paste it, or list the keys",
		Long: `Show a kept key's public half, its fingerprint, its hosts and where to paste it.
Without NAME list the keys.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: "  refline key show\n  refline key show flows",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return cli.Usagef("show takes one NAME, got %d", len(args))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := e.Secrets().KeyStore()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return listKeys(e, store, asJSON)
			}
			k, err := secretsource.FindKey(store, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return e.PrintJSON(k)
			}
			showKey(e, k)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	return cmd
}

func listKeys(e *cli.Env, store credential.Store, asJSON bool) error {
	keys, err := store.List()
	if err != nil {
		return err
	}
	if asJSON {
		return e.PrintJSON(keys)
	}
	if len(keys) == 0 {
		e.Notef("no key is kept; make one: refline key new NAME --repo URL")
		return nil
	}
	rows := [][]string{{"name", "access", "hosts", "fingerprint"}}
	for _, k := range keys {
		rows = append(rows, []string{k.Name, k.Access(), strings.Join(k.Hosts, ", "), k.Fingerprint})
	}
	for _, line := range termview.Align(rows) {
		fmt.Fprintln(e.Stdout, line)
	}
	return nil
}

// addKey stores a key and shows it.
func addKey(e *cli.Env, store credential.Store, k *credential.DeployKey, key credential.Key) error {
	if err := store.Add(k, key); err != nil {
		return err
	}
	showKey(e, k)
	return nil
}

// showKey prints what the owner of a repository needs.
func showKey(e *cli.Env, k *credential.DeployKey) {
	fmt.Fprintf(e.Stdout, "%s\n", k.Public)
	e.Notef("%s: %s, %s, for %s", k.Name, k.Fingerprint, k.Access(), strings.Join(k.Hosts, ", "))
	e.Notef("paste the line above where deploy keys are kept:")
	places := []string{"GitLab: project › Settings › Repository › Deploy keys", "GitHub: repository › Settings › Deploy keys",
		"Gitea, Forgejo: repository › Settings › Deploy keys"}
	ticks := []string{"Grant write permissions to this key", "Allow write access", "Enable write access"}
	for i, p := range places {
		if k.Write {
			p += ", tick \"" + ticks[i] + "\""
		}
		e.Notef("  %s", p)
	}
	for _, r := range k.Repos {
		if page := credential.GitLabPage(r); page != "" {
			e.Notef("for %s on GitLab: %s", r, page)
		}
	}
	e.Notef("then: refline run --deploy-key %s, or refline agent --key %s -- git clone …", k.Name, k.Name)
}

func newKeyRmCmd(e *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Short:   "Remove a kept key",
		Long:    "Remove a kept key from this computer. Where its public half was pasted it stays\nvalid: remove it there too.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline key rm flows",
		Args:    cli.OneArg("NAME"),
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := e.Secrets().KeyStore()
			if err != nil {
				return err
			}
			k, err := secretsource.FindKey(store, args[0])
			if err != nil {
				return err
			}
			if err := store.Remove(k.Name); err != nil {
				return err
			}
			e.Notef("key %s removed from here; remove %s where it was pasted too", k.Name, k.Fingerprint)
			return nil
		},
	}
}
