package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// KeepWorkspace says where a job's workspace goes when the job has ended.
type KeepWorkspace struct {
	Dir    string // a folder on the file system of JobInput.Dir; empty: it is removed
	Passed bool   // keep that of a job that succeeded too
}

// keeps reports whether the workspace may have to stay as it is.
func (a *attempt) keeps() bool { return a.KeepWorkspace.Dir != "" && a.InPlace == "" }

// keepWorkspace moves the workspace to where it is kept. What goes wrong is a
// note: the job is as it is.
func (a *attempt) keepWorkspace(ctx context.Context, res *JobResult) {
	if !a.keeps() || a.clone == nil || res.Status == pipeline.StatusSuccess && !a.KeepWorkspace.Passed {
		return
	}
	dst, err := a.moveWorkspace(context.WithoutCancel(ctx))
	if err != nil {
		a.note(fmt.Sprintf("workspace not kept: %v", err))
		return
	}
	a.clone, res.Workspace = nil, dst
	a.note("workspace kept: " + dst)
}

func (a *attempt) moveWorkspace(ctx context.Context) (string, error) {
	if a.sandbox != nil {
		// What the sandbox wrote must be ours, and back from another computer.
		if err := a.sandbox.Close(ctx); err != nil {
			return "", err
		}
	}
	dst := filepath.Join(a.KeepWorkspace.Dir, a.ID, filepath.Base(a.workspace))
	if err := os.MkdirAll(filepath.Dir(dst), 0o700); err != nil {
		return "", err
	}
	if err := os.Rename(a.clone.Dir, dst); err != nil {
		_ = workspace.RemoveAll(filepath.Dir(dst))
		return "", errs.E(errs.KindOf(err), "%w", err)
	}
	return dst, nil
}
