package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/credential"
	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/source"
	"refline/internal/variable"
)

// deployKeyOptions say which keys the jobs of a run, and the checkout before
// them, may use.
type deployKeyOptions struct {
	hostOptions
	specs []string
}

func (o *deployKeyOptions) bind(cmd *cobra.Command) {
	o.hostOptions.bind(cmd)
	cmd.Flags().StringArrayVar(&o.specs, "deploy-key", nil, "a key that jobs and --repo use but never hold: NAME (kept by refline key, or a variable) or NAME=@FILE; of several the one for the repository or its host is used")
}

// openRunKeys finds the keys that the options name; nil when they name none.
func openRunKeys(ctx context.Context, e *env, o *runOptions) (*credential.RunKeys, error) {
	d := &o.deployKey
	if len(d.specs) == 0 {
		if len(d.hosts) > 0 || d.knownHosts != "" {
			return nil, usagef("--host and --known-hosts are for a key: give --deploy-key NAME")
		}
		return nil, nil
	}
	var list []*credential.RunKey
	for _, spec := range d.specs {
		k, err := openRunKey(ctx, e, o, spec)
		if err != nil {
			return nil, err
		}
		list = append(list, k)
	}
	return credential.ServeKeys(list)
}

func openRunKey(ctx context.Context, e *env, o *runOptions, spec string) (*credential.RunKey, error) {
	d := &o.deployKey
	name, file, hasFile := strings.Cut(spec, "=")
	file, at := strings.CutPrefix(file, "@")
	if spec == "" {
		return nil, usagef("--deploy-key is empty; leave it out, or give it a value")
	}
	if !credential.ValidKeyName(name) || hasFile && (!at || file == "") {
		return nil, usagef("--deploy-key wants NAME or NAME=@FILE; a key itself never goes on a command line")
	}
	from := keySource{hostOptions: d.hostOptions, name: name}
	store, err := openKeyStore(e)
	if err != nil {
		return nil, err
	}
	k := &credential.RunKey{Name: name}
	switch {
	case hasFile:
		from.keyFile = file
	case store.Has(name):
		from.key = name
		if len(d.specs) > 1 { // each has hosts of its own
			from.hostOptions = hostOptions{}
		}
	case variable.ValidName(name) && (e.getenv(name) != "" || e.getenv(credential.LineVariable(name, 1)) != ""):
		from.keyEnv = name
	default:
		if err := keyFromVariable(ctx, e, o, k); err != nil {
			return nil, err
		}
		from.text = k.Text
	}
	if h, err := credential.ParseHost(o.repo); from.key == "" && len(from.hosts) == 0 && err == nil && source.IsURL(o.repo) {
		from.hosts = hostList{h}
	}
	k.Key, err = from.load(e)
	return k, err
}

// keyFromVariable takes the key from the project's variables.
func keyFromVariable(ctx context.Context, e *env, o *runOptions, k *credential.RunKey) error {
	v, err := openVars(ctx, e, varOptions{file: o.variables, repo: o.repo}, false)
	if err != nil {
		return err
	}
	i := v.Index(secret.Variable{Name: k.Name, Environment: secret.AnyEnvironment})
	if i < 0 {
		return errs.E(errs.NotFound, "--deploy-key %[1]s: neither a kept key nor a variable has this name; make it: refline key new %[1]s --repo URL, or give a file: --deploy-key %[1]s=@FILE", k.Name)
	}
	k.Text, k.Protected = v.Variables[i].Value.Reveal(), v.Variables[i].Protected
	return nil
}
