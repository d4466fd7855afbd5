package runner

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/workspace"
)

// checkout makes the files of a commit for one job.
type checkout struct {
	r      *runner
	source api.JobSource
	dir    string // that is not there
	note   func(string)
}

// make fetches the commit into the runner's mirror, if it is not there, and makes
// a checkout of it that the job may keep.
func (c *checkout) make(ctx context.Context, list bool) (*workspace.Tree, *git.Remote, error) {
	remote, end, err := c.r.remote(c.source, c.note)
	if err != nil {
		return nil, nil, err
	}
	defer end()
	s := c.source
	opts := git.CheckoutOptions{
		Depth: s.Depth, LFS: s.LFS && git.HasLFS(), Sparse: s.Sparse,
		Submodules: git.Submodules(s.Submodules), SubmodulePaths: git.SubmodulePaths(s.SubmodulePaths), ForceHTTPS: s.ForceHTTPS,
	}
	if err := remote.Checkout(ctx, resolved(s), c.dir, opts); err != nil {
		return nil, nil, err
	}
	if s.Before != "" && strings.Trim(s.Before, "0") != "" {
		// The job may compare with it; a push that replaced history may have removed it.
		_ = remote.Fetch(ctx, git.Resolved{Kind: git.KindCommit, Commit: s.Before}, 1)
	}
	if s.LFS && !opts.LFS && git.UsesLFS(c.dir) {
		c.note("LFS files are pointers in this job: git-lfs is not on the PATH of the runner; install it there, or set GIT_LFS_SKIP_SMUDGE")
	}
	if s.NoFiles {
		if err := workspace.KeepOnlyGit(c.dir); err != nil {
			return nil, nil, err
		}
	}
	c.r.sources.know(s)
	c.r.prepare(prepared{url: s.URL, commit: s.Commit})
	return workspace.NewCheckout(c.dir, list), remote, nil
}

func resolved(s api.JobSource) git.Resolved {
	out := git.Resolved{Kind: git.KindCommit, Name: s.Ref, Commit: s.Commit, Object: s.Object}
	switch s.Kind {
	case "branch":
		out.Kind = git.KindBranch
	case "tag":
		out.Kind = git.KindTag
	default:
		out.Name = ""
	}
	return out
}

// remote opens a repository with what the server gives for it. end gives back what
// serves its key.
func (r *runner) remote(s api.JobSource, note func(string)) (_ *git.Remote, end func(), err error) {
	access, endKey, err := credentialSet(s.Access).Reach(s.URL, git.Access{
		Trust: git.Server, Shown: s.Shown, AllowFile: r.o.AllowFile, AllowHTTP: r.o.AllowHTTP, Notice: note,
	})
	if err != nil {
		return nil, nil, err
	}
	end = endKey
	if s.CA != "" {
		dir, err := os.MkdirTemp("", "refline-git-")
		if err != nil {
			end()
			return nil, nil, errs.E(errs.Unavailable, "folder for the access to %s: %w", s.URL, err)
		}
		end = func() {
			endKey()
			_ = os.RemoveAll(dir)
		}
		access.CAFile = filepath.Join(dir, "ca.pem")
		if err := os.WriteFile(access.CAFile, []byte(s.CA), 0o600); err != nil {
			end()
			return nil, nil, err
		}
	}
	remote, err := git.NewRemote(s.URL, r.mirrors(), access)
	if err != nil {
		end()
	}
	return remote, end, err
}
