package remote

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/api"
	"refline/internal/cli"
)

// completionTime bounds how long a shell waits for names of a server.
const completionTime = 300 * time.Millisecond

// serverNames lists what a server has of a kind, each with a description after a tab.
type serverNames func(context.Context, *api.Client) ([]string, error)

// CompleteServer lets the shell complete what the server has: the arguments of commands
// by their noun, and the flags that name something.
func CompleteServer(e *cli.Env, root *cobra.Command) {
	known := map[string]serverNames{
		"flow": flowNames, "project": projectNames, "runtime": runtimeNames, "slot": slotNames, "runner": runnerNames, "environment": environmentNames,
	}
	for _, noun := range root.Commands() {
		for _, cmd := range noun.Commands() {
			_, arg, _ := strings.Cut(cmd.Use, " ")
			arg, _, _ = strings.Cut(strings.Trim(arg, "[]"), " ")
			names := known[noun.Name()]
			switch {
			case arg == "FLOW" || arg == "FLOW]":
				names = flowNames
			case arg == "RUN" && noun.Name() == "runs":
				names = runNames
			case arg != "NAME":
				names = nil
			}
			if names != nil && cmd.ValidArgsFunction == nil {
				cmd.ValidArgsFunction = completeArg(e, names)
			}
		}
	}
	for flag, names := range map[string]serverNames{"project": projectNames, "runtime": runtimeNames, "flow": flowNames, "slot": slotNames} {
		completeFlag(e, root, flag, names)
	}
}

// completeFlag offers names for a flag of all commands below one that speak to a server.
func completeFlag(e *cli.Env, cmd *cobra.Command, flag string, names serverNames) {
	if cmd.LocalNonPersistentFlags().Lookup(flag) != nil && cmd.Flags().Lookup("server") != nil {
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			return askServer(e, cmd, names)
		})
	}
	for _, sub := range cmd.Commands() {
		completeFlag(e, sub, flag, names)
	}
}

// completeArg offers names for the first argument.
func completeArg(e *cli.Env, names serverNames) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return askServer(e, cmd, names)
	}
}

// askServer asks the server for names. It says nothing when there is none, or none
// that answers in time.
func askServer(e *cli.Env, cmd *cobra.Command, names serverNames) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	o := cli.ConnectOptions{}
	if o.Server, _ = cmd.Flags().GetString("server"); o.Server == found {
		o.Server = ""
	}
	client, err := o.Connect(e)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	list, err := names(ctx, client)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return list, cobra.ShellCompDirectiveNoFileComp
}

func flowNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Flows(ctx, "", "", false)
	return namesOf(list, func(f api.Flow) string { return f.Name + "\t" + f.Project }), err
}

func projectNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Projects(ctx)
	return namesOf(list, func(p api.Project) string { return p.Name + "\t" + p.URL }), err
}

func runtimeNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Runtimes(ctx)
	return namesOf(list, func(r api.Runtime) string { return r.Name + "\t" + r.Executor + " " + r.Image }), err
}

func slotNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Slots(ctx)
	return namesOf(list, func(s api.Slot) string { return s.Name + "\t" + placesText(s) }), err
}

func runnerNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Runners(ctx)
	return namesOf(list, func(r api.Runner) string { return r.Name + "\t" + RunnerState(r) }), err
}

func environmentNames(ctx context.Context, c *api.Client) ([]string, error) {
	list, err := c.Environments(ctx, "")
	return namesOf(list, func(x api.Environment) string { return x.Name + "\t" + x.Project }), err
}

// runNames offers the last runs.
func runNames(ctx context.Context, c *api.Client) ([]string, error) {
	page, err := c.Runs(ctx, api.RunQuery{Limit: 20})
	return namesOf(page.Runs, func(r api.Run) string {
		name := r.Flow
		if name == "" {
			name = r.Project
		}
		return fmt.Sprintf("%d\t%s %s", r.ID, name, cli.StateText(r))
	}), err
}

func namesOf[T any](list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = strings.ReplaceAll(name(x), "\n", " ")
	}
	return out
}
