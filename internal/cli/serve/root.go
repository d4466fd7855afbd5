package serve

import (
	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/cli/remote"
)

// Main runs the command line of refline-server, and returns its exit code.
func Main(args []string, e *cli.Env) int { return cli.Run(args, e, newRoot) }

func newRoot(e *cli.Env) *cobra.Command {
	root := cli.NewRoot(e, `These commands of refline are in the program refline-server, which refline starts.
All others: refline --help.

Exit codes: 0 good, 1 error, 2 usage.`)
	root.PersistentPreRunE = func(*cobra.Command, []string) error { return e.Enter() }
	root.AddCommand(Commands(e)...)
	root.CompletionOptions.DisableDefaultCmd = true // refline has it
	remote.CompleteServer(e, root)
	cli.OneGrammar(root)
	cli.Strict(root)
	return root
}

// Commands returns the commands that [cli.OfServer] names.
func Commands(e *cli.Env) []*cobra.Command {
	return []*cobra.Command{newServerCmd(e), newRunnerCmd(e), newDemoCmd(e), newImageCmd(e), newRuntimeCmd(e)}
}
