package main

import (
	"strings"

	"refline/internal/localpipeline"

	"github.com/spf13/cobra"
	"refline/internal/cli"
)

// describeCompletion gives the library's own command what every command has.
func describeCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Short = "Print a script that completes commands in your shell"
		c.Long = "Print a script that completes commands, flags and job names in your shell.\n\nExit codes: 0 good, 2 usage."
		c.Example = "  refline completion bash > /etc/bash_completion.d/refline\n  source <(refline completion zsh)"
		for _, shell := range c.Commands() {
			shell.Long = strings.TrimSpace(shell.Long) + "\n\nExit codes: 0 good, 2 usage."
			shell.Example = "  refline completion " + shell.Name()
		}
	}
}

// completeJobs offers the names of the pipeline's jobs.
func completeJobs(e *cli.Env, o *pipelineOptions) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		if e.Enter() != nil || o.Repo != "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := localpipeline.CompileAny(cmd.Context(), e.Local(), &o.Options)
		if err != nil || c.Result == nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.Close()
		var names []string
		for _, j := range c.Result.Jobs {
			names = append(names, j.Job)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
