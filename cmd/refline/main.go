// Command refline runs what is in a git repository at the ref you name.
//
// This package alone wires the other packages together: it reads flags and
// configuration, prints results, and turns an error's kind into an exit code.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/cli/remote"
)

func main() {
	if code, ok := podCommand(os.Args[1:]); ok {
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:], cli.ProcessEnv()))
}

func run(args []string, e *cli.Env) int {
	return cli.Run(args, e, func(e *cli.Env) *cobra.Command { return newRootCmd(e, args) })
}

// anywhere reports whether a command needs no folder: it works in one that was
// deleted.
func anywhere(cmd *cobra.Command) bool {
	return cmd.Name() == "version" || cmd.Name() == "help" || cmd.HasParent() && cmd.Parent().Name() == "completion"
}

// newRootCmd returns the tree of commands; args are the words of the command line.
func newRootCmd(e *cli.Env, args []string) *cobra.Command {
	root := cli.NewRoot(e, `Refline runs pipelines (.gitlab-ci.yml, or Jsonnet that evaluates to one) and
scripts from the working tree or from any branch, tag or commit of a repository.`)
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := e.Enter(); err != nil && !anywhere(cmd) {
			return err
		}
		if !leavesRuns(cmd) {
			sweepKilled(cmd.Context(), e, 0)
		}
		return nil
	}
	root.AddCommand(
		newRunCmd(e), newListCmd(e), newShowCmd(e), newExplainCmd(e), newLintCmd(e),
		newGraphCmd(e), newRenderCmd(e), newFmtCmd(e), newTestCmd(e), newRunsCmd(e), newCacheCmd(e), newVersionCmd(e), newLogsCmd(e),
		remote.NewProjectCmd(e), remote.NewFlowCmd(e),
		remote.NewScheduleCmd(e), remote.NewSlotCmd(e), remote.NewEnvironmentCmd(e), remote.NewTokenCmd(e), remote.NewAuditCmd(e), remote.NewNotifyCmd(e), remote.NewLoginCmd(e), remote.NewLogoutCmd(e),
		newDoctorCmd(e), newMaskCmd(e), newScanCmd(e), newKeyCmd(e), newAgentCmd(e), newVarCmd(e), newStackCmd(e),
	)
	root.AddCommand(cli.HandOver(e, args)...)
	describeCompletion(root)
	remote.CompleteServer(e, root)
	cli.OneGrammar(root)
	cli.Strict(root)
	return root
}
