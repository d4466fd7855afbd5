package remote

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"refline/internal/api"
	"refline/internal/checkout"
	"refline/internal/cli"
	"refline/internal/definition"
	"refline/internal/diag"
	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/source"
	"refline/internal/termview"
)

// checkedOut is what a registration takes from the folder that it is made in.
type checkedOut struct {
	repository string
	ref        git.Ref
	buildTag   string        // taken instead of ref if the repository has it
	tree       *git.Worktree // nil: not in a checkout of that repository
}

// here finds the repository and ref that are meant.
func (o *flowRegisterOptions) here(ctx context.Context, e *cli.Env) (checkedOut, error) {
	var h checkedOut
	if o.repo != "" {
		h.repository = repositoryArgument(e, o.repo)
	}
	tree, err := git.Open(ctx, e.Dir, e.Environ())
	if err == nil && tree.InRepository() && o.repo == "" && o.project == "" {
		h.tree, h.repository = tree, tree.RemoteURL
		if h.repository == "" {
			h.repository = tree.Root // a repository of this computer without a remote
		}
	}
	switch {
	case o.branch != "":
		h.ref = git.Ref{Kind: git.KindBranch, Name: o.branch}
	case o.tag != "":
		h.ref = git.Ref{Kind: git.KindTag, Name: o.tag}
	case o.commit != "":
		h.ref = git.Ref{Kind: git.KindCommit, Name: o.commit}
	default:
		return h, h.byBuild(e)
	}
	return h, nil
}

// byBuild takes the ref of a build: BUILD_TAG if the repository has that tag, which
// the server knows, else GIT_BRANCH, else the branch that is checked out.
func (h *checkedOut) byBuild(e *cli.Env) error {
	h.buildTag = strings.TrimSpace(e.Getenv("BUILD_TAG"))
	branch := ""
	if h.tree != nil {
		branch = h.tree.Branch
	}
	h.ref = git.DefaultRef(func(name string) string {
		if name == "BUILD_TAG" {
			return ""
		}
		return e.Getenv(name)
	}, branch)
	if h.tree == nil || h.ref != (git.Ref{}) {
		return nil
	}
	if h.buildTag == "" {
		return errs.E(errs.Invalid, "no branch is checked out here; say which ref to register: --branch, --tag or --commit")
	}
	h.ref, h.buildTag = git.Ref{Kind: git.KindTag, Name: h.buildTag}, ""
	return nil
}

// check compiles every flow before the first is kept, and compares the checkout with
// the remote. All that is wrong comes together.
func (h *checkedOut) check(ctx context.Context, e *cli.Env, client *api.Client, list []wantedFlow) error {
	var findings diag.List
	var failed []error
	paths := map[string]string{} // by the name of the flow
	for _, w := range list {
		in := w.FlowInput
		in.DryRun = true
		r, err := client.RegisterFlow(ctx, in)
		if err == nil {
			if other, twice := paths[r.Flow.Name]; twice {
				err = errs.E(errs.Conflict, "%s and %s would both be the flow %s; register one of them with --name", other, r.Flow.Path, r.Flow.Name)
			} else {
				err = h.pushed(ctx, e, r)
			}
			paths[r.Flow.Name] = r.Flow.Path
		} else {
			err = h.notThere(err, in)
		}
		var failure *diag.Failure
		switch {
		case err == nil:
		case errors.As(err, &failure):
			findings = append(findings, failure.Findings...)
		case !w.at.IsZero():
			findings = append(findings, diag.Finding{Place: w.at, Level: diag.Error, Message: fmt.Sprintf("flow %s: %v", w.Name, err)})
		case !slices.ContainsFunc(failed, func(f error) bool { return f.Error() == err.Error() }):
			failed = append(failed, err)
		}
	}
	if len(findings) > 0 {
		failed = append(failed, findings.Err())
	}
	if len(failed) == 1 {
		return failed[0]
	}
	return errors.Join(failed...)
}

// pushed compares the checkout with what the server sees: commits that are only here
// are an error, a changed file is a notice.
func (h *checkedOut) pushed(ctx context.Context, e *cli.Env, r api.Registered) error {
	if h.tree == nil || r.Flow.RefKind != string(git.KindBranch) || r.Flow.Ref != h.tree.Branch {
		return nil
	}
	n, err := h.tree.Unpushed(ctx, r.Commit)
	if err != nil {
		return err
	}
	if n > 0 {
		return errs.E(errs.Conflict, "%s of branch %s is only here, and runs would not have it; push first: %s", termview.Count(n, "commit"), r.Flow.Ref, h.push())
	}
	changed, err := h.tree.Changed(ctx, "HEAD")
	file, _ := definition.SplitFlow(r.Flow.Path)
	if err == nil && slices.Contains(changed, file) {
		e.Notef("%s has changes that are not committed; runs take it as it is in %s", termview.Plain(file), termview.Plain(r.Flow.Ref))
	}
	return err
}

// push is the command that brings the branch to the remote.
func (h *checkedOut) push() string {
	remote := h.tree.RemoteName
	if remote == "" {
		remote = "origin"
	}
	return fmt.Sprintf("git push %s %s", termview.ShellWord(remote), termview.ShellWord(h.tree.Branch))
}

// notThere says how to bring to the remote what is only here.
func (h *checkedOut) notThere(err error, in api.FlowInput) error {
	if h.tree == nil || !errs.Is(err, errs.NotFound) || h.tree.RemoteURL == "" || in.RefKind != string(git.KindBranch) || in.Ref != h.tree.Branch {
		return err
	}
	return fmt.Errorf("%w; if it is only here, commit it and push: %s", err, h.push())
}

// repositoryArgument is a repository as a server takes it: a folder by its whole
// path.
func repositoryArgument(e *cli.Env, repo string) string {
	if source.IsURL(repo) {
		return repo
	}
	if path, ok := checkout.LocalRepository(checkout.Place{Dir: e.Dir, Environ: e.Environ}, repo); ok {
		return path
	}
	return repo
}
