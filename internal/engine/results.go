package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"refline/internal/artifact"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// A job may keep the results of its tasks in the folder $REFLINE_RESULTS, so that a
// retry of the job need not run them again. The engine moves the folder from attempt to
// attempt and does not know what is in it, except that the file "results" is appended
// to, and that what an earlier attempt kept is in "earlier".
const (
	resultsFile    = "results"
	earlierResults = "earlier"
	maxResults     = 2 << 30 // bytes of the file with what earlier attempts kept
	keepResultTime = time.Minute
)

// prepareResults makes the folder, with what an earlier attempt kept.
func (a *attempt) prepareResults(ctx context.Context) error {
	if a.KeepResults == "" || a.Artifacts == nil {
		return nil
	}
	a.results = filepath.Join(a.Dir, "results")
	// The image decides who writes here; the folder above is closed to others.
	for _, dir := range []string{a.results, filepath.Join(a.results, earlierResults)} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o777); err != nil {
			return err
		}
	}
	if a.TakeResults == "" {
		return nil
	}
	into, err := os.OpenRoot(filepath.Join(a.results, earlierResults))
	if err != nil {
		return err
	}
	defer into.Close()
	err = a.Artifacts.Restore(ctx, a.TakeResults, into)
	if err != nil && ctx.Err() == nil {
		a.note(fmt.Sprintf("the results of the earlier attempt are not there, so every task runs again: %v", err))
		return nil
	}
	return err
}

// resultsFolder is the folder as the job sees it.
func (a *attempt) resultsFolder() string {
	if a.results == "" || !a.Executor.Isolated() {
		return a.results
	}
	return a.paths.project + ".results"
}

// keepResults keeps what the tasks of a job that is not green left. That it fails does
// not change the job: its tasks run again.
func (a *attempt) keepResults(ctx context.Context, res *JobResult) {
	if a.results == "" || res.Status == pipeline.StatusSuccess {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepResultTime)
	defer cancel()
	err := a.sandbox.Close(ctx) // what it wrote must be ours
	if err == nil {
		err = mergeResults(a.results)
	}
	if err == nil {
		var kept *artifact.Collection
		kept, err = artifact.Keep(ctx, a.Artifacts, a.KeepResults, artifact.Request{
			Workspace: a.results, Artifacts: &pipeline.Artifacts{Paths: []string{"*"}, When: pipeline.WhenAlways}, Move: true,
		})
		res.Results = err == nil && !kept.Empty()
	}
	if err != nil {
		a.note(fmt.Sprintf("the results of tasks are not kept: %v", err))
	}
}

// mergeResults adds what earlier attempts kept to what this one did. The job could put
// anything in the place of these files, so nothing outside of the folder is followed.
func mergeResults(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), earlierResults)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return errs.E(errs.Invalid, "what the job put in the place of %s: %w", earlierResults, err)
	}
	for _, e := range entries {
		from := earlierResults + "/" + e.Name()
		switch _, err := root.Lstat(e.Name()); {
		case !e.Type().IsRegular():
		case e.Name() == resultsFile:
			if err := appendFile(root, resultsFile, from); err != nil {
				return err
			}
		case errors.Is(err, fs.ErrNotExist):
			if err := root.Rename(from, e.Name()); err != nil {
				return err
			}
		}
	}
	return workspace.RemoveAll(filepath.Join(dir, earlierResults))
}

// appendFile appends a regular file to another one.
func appendFile(root *os.Root, to, from string) error {
	src, err := root.OpenFile(from, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer src.Close()
	if info, err := root.Lstat(to); err == nil && !info.Mode().IsRegular() {
		return errs.E(errs.Invalid, "%s is not a regular file", to)
	}
	dst, err := root.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_APPEND|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	defer dst.Close()
	for _, f := range []*os.File{src, dst} {
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return errors.Join(err, errs.E(errs.Invalid, "%s is not a regular file", to))
		}
	}
	_, err = io.Copy(dst, io.LimitReader(src, maxResults))
	return err
}
