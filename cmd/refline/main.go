// Command refline runs what is in a git repository at the ref you name.
//
// This package alone wires the other packages together: it reads flags and
// configuration, prints results, and turns an error's kind into an exit code.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/cli/remote"
	"refline/internal/cli/serve"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/interrupt"
	"refline/internal/maskrun"
	"refline/internal/stackrun"
)

func main() {
	if code, ok := podCommand(os.Args[1:]); ok {
		os.Exit(code)
	}
	os.Exit(run(os.Args[1:], cli.ProcessEnv()))
}

// Exit codes, in every command's help.
const (
	exitGood     = 0
	exitError    = 1
	exitUsage    = 2
	exitRed      = 3
	exitChanges  = 4
	exitCanceled = 130 // 128 + the number of the signal: 143 for TERM
)

// errShown says that an error was shown already.
var errShown = errors.New("shown")

func run(args []string, e *cli.Env) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stops := interrupt.New(ctx, cancel, e.AfterCtrlC())
	defer stops.Close()
	defer stops.Listen()()
	e.Stop, e.Interrupt = stops.Stop, stops
	// The write to a closed pipe returns an error, and the command ends in order.
	// signal.Ignore would be inherited by the programs of jobs.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	out := &interrupt.Output{To: e.Stdout, Gone: stops.ReaderGone}
	e.Stdout = out

	root := newRootCmd(e)
	root.SetArgs(args)
	err := cli.CommandLine(root.ExecuteContext(ctx))
	if err == nil {
		err = out.Lost()
	}
	code := exitCode(err)
	var child maskrun.ExitError
	if stops.Stop.Err() != nil && err != nil && !errors.As(err, &child) {
		code = cmp.Or(stops.ExitCode(), exitCanceled)
	}
	report(e, err)
	return code
}

func exitCode(err error) int {
	var usage errs.UsageError
	var child maskrun.ExitError
	switch {
	case err == nil:
		return exitGood
	case errors.As(err, &child):
		return int(child)
	case errors.Is(err, cli.ErrRed), errors.Is(err, stackrun.ErrFailed):
		return exitRed
	case errors.Is(err, stackrun.ErrChanges):
		return exitChanges
	case errors.As(err, &usage):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitCanceled
	default:
		return exitError
	}
}

// report prints what went wrong, unless the command did so itself.
func report(e *cli.Env, err error) {
	var list *diag.Failure
	err = besideExit(err)
	switch {
	case err == nil, wasShown(err):
	case errors.As(err, &list):
		e.PrintFindings(list.Findings, diag.SourceOf(err, e.Source))
	default:
		fmt.Fprintf(e.Stderr, "refline: %v%s\n", err, folderAdvice(e, err))
	}
}

// wasShown reports whether there is nothing more to say about an error.
func wasShown(err error) bool {
	return slices.ContainsFunc([]error{cli.ErrRed, errShown, stackrun.ErrFailed, stackrun.ErrRefused, stackrun.ErrChanges, maskrun.ErrReaderGone, interrupt.ErrReaderGone, context.Canceled},
		func(shown error) bool { return errors.Is(err, shown) })
}

// folderAdvice names the variable that moves a folder which cannot be written.
func folderAdvice(e *cli.Env, err error) string {
	var at *fs.PathError
	if !errors.As(err, &at) || strings.Contains(err.Error(), "REFLINE_") {
		return ""
	}
	for _, f := range []struct {
		name string
		dir  func() (string, error)
	}{{"REFLINE_CACHE_DIR", e.CacheDir}, {"REFLINE_STATE_DIR", e.StateDir}} {
		if dir, derr := f.dir(); derr == nil && (at.Path == dir || strings.HasPrefix(at.Path, dir+string(filepath.Separator)) || strings.HasPrefix(dir, at.Path)) {
			return "; set " + f.name + " to a folder that can be written and has room"
		}
	}
	return ""
}

// anywhere reports whether a command needs no folder: it works in one that was
// deleted.
func anywhere(cmd *cobra.Command) bool {
	return cmd.Name() == "version" || cmd.Name() == "help" || cmd.HasParent() && cmd.Parent().Name() == "completion"
}

func newRootCmd(e *cli.Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "refline",
		Short: "Run what is in a git repository at the ref you name",
		Long: `Refline runs pipelines (.gitlab-ci.yml, or Jsonnet that evaluates to one) and
scripts from the working tree or from any branch, tag or commit of a repository.`,
		Version:       cli.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	root.SetVersionTemplate("refline {{.Version}}\n")
	root.SetFlagErrorFunc(cli.FlagError)
	flags := root.PersistentFlags()
	flags.StringVarP(&e.Chdir, "directory", "C", "", "work as if started in this folder")
	flags.BoolVar(&e.NoColor, "no-color", false, "no colours; NO_COLOR does the same")
	flags.BoolVarP(&e.Quiet, "quiet", "q", false, "print results only")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := e.Enter(); err != nil && !anywhere(cmd) {
			return err
		}
		if !leavesRuns(cmd) {
			sweepKilled(cmd.Context(), e, 0)
		}
		return nil
	}
	host := jobHost(e)
	root.AddCommand(
		newRunCmd(e), newListCmd(e), newShowCmd(e), newExplainCmd(e), newLintCmd(e),
		newGraphCmd(e), newRenderCmd(e), newFmtCmd(e), newTestCmd(e), newRunsCmd(e), newCacheCmd(e), newVersionCmd(e), newLogsCmd(e),
		serve.NewServerCmd(e, host), remote.NewProjectCmd(e), remote.NewFlowCmd(e), newImageCmd(e), remote.NewScheduleCmd(e), remote.NewSlotCmd(e), remote.NewEnvironmentCmd(e), remote.NewRuntimeCmd(e), serve.NewRunnerCmd(e, host), remote.NewTokenCmd(e), remote.NewAuditCmd(e), serve.NewDemoCmd(e, host), remote.NewNotifyCmd(e), remote.NewLoginCmd(e), remote.NewLogoutCmd(e),
		newDoctorCmd(e), newMaskCmd(e), newScanCmd(e), newKeyCmd(e), newAgentCmd(e), newVarCmd(e), newStackCmd(e),
	)
	root.SetHelpCommand(cli.NewHelpCmd())
	describeCompletion(root)
	remote.CompleteServer(e, root)
	cli.OneGrammar(root)
	cli.Strict(root)
	return root
}
