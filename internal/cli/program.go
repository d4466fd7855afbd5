package cli

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

	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/interrupt"
	"refline/internal/maskrun"
)

// Exit codes, in every command's help.
const (
	ExitGood     = 0
	ExitError    = 1
	ExitUsage    = 2
	ExitRed      = 3
	ExitChanges  = 4
	ExitCanceled = 130 // 128 + the number of the signal: 143 for TERM
)

// Run runs the command line of a program, and returns its exit code. root builds its
// commands.
func Run(args []string, e *Env, root func(*Env) *cobra.Command) int {
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

	cmd := root(e)
	cmd.SetArgs(args)
	err := CommandLine(cmd.ExecuteContext(ctx))
	if err == nil {
		err = out.Lost()
	}
	code := exitCode(err)
	var child maskrun.ExitError
	if stops.Stop.Err() != nil && err != nil && !errors.As(err, &child) {
		code = cmp.Or(stops.ExitCode(), ExitCanceled)
	}
	e.Report(err)
	return code
}

func exitCode(err error) int {
	var usage errs.UsageError
	var child maskrun.ExitError
	switch {
	case err == nil:
		return ExitGood
	case errors.As(err, &child):
		return int(child)
	case errors.Is(err, ErrRed):
		return ExitRed
	case errors.Is(err, ErrChanges):
		return ExitChanges
	case errors.As(err, &usage):
		return ExitUsage
	case errors.Is(err, context.Canceled):
		return ExitCanceled
	default:
		return ExitError
	}
}

// Report prints what went wrong, unless the command did so itself.
func (e *Env) Report(err error) {
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
	return slices.ContainsFunc([]error{ErrRed, ErrShown, ErrChanges, maskrun.ErrReaderGone, interrupt.ErrReaderGone, context.Canceled},
		func(shown error) bool { return errors.Is(err, shown) })
}

// folderAdvice names the variable that moves a folder which cannot be written.
func folderAdvice(e *Env, err error) string {
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

// besideExit is what there is to say of an error: of a command's exit code
// nothing, it has spoken for itself.
func besideExit(err error) error {
	var code maskrun.ExitError
	if joined, ok := err.(interface{ Unwrap() []error }); ok && errors.As(err, &code) {
		var rest []error
		for _, e := range joined.Unwrap() {
			rest = append(rest, besideExit(e))
		}
		return errors.Join(rest...)
	}
	if errors.As(err, &code) {
		return nil
	}
	return err
}

// NewRoot returns the command that all others are below, with the flags that they
// share.
func NewRoot(e *Env, long string) *cobra.Command {
	root := &cobra.Command{
		Use:           "refline",
		Short:         "Run what is in a git repository at the ref you name",
		Long:          long,
		Version:       Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(e.Stdout)
	root.SetErr(e.Stderr)
	root.SetVersionTemplate("refline {{.Version}}\n")
	root.SetFlagErrorFunc(FlagError)
	flags := root.PersistentFlags()
	flags.StringVarP(&e.Chdir, "directory", "C", "", "work as if started in this folder")
	flags.BoolVar(&e.NoColor, "no-color", false, "no colours; NO_COLOR does the same")
	flags.BoolVarP(&e.Quiet, "quiet", "q", false, "print results only")
	root.SetHelpCommand(NewHelpCmd())
	return root
}
