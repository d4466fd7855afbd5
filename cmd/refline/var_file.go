package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/variable"
)

// varOptions say which file of variables is meant.
type varOptions struct {
	file string
	repo string
}

func (o *varOptions) bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.file, "file", "", "the file of variables (REFLINE_VARIABLES; default: the project's, in refline's state folder, outside of the repository)")
	f.StringVar(&o.repo, "repo", "", "the project of this repository instead of the working tree's")
	_ = cmd.MarkFlagFilename("file")
}

// varFile is a file of variables on this computer.
type varFile struct {
	*variable.File
	named bool // by the user; else it is the project's own
}

// varPath is where the variables are: where the user says, else in a file of
// the project that cannot be committed, since it is not in the repository.
func varPath(ctx context.Context, e *env, o varOptions) (path string, named bool, err error) {
	if o.file != "" {
		return e.path(o.file), true, nil
	}
	if file := e.getenv("REFLINE_VARIABLES"); file != "" {
		return e.path(file), true, nil
	}
	state, err := e.stateDir()
	if err != nil {
		return "", false, err
	}
	project, err := projectID(ctx, e, o.repo)
	return variable.ProjectPath(state, project), false, err
}

// projectID identifies a project: the same for every clone of a repository.
func projectID(ctx context.Context, e *env, repo string) (string, error) {
	dir, local := e.dir, true
	if repo != "" {
		dir, local = localRepository(e, repo)
	}
	if !local {
		return variable.ProjectOf(repo), nil
	}
	project, err := variable.ProjectIn(ctx, dir, e.environ())
	if err != nil && repo != "" {
		return variable.ProjectOf(dir), nil
	}
	return project, err
}

// identityFile holds this user's key for encrypted files.
func identityFile(e *env) (string, error) {
	state, err := e.stateDir()
	return filepath.Join(state, "variables.key"), err
}

// identities are the keys that open encrypted files.
func identities(e *env) (secret.Identities, error) {
	if e.getenv("REFLINE_VARIABLES_KEY") != "" {
		text, err := envSecret(e, "variable", "REFLINE_VARIABLES_KEY")
		if err != nil {
			return secret.Identities{}, err
		}
		return secret.ParseIdentities(text)
	}
	path, err := identityFile(e)
	if err != nil {
		return secret.Identities{}, err
	}
	return variable.Identities(path)
}

// openVars reads the variables. A project without a file has none; a file that
// was named must be there, unless it may be new.
func openVars(ctx context.Context, e *env, o varOptions, mayBeNew bool) (*varFile, error) {
	if !mayBeNew && !anyVars(e, o) {
		return &varFile{File: &variable.File{File: &secret.File{}}}, nil
	}
	path, named, err := varPath(ctx, e, o)
	if err != nil {
		return nil, err
	}
	keys, err := identities(e)
	if err != nil {
		return nil, err
	}
	f, err := variable.Open(path, keys, mayBeNew || !named)
	switch {
	case errs.Is(err, errs.Denied):
		return nil, errs.E(errs.Denied, "%w; a key is taken from REFLINE_VARIABLES_KEY, else from the one that refline var encrypt made", err)
	case err != nil:
		return nil, err
	}
	return &varFile{File: f, named: named}, nil
}

// anyVars reports cheaply whether there can be variables at all.
func anyVars(e *env, o varOptions) bool {
	if o.file != "" || e.getenv("REFLINE_VARIABLES") != "" {
		return true
	}
	state, err := e.stateDir()
	if err != nil {
		return false
	}
	return variable.AnyProject(state)
}

// changeVars changes the variables while no other refline does.
func changeVars(ctx context.Context, e *env, o varOptions, change func(*varFile) error) error {
	path, _, err := varPath(ctx, e, o)
	if err != nil {
		return err
	}
	state, err := e.stateDir()
	if err != nil {
		return err
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	release := context.AfterFunc(e.stop, cancel)
	unlock, err := variable.Lock(waiting, filepath.Join(state, "locks"), path, func() {
		e.notef("another refline is changing %s, perhaps in an editor; waiting for it", path)
	})
	release()
	if err != nil {
		return err
	}
	defer unlock()
	v, err := openVars(ctx, e, o, true)
	if err != nil {
		return err
	}
	if err := change(v); err != nil {
		return err
	}
	return v.save(ctx, e)
}

func (v *varFile) save(ctx context.Context, e *env) error {
	if v.named && len(v.Recipients) == 0 && variable.WouldBeCommitted(ctx, v.Path, e.environ()) {
		return errs.E(errs.Denied, "%s would be committed in clear text: encrypt it (refline var encrypt --file %s), or let git ignore it", v.Path, shellWord(v.Path))
	}
	return v.Write()
}
