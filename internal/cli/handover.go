package cli

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/termview"
)

// serverProgram runs the commands that need what a server is made of. It is a program
// of its own, so that the others start fast; see docs/adr/0011-light-to-start.md.
const serverProgram = "refline-server"

// OfServer says what the commands of the other program do, by their names.
var OfServer = map[string]string{
	"server":  "Run the server: flows, schedules, runs, and a runner",
	"runner":  "Run the jobs of a server on this computer",
	"demo":    "Show a server, a flow and its runs in half a minute",
	"image":   "Build container images that hold flows, without a container engine",
	"runtime": "List and change the runtimes of a server",
}

// HandOver returns commands in whose place the other program runs, with the whole
// command line. args are those of this process.
func HandOver(e *Env, args []string) []*cobra.Command {
	var list []*cobra.Command
	for name, short := range OfServer {
		list = append(list, &cobra.Command{
			Use: name, Short: short, DisableFlagParsing: true,
			PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
			RunE:              func(*cobra.Command, []string) error { return handOver(e, args) },
			ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				_ = handOver(e, args)
				return nil, cobra.ShellCompDirectiveNoFileComp
			},
		})
		list[len(list)-1].SetHelpFunc(func(*cobra.Command, []string) {
			if err := handOver(e, args); err != nil {
				e.Report(err)
			}
		})
	}
	return list
}

// handOver puts the other program in the place of this one.
func handOver(e *Env, args []string) error {
	path, err := ServerProgram()
	if err != nil {
		return err
	}
	return replaceProcess(path, args, e)
}

// ServerProgram is the path of the other program: beside this one, else in PATH.
func ServerProgram() (string, error) {
	name := serverProgram
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	self, err := os.Executable()
	if err != nil {
		self = os.Args[0]
	}
	places := []string{filepath.Join(filepath.Dir(self), name)}
	if real, err := filepath.EvalSymlinks(self); err == nil {
		places = append(places, filepath.Join(filepath.Dir(real), name))
	}
	for _, path := range places {
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path, nil
		}
	}
	path, err := exec.LookPath(serverProgram)
	switch {
	case err == nil:
		return path, nil
	case errors.Is(err, fs.ErrPermission):
		return "", errs.E(errs.Denied, "%s may not be executed; chmod +x it", serverProgram)
	}
	return "", errs.E(errs.NotFound, "this command is in the program %s, which is neither beside %s nor in PATH; put it there (make builds both into bin/)", serverProgram, termview.ShellWord(self))
}

// ClientProgram is the path of refline for a process of refline-server: jobs use its
// commands ($REFLINE_BIN). "" if it is not beside this program.
func ClientProgram() string {
	self, err := os.Executable()
	if err != nil {
		return ""
	}
	base := filepath.Base(self)
	if !strings.HasPrefix(base, serverProgram) {
		return self
	}
	path := filepath.Join(filepath.Dir(self), "refline"+strings.TrimPrefix(base, serverProgram))
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
