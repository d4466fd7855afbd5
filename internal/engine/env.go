package engine

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// jobPaths are the folders of one job as its commands see them.
type jobPaths struct {
	project string // CI_PROJECT_DIR
	builds  string // CI_BUILDS_DIR
	temp    string // where file variables and the events file are
	scripts string // what is run; not for the job to write
}

// machineVariables are those that only the machine knows. They have the lowest
// precedence.
func machineVariables(in JobInput, paths jobPaths) []pipeline.Variable {
	v := func(name, value string) pipeline.Variable {
		return pipeline.Variable{Name: name, Value: value, Raw: true}
	}
	vars := []pipeline.Variable{
		v("CI_PROJECT_DIR", paths.project),
		v("CI_BUILDS_DIR", paths.builds),
		v("CI_JOB_ID", in.ID),
		v("CI_JOB_STATUS", "running"),
		v("CI_JOB_STARTED_AT", in.Started.UTC().Format("2006-01-02T15:04:05Z")),
		v("CI_CONCURRENT_ID", strconv.Itoa(in.Slot)),
		v("CI_CONCURRENT_PROJECT_ID", strconv.Itoa(in.Slot)),
		v("CI_RUNNER_ID", in.Runner.ID),
		v("CI_RUNNER_DESCRIPTION", in.Runner.Description),
		v("CI_RUNNER_TAGS", tagList(in.Runner.Tags)),
		v("CI_RUNNER_VERSION", in.Runner.Version),
		v("CI_RUNNER_EXECUTABLE_ARCH", runnerArch),
		v("CI_JOB_TIMEOUT", strconv.Itoa(int(in.timeout()/time.Second))),
		v("REFLINE_RUN", in.RunID),
		v("REFLINE_EVENTS", paths.temp+"/"+eventsFile),
	}
	if in.Job.Image != nil {
		vars = append(vars, pipeline.Variable{Name: "CI_JOB_IMAGE", Value: in.Job.Image.Name})
	}
	if in.Executor.Isolated() {
		vars = append(vars, v("CI_DISPOSABLE_ENVIRONMENT", "true"))
		// The container's user is another than the owner of the files: git
		// would refuse to work there.
		return append(vars, v("GIT_CONFIG_COUNT", "1"), v("GIT_CONFIG_KEY_0", "safe.directory"), v("GIT_CONFIG_VALUE_0", paths.project))
	}
	if in.Binary != "" {
		vars = append(vars, v("REFLINE_BIN", in.Binary))
	}
	return vars
}

// tagList gives tags as a JSON array, as on GitLab.
func tagList(tags []string) string {
	list, err := json.Marshal(append([]string{}, tags...))
	if err != nil {
		return "[]"
	}
	return string(list)
}

// mostEnv is Linux's MAX_ARG_STRLEN: what one variable may have with its name.
const mostEnv = 128 << 10

// environment writes file variables into temp (a folder of the host, seen by
// the job as shown) and gives KEY=value for all, expanded among each other in
// GitLab's two steps; the third is the shell's.
func environment(vars []pipeline.Variable, temp, shown string) ([]string, error) {
	expanded, err := pipeline.ExpandAll(vars)
	if err != nil {
		return nil, err
	}
	expanded = pipeline.ResolveAll(expanded, func(name string) string { return shown + "/" + name })
	env := make([]string, 0, len(expanded))
	for _, v := range expanded {
		if v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.IndexByte(v.Value, 0) >= 0 {
			return nil, errs.E(errs.Invalid, "variable %q cannot be given to a process (a name without \"=\", no zero bytes)", v.Name)
		}
		value := v.Value
		if v.File {
			if !fileName(v.Name) {
				return nil, errs.E(errs.Invalid, "the file variable %q needs a name of letters, digits and _", v.Name)
			}
			if err := os.WriteFile(filepath.Join(temp, v.Name), []byte(v.Value), 0o600); err != nil {
				return nil, err
			}
			value = shown + "/" + v.Name
		}
		if runtime.GOOS == "linux" && len(v.Name)+len(value)+2 > mostEnv {
			return nil, errs.E(errs.Invalid, "variable %q has %d bytes, and a process takes at most %d in one; make it a file variable, or read a file of the project", v.Name, len(value), mostEnv-len(v.Name)-2)
		}
		env = append(env, v.Name+"="+value)
	}
	return env, nil
}

func fileName(s string) bool {
	for _, c := range []byte(s) {
		if c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// hostEnvironment is what a job on the host inherits of the user's own
// environment: all but what ties git to another repository (set inside a git
// hook) and what would look like a job's own variables.
func hostEnvironment(environ []string) []string {
	out := make([]string, 0, len(environ))
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY",
			"GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_QUARANTINE_PATH",
			"BASH_ENV", "ENV", "OLDPWD", "PWD":
			continue
		}
		if strings.HasPrefix(name, "CI_") || strings.HasPrefix(name, "GITLAB_") || strings.HasPrefix(name, "REFLINE_") {
			continue
		}
		out = append(out, kv)
	}
	return out
}
