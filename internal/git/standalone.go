package git

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// standalone fills dst like fresh, but with objects of its own: for a job that
// runs where the mirror is not, such as a pod. With a depth it takes just so many
// commits, since each one is copied.
func (r *Remote) standalone(ctx context.Context, c Resolved, rec record, dst string, o CheckoutOptions) error {
	if o.Depth > 0 {
		var err error
		if rec.tags, err = r.tagsAt(ctx, c.Commit); err != nil {
			return err
		}
	}
	g := r.gitDir(ctx, c, rec, o.Sparse)
	g.alternates, g.shallow = nil, ""
	empty := g
	empty.head, empty.refs = "ref: refs/heads/none", nil
	dir := filepath.Join(dst, ".git")
	if err := os.MkdirAll(dst, 0o777); err != nil {
		return onDisk(err, "make %s", dst)
	}
	if err := empty.write(dir); err != nil {
		return onDisk(err, "make %s", dst)
	}
	if err := r.copyObjects(ctx, g, dst, o.Depth); err != nil {
		return err
	}
	if shallow, err := os.ReadFile(filepath.Join(dir, "shallow")); err == nil {
		g.shallow = string(shallow)
	}
	if err := g.write(dir); err != nil {
		return onDisk(err, "make %s", dst)
	}
	return r.readTree(ctx, c, dst)
}

// tagsAt are the tags of the commit: all that a history cut off there can hold.
func (r *Remote) tagsAt(ctx context.Context, commit string) ([]refEntry, error) {
	out, err := r.own("--git-dir="+r.mirror(), "for-each-ref", "--points-at="+commit, "--format=%(objectname) %(refname)", "refs/tags").output(ctx)
	if err != nil {
		return nil, r.explainTree(err, r.mirror())
	}
	return parsePackedRefs(string(out), []string{"refs/tags/"}), nil
}

// copyObjects fetches what HEAD and the refs of g need from the mirror.
func (r *Remote) copyObjects(ctx context.Context, g gitDir, dst string, depth int) error {
	wanted := []string{g.head}
	for _, e := range g.refs {
		wanted = append(wanted, e.id)
	}
	args := []string{"fetch", "--quiet", "--no-write-fetch-head", "--no-auto-maintenance", "--no-tags", "--update-shallow", "--stdin"}
	if depth > 0 {
		args = append(args, "--depth="+strconv.Itoa(depth))
	}
	fetch := r.inTree(dst, append(args, "--", r.mirror())...)
	fetch.stdin = strings.Join(wanted, "\n") + "\n"
	fetch.env = append(fetch.env, "GIT_ALLOW_PROTOCOL=file")
	fetch.config = append(fetch.config, setting{"fetch.unpackLimit", "1"})
	fetch.strict = true
	_, err := fetch.output(ctx)
	return r.explainTree(err, dst)
}
