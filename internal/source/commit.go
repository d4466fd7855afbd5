package source

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/gitlabci"
)

// Commit is the code of one commit of a repository.
type Commit struct {
	remote   *git.Remote
	resolved git.Resolved
	reader   *git.Reader
	entries  func() ([]git.Entry, error)
	others   *otherProjects
	options  Options
}

// NewCommit reads a commit that remote has fetched already. Close ends it.
func NewCommit(ctx context.Context, remote *git.Remote, resolved git.Resolved, o Options) *Commit {
	o.Origin = cmp.Or(o.Origin, remote.URL())
	c := &Commit{remote: remote, resolved: resolved, reader: remote.Reader(ctx), options: o, others: newOtherProjects(o.Includes, o.Origin)}
	c.entries = sync.OnceValues(func() ([]git.Entry, error) { return c.reader.List(resolved.Commit) })
	return c
}

// Remote is the repository.
func (c *Commit) Remote() *git.Remote { return c.remote }

// Resolved is the commit and the ref that named it.
func (c *Commit) Resolved() git.Resolved { return c.resolved }

// Loader implements [Files].
func (c *Commit) Loader(self gitlabci.Facts) gitlabci.Loader {
	return loader{own: c, others: c.others, self: nameOf(self)}
}

func (c *Commit) readFile(_ context.Context, path string) ([]byte, error) {
	return c.reader.ReadFile(c.resolved.Commit, path)
}

func (c *Commit) listFiles(context.Context) ([]string, error) {
	entries, err := c.entries()
	return entryPaths(entries), err
}

// Entries lists the files, links and submodules of the commit.
func (c *Commit) Entries() ([]git.Entry, error) { return c.entries() }

// Exists implements [Files].
func (c *Commit) Exists(_ context.Context, path string) (bool, error) {
	_, err := c.reader.ReadFile(c.resolved.Commit, path)
	if errs.Is(err, errs.NotFound) || errs.Is(err, errs.Invalid) { // a folder, or too large
		return false, nil
	}
	return err == nil, err
}

// Facts implements [History].
func (c *Commit) Facts(ctx context.Context) (gitlabci.Facts, error) {
	commit, err := c.reader.Commit(c.resolved.Commit)
	if err != nil {
		return gitlabci.Facts{}, err
	}
	f := gitlabci.Facts{
		SHA: c.resolved.Commit, Message: commit.Message, Author: commit.Author.String(), Committed: commit.Committer.Time,
		UserName: commit.Author.Name, UserEmail: commit.Author.Email,
		Remote: c.options.Origin, Folder: strings.TrimSuffix(filepath.Base(c.remote.URL()), ".git"),
	}
	if f.DefaultBranch, err = c.remote.DefaultBranch(ctx); err != nil {
		return f, err
	}
	if f.BeforeSHA = c.options.Before; f.BeforeSHA == "" && len(commit.Parents) > 0 {
		f.BeforeSHA = commit.Parents[0]
	}
	setRef(&f, c.resolved.Kind, c.resolved.Name)
	return f, nil
}

// LastCommit looks through all history; a mirror with --depth may have to fetch
// the rest first.
func (c *Commit) LastCommit(ctx context.Context, path string) (string, error) {
	if err := c.remote.Fetch(ctx, c.resolved, 0); err != nil {
		return "", fmt.Errorf("the history of %s: %w", path, err)
	}
	return c.remote.LastCommit(ctx, c.resolved.Commit, path), nil
}

// Name implements [Labels].
func (c *Commit) Name() string { return c.remote.URL() }

// At implements [Labels]: "data/flows.git · tag v1.4.0 → 9b1d0e4".
func (c *Commit) At() string {
	parts := strings.FieldsFunc(c.remote.URL(), func(r rune) bool { return r == '/' || r == ':' })
	where := strings.Join(parts[max(0, len(parts)-2):], "/")
	name := strings.TrimSpace(string(c.resolved.Kind) + " " + c.resolved.Name)
	return fmt.Sprintf("%s · %s → %s", where, name, short(c.resolved.Commit))
}

// Close ends what reads this repository and others.
func (c *Commit) Close() {
	c.reader.Close()
	c.others.close()
}
