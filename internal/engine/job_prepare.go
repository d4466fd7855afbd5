package engine

import (
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// prepare makes the folders, the environment, the workspace, and fills it with
// caches and artifacts.
func (a *attempt) prepare(ctx context.Context) error {
	a.temp = filepath.Join(a.Dir, "tmp")
	if err := os.MkdirAll(a.temp, 0o700); err != nil {
		return err
	}
	a.workspace = filepath.Join(a.Dir, a.folderName())
	if a.InPlace != "" {
		a.workspace = a.InPlace
	}
	a.setPaths()
	err := a.setClonePath()
	if err != nil {
		return err
	}
	if err := a.prepareResults(ctx); err != nil {
		return err
	}
	vars := pipeline.Merge(machineVariables(a.JobInput, a.paths), a.Variables)
	if dir := a.resultsFolder(); dir != "" {
		vars = append(vars, pipeline.Variable{Name: "REFLINE_RESULTS", Value: dir, Raw: true})
	}
	if a.env, err = environment(vars, a.temp, a.paths.temp); err != nil {
		return err
	}
	a.lookup = lookupOf(a.env)
	a.pythonPackage()
	if err := a.writeScripts(); err != nil {
		return err
	}
	if err := a.startAgent(); err != nil {
		return err
	}
	a.noteSecrets()
	if err := os.WriteFile(filepath.Join(a.temp, eventsFile), nil, 0o666); err != nil {
		return err
	}
	if a.events, err = os.OpenRoot(a.temp); err != nil {
		return err
	}
	if err := a.hook(ctx); err != nil {
		return err
	}
	if a.InPlace == "" {
		if err := a.getSources(ctx); err != nil {
			return err
		}
		if err := a.restoreCaches(ctx); err != nil {
			return err
		}
	}
	return a.takeArtifacts(ctx)
}

// folderName is the name of the workspace: that of the project, as on GitLab,
// since some tools take their folder's name for the project's.
func (a *attempt) folderName() string {
	const otherwise = "work"
	name := ""
	for _, v := range a.Variables {
		if v.Name == "CI_PROJECT_NAME" {
			name = v.Value
		}
	}
	safe := strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.") == "" && !strings.HasPrefix(name, ".")
	switch {
	case name == "", !safe, len(name) > 100, name == filepath.Base(a.temp), name == "scripts", name == "before":
		return otherwise
	}
	return name
}

// getSources fills the workspace by GIT_STRATEGY: with the files of the commit,
// or with nothing.
func (a *attempt) getSources(ctx context.Context) (err error) {
	strategy := a.lookup["GIT_STRATEGY"]
	switch {
	case strategy == "none", strategy == "empty", a.ImageSource != "":
		a.clone = &workspace.Workspace{Dir: a.workspace}
		return os.Mkdir(a.workspace, 0o777)
	}
	if a.Tree == nil {
		return errs.E(errs.Invalid, "job %q has no files to start from, and does not say GIT_STRATEGY: none", a.Job.Name)
	}
	clone := a.Tree.Clone
	if a.Executor.Isolated() || a.keeps() {
		clone = a.Tree.CloneFiles // the engine of containers does not see our mounts, and they cannot be moved
	}
	a.clone, err = clone(ctx, a.workspace)
	return err
}

// hook runs hooks:pre_get_sources_script, before there are sources: in a
// sandbox of its own over an empty folder.
func (a *attempt) hook(ctx context.Context) error {
	if len(a.Job.PreGetSources) == 0 {
		return nil
	}
	ctx, cancel := WithStop(ctx, a.Stop)
	defer cancel()
	empty := filepath.Join(a.Dir, "before")
	if err := os.Mkdir(empty, 0o777); err != nil {
		return err
	}
	spec := a.spec(empty)
	spec.Services = nil
	spec.Mounts[0].Back = []string{} // what is made there is not read
	sandbox, err := a.sandboxOf(ctx, spec)
	if err != nil {
		return err
	}
	dir := a.paths.project
	if !a.Executor.Isolated() {
		dir = empty
	}
	code, err := a.execIn(ctx, sandbox, dir, scriptHook, nil)
	if cerr := sandbox.Close(ctx); err == nil {
		err = cerr
	}
	if err == nil && code != 0 {
		err = errs.E(errs.Invalid, "hooks:pre_get_sources_script ended with exit code %d", code)
	}
	return err
}

func (a *attempt) setPaths() {
	if !a.Executor.Isolated() {
		a.paths = jobPaths{project: a.workspace, builds: filepath.Dir(a.workspace), temp: a.temp, scripts: a.temp}
		if a.InPlace == "" {
			a.paths.scripts = "../tmp" // short: shells put it before their errors
		}
		return
	}
	project := "/builds/project"
	for _, v := range a.Variables {
		if v.Name == "CI_PROJECT_PATH" && v.Value != "" {
			project = "/builds/" + v.Value
		}
	}
	a.paths = isolatedPaths(project)
}

func isolatedPaths(project string) jobPaths {
	return jobPaths{project: project, builds: "/builds", temp: project + ".tmp", scripts: project + ".scripts"}
}

// setClonePath puts the project where GIT_CLONE_PATH wants it in a container. On
// the host no folder is free for every job.
func (a *attempt) setClonePath() error {
	const name = "GIT_CLONE_PATH"
	if !a.Executor.Isolated() || !slices.ContainsFunc(a.Variables, func(v pipeline.Variable) bool { return v.Name == name && v.Value != "" }) {
		return nil
	}
	vars, err := pipeline.ExpandAll(pipeline.Merge(machineVariables(a.JobInput, a.paths), a.Variables))
	if err != nil {
		return err
	}
	lookup := pipeline.Lookup(vars)
	written, _ := lookup(name)
	at := path.Clean(pipeline.Resolve(written, lookup))
	if !strings.HasPrefix(at, a.paths.builds+"/") {
		return errs.E(errs.Invalid, "%s=%s is not inside CI_BUILDS_DIR, which is %s", name, written, a.paths.builds)
	}
	a.paths = isolatedPaths(at)
	return nil
}

// noteSecrets names secrets and tokens that GitLab would fetch or sign, and that
// were not given here.
func (a *attempt) noteSecrets() {
	for _, s := range a.Job.Secrets {
		if _, ok := a.lookup[s.Name]; !ok {
			a.note(fmt.Sprintf("secret %s is in a store that only a server reaches; give it with --secret %s", s.Name, s.Name))
		}
	}
	for _, t := range a.Job.IDTokens {
		if _, ok := a.lookup[t.Name]; !ok {
			a.note(fmt.Sprintf("token %s is signed by a server; give one with --secret %s", t.Name, t.Name))
		}
	}
}

func lookupOf(env []string) map[string]string {
	m := make(map[string]string, len(env))
	for _, kv := range env {
		name, value, _ := strings.Cut(kv, "=")
		m[name] = value
	}
	return m
}

// expand replaces variables as GitLab's runner does: $$ is a dollar, what is
// not set is empty.
func (a *attempt) expand(s string) string {
	return pipeline.Resolve(s, func(name string) (string, bool) {
		v, ok := a.lookup[name]
		return v, ok
	})
}

func (a *attempt) section(name, title string, f func() error) error {
	io.WriteString(a.log, sectionStart(name, title, time.Now().Unix()))
	err := f()
	io.WriteString(a.log, sectionEnd(name, time.Now().Unix()))
	return err
}

func (a *attempt) takeArtifacts(ctx context.Context) error {
	if len(a.Take) == 0 || a.Artifacts == nil || a.InPlace != "" {
		return nil // in place they are where they were made
	}
	return a.section("download_artifacts", "Taking artifacts", func() error {
		into, err := os.OpenRoot(a.workspace)
		if err != nil {
			return err
		}
		defer into.Close()
		for _, key := range a.Take {
			if err := a.Artifacts.Restore(ctx, key, into); err != nil {
				return fmt.Errorf("restore artifacts: %w", err)
			}
		}
		return nil
	})
}

// start brings the sandbox up and makes the machine ready for the script.
func (a *attempt) start(ctx context.Context) error {
	ctx, cancel := WithStop(ctx, a.Stop)
	defer cancel()
	hint := ""
	if a.Executor.Isolated() {
		var err error
		if hint, err = a.imageNames(); err != nil {
			return err
		}
	}
	var err error
	if a.sandbox, err = a.sandboxOf(ctx, a.spec(a.workspace)); err != nil {
		if hint != "" && errs.Is(err, errs.Invalid) {
			err = fmt.Errorf("%w; %s", err, hint)
		}
		return err
	}
	if err := a.sourcesOfImage(ctx); err != nil {
		return err
	}
	return a.pythonEnv(ctx)
}

// pythonPackage makes the Python package ready. A job that needs it finds out itself.
func (a *attempt) pythonPackage() {
	if a.PythonPackage == nil {
		return
	}
	var err error
	if a.python, err = a.PythonPackage(); err != nil {
		a.note(fmt.Sprintf("the Python package is not there for the job: %v", err))
	}
}

// pythonFolder is the folder of the Python package as the job sees it.
func (a *attempt) pythonFolder() string {
	if a.python == "" || !a.Executor.Isolated() {
		return a.python
	}
	return a.paths.project + ".python/" + filepath.Base(a.python)
}

// pythonEnv makes what a Python script needs, and puts it first in PATH.
func (a *attempt) pythonEnv(ctx context.Context) error {
	switch {
	case a.Job.Python == "" || a.PythonEnv == nil:
		return nil
	case a.Executor.Isolated():
		a.note("dependencies of the script are taken from the image, not installed")
		return nil
	}
	env := append(hostEnvironment(a.Environ), a.env...)
	bin, err := a.PythonEnv(ctx, a.workspace, a.Job.Python, a.log, env)
	if err == nil && bin != "" {
		a.env = append(a.env, "PATH="+bin+string(os.PathListSeparator)+lookupOf(env)["PATH"])
	}
	return err
}

func (a *attempt) sandboxOf(ctx context.Context, spec executor.Spec) (executor.Sandbox, error) {
	sandbox, err := a.Executor.Start(ctx, spec)
	switch {
	case err == nil:
		return sandbox, nil
	case errs.Is(err, errs.NotFound) || errs.Is(err, errs.Denied):
		return nil, &reasonError{pipeline.ReasonImagePull, err}
	default:
		return nil, &reasonError{pipeline.ReasonRunnerSystemFailure, err}
	}
}

// spec is what the job needs around it, with its sources in workspace.
func (a *attempt) spec(workspace string) executor.Spec {
	spec := executor.Spec{RunID: a.RunID, JobID: a.ID, Log: a.log, Env: a.openEnv(), DockerAuthConfig: a.lookup["DOCKER_AUTH_CONFIG"]}
	if a.Job.Image != nil {
		spec.Image = a.image(*a.Job.Image)
	}
	for _, s := range a.Job.Services {
		spec.Services = append(spec.Services, a.service(s))
	}
	spec.Mounts = []executor.Mount{
		{Source: workspace, Target: a.paths.project, Back: a.readAfter()},
		{Source: a.temp, Target: a.paths.temp, Back: []string{eventsFile}, Live: true},
		{Source: a.scripts, Target: a.paths.scripts, ReadOnly: true},
	}
	if a.results != "" && a.Executor.Isolated() {
		spec.Mounts = append(spec.Mounts, executor.Mount{Source: a.results, Target: a.resultsFolder()})
	}
	if a.python != "" && a.Executor.Isolated() {
		spec.Mounts = append(spec.Mounts, executor.Mount{Source: a.python, Target: a.pythonFolder(), ReadOnly: true, Shared: true})
	}
	for _, dir := range a.ReadOnly {
		spec.Mounts = append(spec.Mounts, executor.Mount{Source: dir, Target: dir, ReadOnly: true, Shared: true})
	}
	return spec
}

// openEnv is the job's environment without what holds a secret.
func (a *attempt) openEnv() []string {
	return slices.DeleteFunc(slices.Clone(a.env), func(kv string) bool { return a.Secrets.String(kv) != kv })
}

// image expands what GitLab's runner does: names and users, not commands, which
// the container's own shell reads.
func (a *attempt) image(i pipeline.Image) executor.Image {
	return executor.Image{
		Name: a.expand(i.Name), Entrypoint: i.Entrypoint, PullPolicy: i.PullPolicy,
		Platform: a.expand(i.Platform), User: a.expand(i.User),
	}
}

func (a *attempt) service(s pipeline.Service) executor.Service {
	out := executor.Service{Image: a.image(s.Image), Command: s.Command}
	if strings.Trim(out.Name, ":/@") == "" {
		out.Name = s.Name // if it is not started, it is named all the same
	}
	for _, alias := range s.Aliases {
		out.Aliases = append(out.Aliases, a.expand(alias))
	}
	// A service sees the job's variables and, before them, its own.
	out.Env = append(out.Env, a.env...)
	for _, v := range s.Variables {
		value := v.Value
		if !v.Raw {
			value = a.expand(value)
		}
		out.Env = append(out.Env, v.Name+"="+value)
	}
	return out
}
