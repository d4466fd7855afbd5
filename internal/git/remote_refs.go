package git

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// Refs lists the remote's refs of these kinds (default branches and tags), each
// with its commit, sorted by kind and name. It is one question: one start of git,
// or none for Trust Server over http. Names that git could not hold are left out.
func (r *Remote) Refs(ctx context.Context, kinds ...Kind) ([]Resolved, error) {
	if len(kinds) == 0 {
		kinds = []Kind{KindBranch, KindTag}
	}
	names, err := r.lsRemote(ctx, kinds)
	if err != nil {
		return nil, err
	}
	if branch, ok := strings.CutPrefix(names["ref: HEAD"], "refs/heads/"); ok {
		r.noteHead(branch)
	}
	var refs []Resolved
	for full, id := range names {
		ref, ok := refOf(full)
		if !ok || !slices.Contains(kinds, ref.Kind) {
			continue
		}
		found := Resolved{Kind: ref.Kind, Name: ref.Name, Commit: id}
		if peeled := names[full+"^{}"]; peeled != "" {
			found.Commit, found.Object = peeled, id
		}
		refs = append(refs, found)
	}
	slices.SortFunc(refs, func(a, b Resolved) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
	})
	return refs, nil
}

// refOf is the ref of a full name; ok is false for names of no kind of ours.
func refOf(full string) (ref Ref, ok bool) {
	if name, is := strings.CutPrefix(full, "refs/heads/"); is {
		ref = Ref{KindBranch, name}
	} else if name, is := strings.CutPrefix(full, "refs/tags/"); is {
		ref = Ref{KindTag, name}
	} else if number := mergeRequestNumber(full); number != "" {
		ref = Ref{KindMergeRequest, number}
	}
	return ref, ref.Kind != KindNone && ref.check() == nil
}

// Tags lists the short names of the remote's tags, sorted.
func (r *Remote) Tags(ctx context.Context) ([]string, error) {
	refs, err := r.Refs(ctx, KindTag)
	if err != nil {
		return nil, err
	}
	tags := make([]string, len(refs))
	for i, t := range refs {
		tags[i] = t.Name
	}
	return tags, nil
}
