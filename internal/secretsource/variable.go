package secretsource

import (
	"context"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/secret"
	"refline/internal/variable"
)

// Variables say which file of variables is meant.
type Variables struct {
	File string // "" is REFLINE_VARIABLES, else the project's own
	Repo string // the project of this repository; "" is that of the working tree
}

// VariableFile is a file of variables on this computer.
type VariableFile struct {
	*variable.File
	named bool // by the user; else it is the project's own
}

// locate is the path of the variables: the one that the user names, else that of the
// project's file, which cannot be committed, since it is not in the repository.
func (s *Source) locate(ctx context.Context, o Variables) (path string, named bool, err error) {
	if o.File != "" {
		return s.path(o.File), true, nil
	}
	if file := s.Getenv("REFLINE_VARIABLES"); file != "" {
		return s.path(file), true, nil
	}
	state, err := s.State()
	if err != nil {
		return "", false, err
	}
	project, err := s.project(ctx, o.Repo)
	return variable.ProjectPath(state, project), false, err
}

// project identifies a project: the same for every clone of a repository.
func (s *Source) project(ctx context.Context, repo string) (string, error) {
	dir, local := s.Dir, true
	if repo != "" {
		dir, local = s.Local(repo)
	}
	if !local {
		return variable.ProjectOf(repo), nil
	}
	project, err := variable.ProjectIn(ctx, dir, s.Environ())
	if err != nil && repo != "" {
		return variable.ProjectOf(dir), nil
	}
	return project, err
}

// identityFile holds this user's key for encrypted files.
func (s *Source) identityFile() (string, error) {
	state, err := s.State()
	return filepath.Join(state, "variables.key"), err
}

// OwnRecipient is the public half of this user's key for encrypted files, which is
// made at first use.
func (s *Source) OwnRecipient() (string, error) {
	path, err := s.identityFile()
	if err != nil {
		return "", err
	}
	return variable.OwnRecipient(path)
}

// identities are the keys that open encrypted files.
func (s *Source) identities() (secret.Identities, error) {
	if s.Getenv("REFLINE_VARIABLES_KEY") != "" {
		text, err := s.FromEnv("variable", "REFLINE_VARIABLES_KEY")
		if err != nil {
			return secret.Identities{}, err
		}
		return secret.ParseIdentities(text)
	}
	path, err := s.identityFile()
	if err != nil {
		return secret.Identities{}, err
	}
	return variable.Identities(path)
}

// Variables reads the variables. A project without a file has none; a file that the
// user names must exist.
func (s *Source) Variables(ctx context.Context, o Variables) (*VariableFile, error) {
	if !s.anyVariables(o) {
		return &VariableFile{File: &variable.File{File: &secret.File{}}}, nil
	}
	return s.openVariables(ctx, o, false)
}

// NewVariables is Variables, and a file that the user names may be new.
func (s *Source) NewVariables(ctx context.Context, o Variables) (*VariableFile, error) {
	return s.openVariables(ctx, o, true)
}

func (s *Source) openVariables(ctx context.Context, o Variables, mayBeNew bool) (*VariableFile, error) {
	path, named, err := s.locate(ctx, o)
	if err != nil {
		return nil, err
	}
	keys, err := s.identities()
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
	return &VariableFile{File: f, named: named}, nil
}

// anyVariables reports cheaply whether there can be variables at all.
func (s *Source) anyVariables(o Variables) bool {
	if o.File != "" || s.Getenv("REFLINE_VARIABLES") != "" {
		return true
	}
	state, err := s.State()
	return err == nil && variable.AnyProject(state)
}

// ChangeVariables changes the variables while no other refline does, and saves them.
func (s *Source) ChangeVariables(ctx context.Context, o Variables, change func(*VariableFile) error) error {
	path, _, err := s.locate(ctx, o)
	if err != nil {
		return err
	}
	state, err := s.State()
	if err != nil {
		return err
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	if s.Stop != nil {
		defer context.AfterFunc(s.Stop, cancel)()
	}
	unlock, err := variable.Lock(waiting, filepath.Join(state, "locks"), path, func() {
		s.notef("another refline is changing %s, perhaps in an editor; waiting for it", path)
	})
	if err != nil {
		return err
	}
	defer unlock()
	v, err := s.openVariables(ctx, o, true)
	if err != nil {
		return err
	}
	if err := change(v); err != nil {
		return err
	}
	if v.named && len(v.Recipients) == 0 && variable.WouldBeCommitted(ctx, v.Path, s.Environ()) {
		return errs.E(errs.Denied, "%s would be committed in clear text: encrypt it (refline var encrypt --file '%s'), or let git ignore it", v.Path, v.Path)
	}
	return v.Write()
}
