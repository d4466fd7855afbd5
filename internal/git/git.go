// Package git reads git repositories: the working tree of the current folder
// ([Open]) and repositories by URL ([NewRemote]), with their refs, commits, files
// and checkouts.
//
// It uses the git program, not a library, so that protocols, credentials, partial
// clones and LFS behave as users know them. It starts few processes: none or one
// to describe a working tree, three for a checkout at a new commit.
//
// It promises that a checkout is the exact tree of its commit; that a process
// killed at any moment leaves nothing that a later one trusts; that no secret is
// in an argument, a URL, a file, a log line or an error; and that nothing in a
// repository makes git run code (hooks, filters, helpers, transports).
//
// It does not know pipelines, jobs or servers.
package git

import (
	"slices"
	"strings"
)

// Kind says which sort of thing a ref names.
type Kind string

// The kinds of ref. The empty kind is whatever the remote's HEAD names.
const (
	KindNone   Kind = ""
	KindBranch Kind = "branch"
	KindTag    Kind = "tag"
	KindCommit Kind = "commit"
	// KindMergeRequest is the head of a merge request or pull request, by number.
	KindMergeRequest Kind = "merge_request"
)

// String is the kind in words.
func (k Kind) String() string { return strings.ReplaceAll(string(k), "_", " ") }

// mergeRequestRefs are the names under which forges keep the head of a merge
// request: GitLab; GitHub, Gitea and Forgejo; Bitbucket Data Center.
func mergeRequestRefs(number string) []string {
	return []string{"refs/merge-requests/" + number + "/head", "refs/pull/" + number + "/head", "refs/pull-requests/" + number + "/from"}
}

// mergeRequestNumber is the number in such a name, "" for all other names.
func mergeRequestNumber(full string) string {
	parts := strings.Split(full, "/")
	if len(parts) != 4 || !slices.Contains(mergeRequestRefs(parts[2]), full) || badNumber(parts[2]) {
		return ""
	}
	return parts[2]
}

func badNumber(s string) bool {
	return s == "" || len(s) > 18 || s[0] == '0' || strings.Trim(s, "0123456789") != ""
}

// Ref is what a user asks for: a branch, a tag or a commit, strictly by kind.
// The zero value asks for the remote's HEAD.
type Ref struct {
	Kind Kind
	Name string // short name, a commit in hex, or the number of a merge request
}

func (r Ref) String() string {
	if r.Kind == KindNone {
		return "HEAD"
	}
	return r.Kind.String() + " " + r.Name
}

// full is the name the ref has in a repository, "" for a commit and a merge
// request.
func (r Ref) full() string {
	switch r.Kind {
	case KindBranch:
		return "refs/heads/" + r.Name
	case KindTag:
		return "refs/tags/" + r.Name
	case KindNone:
		return "HEAD"
	default:
		return ""
	}
}
