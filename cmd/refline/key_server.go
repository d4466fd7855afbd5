package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
	"refline/internal/cli/remote"
	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/sshagent"
	"refline/internal/termview"
)

// addServerKeys gives the commands about deploy keys those of a server.
func addServerKeys(e *cli.Env, keys *cobra.Command, own map[string]*keyOptions) {
	for _, cmd := range keys.Commands() {
		o := &serverKeys{e: e, cmd: cmd, keyOptions: own[cmd.Name()]}
		switch cmd.Name() {
		case "new", "import":
			f := cmd.Flags()
			f.BoolVar(&o.protected, "protected", false, "of a server: for jobs of protected refs only (default: a key that pushes is)")
			f.StringVar(&o.environment, "environment", "", "of a server: for jobs of this environment only")
			o.orServer(o.add)
		case "show":
			o.orServer(o.show)
		case "rm":
			o.orServer(o.remove)
		}
	}
}

// serverKeys is a command about the deploy keys of a server's project.
type serverKeys struct {
	*keyOptions
	e           *cli.Env
	cmd         *cobra.Command
	project     string
	environment string
	protected   bool
}

func (o *serverKeys) orServer(there func(context.Context, *api.Client, []string) error) {
	o.cmd.Flags().StringVar(&o.project, "project", "", "of a server: the project whose key it is")
	remote.OrServer(o.e, o.cmd, "the keys", func(ctx context.Context, c *api.Client, args []string) error {
		if o.project == "" {
			return cli.Usagef("whose key? name the project: --project NAME; list them: refline project list")
		}
		o.e.Notef("keys of project %s on %s", termview.Plain(o.project), c.URL())
		return there(ctx, c, args)
	})
}

// add makes a key on the server, or sends one that exists. Without --repo and --host
// it is for the project's repository.
func (o *serverKeys) add(ctx context.Context, c *api.Client, args []string) error {
	if len(o.repos) == 0 && len(o.hosts) == 0 {
		p, err := c.Project(ctx, o.project)
		if err != nil {
			return err
		}
		if _, err := credential.ParseHost(p.URL); err != nil || strings.HasPrefix(p.URL, "http") {
			return cli.Usagef("the repository of project %s is %s, which needs no key; name one that is reached by ssh: --repo git@HOST:PATH", termview.Plain(o.project), termview.Plain(p.URL))
		}
		o.repos = []string{p.URL}
	}
	k, pinned, err := o.record(o.e, args[0])
	if err != nil {
		return err
	}
	in := api.DeployKeyInput{Name: k.Name, Write: o.write, Environment: o.environment, Repos: k.Repos, KnownHosts: string(pinned)}
	for _, h := range o.hosts {
		in.Hosts = append(in.Hosts, h.String())
	}
	if o.cmd.Flags().Changed("protected") {
		in.Protected = &o.protected
	}
	if o.cmd.Name() == "import" {
		text, err := o.private()
		if err != nil {
			return err
		}
		in.Key = &text
	} else {
		in.Type, _ = o.cmd.Flags().GetString("type")
	}
	added, err := c.AddKey(ctx, o.project, in)
	if err != nil {
		return err
	}
	o.print(added)
	return nil
}

// private reads a key that exists, without its passphrase.
func (o *serverKeys) private() (string, error) {
	file, _ := o.cmd.Flags().GetString("key-file")
	from, _ := o.cmd.Flags().GetString("key-env")
	text, err := o.e.Secrets().KeyText(file, from)
	if err == nil && sshagent.Locked(text) {
		text, err = o.e.Secrets().Unlock(text, from)
	}
	return string(sshagent.Mend(text)), err
}

// print shows what the owner of the repository needs.
func (o *serverKeys) print(k api.DeployKey) {
	fmt.Fprintln(o.e.Stdout, k.Public)
	words := []string{k.Fingerprint, "for " + strings.Join(k.Hosts, ", ")}
	if k.Write {
		words = append(words, "to push")
	}
	if k.Protected {
		words = append(words, "protected refs only")
	}
	if k.Environment != "*" {
		words = append(words, "environment "+k.Environment)
	}
	o.e.Notef("%s: %s", termview.Plain(k.Name), termview.Plain(strings.Join(words, ", ")))
	o.e.Notef("%s", k.Advice)
	if k.Page != "" {
		o.e.Notef("on GitLab: %s", k.Page)
	}
	o.e.Notef("then let the project use it: refline project set %s --key %s", termview.ShellWord(o.project), termview.ShellWord(k.Name))
}

func (o *serverKeys) show(ctx context.Context, c *api.Client, args []string) error {
	list, err := c.Keys(ctx, o.project)
	if err != nil {
		return err
	}
	asJSON := remote.BoolFlag(o.cmd, "json")
	if len(args) == 0 {
		if asJSON {
			return o.e.PrintJSON(list)
		}
		if len(list) == 0 {
			o.e.Notef("no keys; make one: refline key new NAME --server --project %s", termview.ShellWord(o.project))
			return nil
		}
		rows := [][]string{{"name", "access", "hosts", "fingerprint", "used"}}
		for _, k := range list {
			access, used := "read", "never"
			if k.Write {
				access = "write"
			}
			if k.Used != nil {
				used = cli.Ago(*k.Used)
			}
			rows = append(rows, []string{k.Name, access, strings.Join(k.Hosts, ", "), k.Fingerprint, used})
		}
		return o.e.PrintTable(rows)
	}
	var names []string
	for _, k := range list {
		if k.Name == args[0] {
			if asJSON {
				return o.e.PrintJSON(k)
			}
			o.print(k)
			return nil
		}
		names = append(names, k.Name)
	}
	return errs.E(errs.NotFound, "project %s has no key %q%s", o.project, args[0], cli.DidYouMean(args[0], names))
}

func (o *serverKeys) remove(ctx context.Context, c *api.Client, args []string) error {
	if err := c.RemoveKey(ctx, o.project, args[0]); err != nil {
		return err
	}
	o.e.Notef("key %s removed; remove its public half where it was pasted too", termview.Plain(args[0]))
	return nil
}
