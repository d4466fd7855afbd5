package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/lock"
	"refline/internal/secret"
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
	*secret.File
	path  string
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
	project, err := projectKey(ctx, e, o.repo)
	return filepath.Join(state, "variables", project+".yml"), false, err
}

// projectKey names a project's file: the same for every clone of a repository.
func projectKey(ctx context.Context, e *env, repo string) (string, error) {
	id := repo
	dir, local := e.dir, true
	if repo != "" {
		dir, local = localRepository(e, repo)
	}
	if local {
		id = dir
		w, err := git.Open(ctx, dir, e.environ())
		switch {
		case err == nil && w.RemoteURL != "":
			id = w.RemoteURL
		case err == nil:
			id = w.Root
		case repo == "":
			return "", err
		}
	}
	if h, err := parseHost(id); err == nil && h.path != "" {
		id = h.name + "/" + strings.TrimSuffix(strings.Trim(h.path, "/"), ".git")
	}
	sum := sha256.Sum256([]byte(id))
	name := strings.Map(func(r rune) rune {
		if !keyName("x" + string(r)) {
			return '-'
		}
		return r
	}, filepath.Base(id))
	return name + "-" + hex.EncodeToString(sum[:6]), nil
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
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return secret.Identities{}, nil
	}
	if err != nil {
		return secret.Identities{}, errs.E(errs.Denied, "%s: %w", path, unwrapPath(err))
	}
	return secret.ParseIdentities(text)
}

// openVars reads the variables. A project without a file has none; a file that
// was named must be there, unless it may be new.
func openVars(ctx context.Context, e *env, o varOptions, mayBeNew bool) (*varFile, error) {
	if !mayBeNew && !anyVars(e, o) {
		return &varFile{File: &secret.File{}}, nil
	}
	path, named, err := varPath(ctx, e, o)
	if err != nil {
		return nil, err
	}
	v := &varFile{File: &secret.File{}, path: path, named: named}
	keys, err := identities(e)
	if err != nil {
		return nil, err
	}
	f, err := secret.Open(path, keys)
	switch {
	case err == nil:
		v.File = f
		return v, nil
	case errs.Is(err, errs.NotFound) && (mayBeNew || !named):
		return v, nil
	case errs.Is(err, errs.Denied):
		return nil, errs.E(errs.Denied, "%w; a key is taken from REFLINE_VARIABLES_KEY, else from the one that refline var encrypt made", err)
	}
	return nil, err
}

// anyVars tells, at the cost of a look, whether there can be variables at all.
func anyVars(e *env, o varOptions) bool {
	if o.file != "" || e.getenv("REFLINE_VARIABLES") != "" {
		return true
	}
	state, err := e.stateDir()
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join(state, "variables"))
	return err == nil
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
	unlock, err := lockVars(ctx, e, filepath.Join(state, "locks"), path)
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

// lockVars waits until no other refline changes the file, and says so when that
// takes long: an editor may be open.
func lockVars(ctx context.Context, e *env, dir, path string) (unlock func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.stop, cancel)()
	name := "variables\x00" + path
	soon, giveUp := context.WithTimeout(ctx, time.Second)
	defer giveUp()
	unlock, err = lock.WaitName(soon, dir, name)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		e.notef("another refline is changing %s, perhaps in an editor; waiting for it", path)
		return lock.WaitName(ctx, dir, name)
	}
	return unlock, err
}

func (v *varFile) save(ctx context.Context, e *env) error {
	if v.named && len(v.Recipients) == 0 && wouldBeCommitted(ctx, e, v.path) {
		return errs.E(errs.Denied, "%s would be committed in clear text: encrypt it (refline var encrypt --file %s), or let git ignore it", v.path, shellWord(v.path))
	}
	if err := os.MkdirAll(filepath.Dir(v.path), 0o700); err != nil {
		return errs.E(errs.Denied, "%s: %w", filepath.Dir(v.path), unwrapPath(err))
	}
	return v.Save(v.path)
}

// wouldBeCommitted tells that a path is in a working tree and not ignored.
func wouldBeCommitted(ctx context.Context, e *env, path string) bool {
	dir := filepath.Dir(path)
	w, err := git.Open(ctx, dir, e.environ())
	if err != nil || !w.InRepository() {
		return false
	}
	cmd := exec.CommandContext(ctx, "git", "check-ignore", "-q", "--", path)
	cmd.Dir, cmd.Env = dir, e.environ()
	return cmd.Run() != nil
}
