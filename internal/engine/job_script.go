package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"refline/internal/pipeline"
)

// The names of the scripts of a job.
const (
	scriptMain  = "script.sh"
	scriptAfter = "after_script.sh"
	scriptHook  = "pre_get_sources.sh"
)

func scriptStep(i int) string { return fmt.Sprintf("step%d.sh", i) }

// writeScripts writes everything that will be run before anything is: a job
// could put a link or a pipe in the way of a later write, so none is made where
// it can reach. An isolated sandbox sees the folder read-only; on the host they
// are the user's own, and one folder less matters if jobs are many and small.
func (a *attempt) writeScripts() error {
	a.scripts = a.temp
	mode := os.FileMode(0o700)
	if a.Executor.Isolated() {
		mode = 0o755 // the image decides who runs them; the folder above is closed to others
		a.scripts = filepath.Join(a.Dir, "scripts")
		if err := os.Mkdir(a.scripts, mode); err != nil {
			return err
		}
		if err := os.Chmod(a.scripts, mode); err != nil {
			return err
		}
	}
	begin := ""
	if dir := a.pythonFolder(); dir != "" {
		begin = pythonPath(dir)
	}
	if trace, err := strconv.ParseBool(a.lookup["CI_DEBUG_TRACE"]); err == nil && trace {
		begin += tracing
	}
	for name, entries := range a.scriptEntries() {
		path := filepath.Join(a.scripts, name)
		if err := os.WriteFile(path, []byte(shellScript(begin, entries)), mode); err != nil {
			return err
		}
		if !a.Executor.Isolated() {
			continue
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			return err
		}
	}
	return nil
}

func (a *attempt) scriptEntries() map[string][]string {
	all := map[string][]string{}
	if len(a.Job.PreGetSources) > 0 {
		all[scriptHook] = a.Job.PreGetSources
	}
	if len(a.Job.AfterScript) > 0 {
		all[scriptAfter] = a.Job.AfterScript
	}
	for i, s := range a.Job.Run {
		all[scriptStep(i)] = []string{s.Script}
	}
	if len(a.Job.Run) == 0 {
		all[scriptMain] = append(append([]string{}, a.Job.BeforeScript...), a.Job.Script...)
	}
	return all
}

// unsupported is the reason why the steps of run: cannot be run here, before
// any of them is.
func unsupported(steps []pipeline.RunEntry) string {
	for _, s := range steps {
		if s.Script == "" {
			return fmt.Sprintf("step %q is in another repository or is a function, which needs GitLab's step runner; only steps with script run here", s.Name)
		}
	}
	return ""
}
