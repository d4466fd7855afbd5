package git

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"refline/internal/errs"
)

// Resolved is a ref at the moment it was looked up: what a run keeps.
type Resolved struct {
	Kind   Kind   // of the ref; a branch if the remote's HEAD names one
	Name   string // of the branch or tag; "" for a commit
	Commit string // whole object name
	Object string // the annotated tag's own object; "" for all else
}

// Expect compares with the commit that a tag was pinned to. A tag that moved is
// a Conflict.
func (r Resolved) Expect(commit string) error {
	if commit == "" || strings.EqualFold(commit, r.Commit) {
		return nil
	}
	return errs.E(errs.Conflict, "%s %q has moved: it was at %.12s and is now at %.12s; if intended, register it again",
		or(r.Kind.String(), "ref"), r.Name, commit, r.Commit)
}

// Resolve asks the remote, once, for the commit of ref. Kinds: NotFound for a ref
// that does not exist (the text has similar names), Invalid for one that no
// repository can have.
//
// A whole commit name is returned as it is; Fetch finds out whether it exists. A
// short one is looked up in the mirror, then among the remote's refs.
func (r *Remote) Resolve(ctx context.Context, ref Ref) (Resolved, error) {
	if err := ref.check(); err != nil {
		return Resolved{}, err
	}
	switch ref.Kind {
	case KindCommit:
		return r.resolveCommit(ctx, ref)
	case KindNone:
		return r.resolveHEAD(ctx)
	case KindMergeRequest:
		return r.resolveMergeRequest(ctx, ref)
	}
	// ls-remote matches the end of a name, so it may return more refs. The option
	// keeps the server from listing every merge request.
	names, err := r.lsRemote(ctx, []Kind{ref.Kind}, ref.full())
	if err != nil {
		return Resolved{}, err
	}
	id := names[ref.full()]
	if id == "" {
		return Resolved{}, r.unknown(ctx, ref)
	}
	if peeled := names[ref.full()+"^{}"]; peeled != "" {
		return Resolved{ref.Kind, ref.Name, peeled, id}, nil
	}
	return Resolved{ref.Kind, ref.Name, id, ""}, nil
}

func (r *Remote) resolveHEAD(ctx context.Context) (Resolved, error) {
	names, err := r.lsRemote(ctx, nil, "HEAD")
	if err != nil {
		return Resolved{}, err
	}
	id := names["HEAD"]
	if id == "" {
		return Resolved{}, errs.E(errs.NotFound, "%s has no commit at its HEAD; name a branch, or push one", r.URL())
	}
	if branch, ok := strings.CutPrefix(names["ref: HEAD"], "refs/heads/"); ok {
		r.noteHead(branch)
		return Resolved{KindBranch, branch, id, ""}, nil
	}
	return Resolved{KindCommit, "", id, ""}, nil
}

func (r *Remote) resolveMergeRequest(ctx context.Context, ref Ref) (Resolved, error) {
	candidates := mergeRequestRefs(ref.Name)
	names, err := r.lsRemote(ctx, nil, candidates...)
	if err != nil {
		return Resolved{}, err
	}
	for _, full := range candidates {
		if id := names[full]; id != "" {
			return Resolved{KindMergeRequest, ref.Name, id, ""}, nil
		}
	}
	return Resolved{}, errs.E(errs.NotFound, "merge request %s is not in %s; a forge may make its ref a moment after the event, and remove it when the request is closed", ref.Name, r.URL())
}

func (r *Remote) resolveCommit(ctx context.Context, ref Ref) (Resolved, error) {
	sha := strings.ToLower(ref.Name)
	if isObjectID(sha) {
		return Resolved{KindCommit, "", sha, ""}, nil
	}
	out, err := r.own("--git-dir="+r.mirror(), "rev-parse", "--verify", "--quiet", "--end-of-options", sha+"^{commit}").output(ctx)
	if id := strings.TrimSpace(string(out)); err == nil && isObjectID(id) {
		return Resolved{KindCommit, "", id, ""}, nil
	}
	names, err := r.lsRemote(ctx, nil) // merge requests too
	if err != nil {
		return Resolved{}, err
	}
	found := ""
	for name, id := range names {
		if !strings.HasPrefix(id, sha) || names[name+"^{}"] != "" {
			continue
		}
		if found != "" && found != id {
			return Resolved{}, errs.E(errs.Invalid, "commit %s in %s is ambiguous; give all 40 characters", sha, r.URL())
		}
		found = id
	}
	if found == "" {
		return Resolved{}, errs.E(errs.NotFound,
			"commit %s is neither in the mirror of %s nor at one of its branches, tags or merge requests; give all 40 characters, by which any commit can be fetched", sha, r.URL())
	}
	return Resolved{KindCommit, "", found, ""}, nil
}

// lsRemote returns object names by ref; "ref: HEAD" holds the branch that HEAD
// names. With kinds it is refs of these kinds, with full names these at least, and
// all refs without either. It is bounded in time and size.
func (r *Remote) lsRemote(ctx context.Context, kinds []Kind, full ...string) (map[string]string, error) {
	within, most := cmp.Or(r.access.AskWithin, time.Minute), cmp.Or(r.access.maxRefs, 64<<20)
	late := errs.E(errs.Unavailable, "%s did not list its refs within %v", r.URL(), within)
	ctx, cancel := context.WithTimeoutCause(ctx, within, late)
	defer cancel()
	names, err := map[string]string(nil), errDumb
	if r.access.Trust == Server && (r.addr.scheme == "https" || r.addr.scheme == "http") {
		prefixes := full
		if len(full) == 0 {
			prefixes = prefixesOf(kinds)
		}
		names, err = r.refsByHTTP(ctx, prefixes, most)
	}
	if errors.Is(err, errDumb) {
		names, err = r.refsByGit(ctx, kinds, full, most)
	}
	switch {
	case errors.Is(err, errTooMuch):
		return nil, errs.E(errs.Invalid, "%s lists more refs than the %d MiB that are taken", r.URL(), most>>20)
	case err != nil && ctx.Err() != nil:
		return nil, context.Cause(ctx)
	}
	return names, err
}

// prefixesOf are where refs of these kinds are.
func prefixesOf(kinds []Kind) []string {
	var prefixes []string
	for _, k := range kinds {
		switch k {
		case KindBranch:
			prefixes = append(prefixes, "HEAD", "refs/heads/")
		case KindTag:
			prefixes = append(prefixes, "refs/tags/")
		case KindMergeRequest:
			prefixes = append(prefixes, "refs/merge-requests/", "refs/pull/", "refs/pull-requests/")
		}
	}
	return prefixes
}

// refsByGit is lsRemote by the git program.
func (r *Remote) refsByGit(ctx context.Context, kinds []Kind, full []string, most int64) (map[string]string, error) {
	args := []string{"ls-remote", "--quiet", "--symref"}
	if !slices.Contains(kinds, KindMergeRequest) { // there is no option for them
		for _, k := range kinds {
			args = append(args, map[Kind]string{KindBranch: "--heads", KindTag: "--tags"}[k])
		}
	}
	args = append(append(args, "--", r.addr.text), full...)
	if len(kinds) > 0 { // an annotated tag's commit has a name of its own
		for _, name := range full {
			args = append(args, name+"^{}")
		}
	}
	out, err := r.ask(ctx, process{args: args, limit: most})
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for line := range strings.Lines(string(out)) {
		id, name, _ := strings.Cut(strings.TrimRight(line, "\n"), "\t")
		if target, ok := strings.CutPrefix(id, "ref: "); ok {
			names["ref: "+name] = target
		} else if isObjectID(id) {
			names[name] = id
		}
	}
	return names, nil
}

// unknown reports that ref does not exist, with similar names.
func (r *Remote) unknown(ctx context.Context, ref Ref) error {
	names, err := r.lsRemote(ctx, []Kind{KindBranch, KindTag})
	if err != nil {
		return err
	}
	other, prefix := KindTag, "refs/heads/"
	if ref.Kind == KindTag {
		other, prefix = KindBranch, "refs/tags/"
	}
	if _, ok := names[Ref{other, ref.Name}.full()]; ok {
		return errs.E(errs.NotFound, "%s %q is not in %s, but there is a %s of that name", ref.Kind, ref.Name, r.URL(), other)
	}
	var same []string
	for name := range names {
		if short, ok := strings.CutPrefix(name, prefix); ok && !strings.HasSuffix(name, "^{}") {
			same = append(same, short)
		}
	}
	if len(same) == 0 {
		return errs.E(errs.NotFound, "%s %q is not in %s, which has no %s at all", ref.Kind, ref.Name, r.URL(), ref.Kind)
	}
	if near := nearNames(ref.Name, same); len(near) > 0 {
		plural := map[Kind]string{KindBranch: "branches", KindTag: "tags"}[ref.Kind]
		return errs.E(errs.NotFound, "%s %q is not in %s; %s that are near: %s", ref.Kind, ref.Name, r.URL(), plural, strings.Join(near, ", "))
	}
	return errs.E(errs.NotFound, "%s %q is not in %s", ref.Kind, ref.Name, r.URL())
}
