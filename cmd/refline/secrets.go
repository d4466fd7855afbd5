package main

import (
	"github.com/spf13/cobra"

	"refline/internal/credential"
	"refline/internal/secretsource"
)

// hostOptions say to which hosts a key may log in, and how they are known.
type hostOptions struct {
	hosts      hostList
	knownHosts string
}

func (o *hostOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.Var(&o.hosts, "host", "a host that the key may be used for: HOST, HOST:PORT or a repository's URL")
	f.StringVar(&o.knownHosts, "known-hosts", "", "a file with the hosts' public keys (default: the variable SSH_KNOWN_HOSTS, a file's name or its content; else your own known_hosts)")
	_ = cmd.MarkFlagFilename("known-hosts")
}

func (o *hostOptions) source() secretsource.Hosts {
	return secretsource.Hosts{Names: o.hosts, Known: o.knownHosts}
}

// hostList is a flag that may be repeated.
type hostList []credential.Host

func (l *hostList) String() string { return "" }
func (l *hostList) Type() string   { return "host" }

func (l *hostList) Set(text string) error {
	h, err := credential.ParseHost(text)
	*l = append(*l, h)
	return err
}

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

// varOptions say which file of variables is meant.
type varOptions struct{ secretsource.Variables }

func (o *varOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.File, "file", "", "the file of variables (REFLINE_VARIABLES; default: the project's, in refline's state folder, outside of the repository)")
	f.StringVar(&o.Repo, "repo", "", "the project of this repository instead of the working tree's")
	_ = cmd.MarkFlagFilename("file")
}
