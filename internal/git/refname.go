package git

import (
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/errs"
)

// check refuses a ref that git itself could not hold, before any process sees
// it. The rules are those of git-check-ref-format(1).
func (r Ref) check() error {
	switch r.Kind {
	case KindNone:
		if r.Name != "" {
			return errs.E(errs.Invalid, "ref %q has no kind: name a branch, a tag or a commit", r.Name)
		}
		return nil
	case KindCommit:
		if !isHex(r.Name) || len(r.Name) < 4 || len(r.Name) > 64 {
			return errs.E(errs.Invalid, "no commit %q: give its hash, best all 40 characters (git log --oneline lists commits)", r.Name)
		}
		return nil
	case KindMergeRequest:
		if badNumber(r.Name) {
			return errs.E(errs.Invalid, "%q is not the number of a merge request", r.Name)
		}
		return nil
	case KindBranch, KindTag:
		if why := badRefName(r.Name); why != "" {
			return errs.E(errs.Invalid, "%q cannot be the name of a %s: %s", r.Name, r.Kind, why)
		}
		return nil
	default:
		return errs.E(errs.Invalid, "%q is not a kind of ref", r.Kind)
	}
}

func badRefName(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case name == "@" || strings.Contains(name, "@{"):
		return `"@" alone and "@{" have a meaning of their own`
	case strings.HasPrefix(name, "-"):
		return `it begins with "-"`
	case strings.Contains(name, ".."):
		return `it contains ".."`
	case strings.HasSuffix(name, "."):
		return `it ends with "."`
	}
	for _, c := range name {
		if c < 0x20 || c == 0x7f || strings.ContainsRune(" ~^:?*[\\", c) {
			return "it contains a space, a control character or one of ~ ^ : ? * [ \\"
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "":
			return `it begins or ends with "/" or contains "//"`
		case strings.HasPrefix(part, "."):
			return `a part of it begins with "."`
		case strings.HasSuffix(part, ".lock"):
			return `a part of it ends with ".lock"`
		}
	}
	return ""
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return s != ""
}

// isObjectID reports whether s is a whole object name, SHA-1 or SHA-256.
func isObjectID(s string) bool { return (len(s) == 40 || len(s) == 64) && isHex(s) }

// DefaultRef is the ref to run when the user names none: the tag in BUILD_TAG,
// else the branch in GIT_BRANCH (without a leading "origin/"), else the branch
// given, which is the one the user is on ("" when there is none).
func DefaultRef(getenv func(string) string, current string) Ref {
	tag := strings.TrimSpace(getenv("BUILD_TAG"))
	// Jenkins sets BUILD_TAG in every build, to a name of its own.
	if tag != "" && !strings.HasPrefix(tag, "jenkins-") {
		return Ref{KindTag, tag}
	}
	if branch := strings.TrimPrefix(strings.TrimSpace(getenv("GIT_BRANCH")), "origin/"); branch != "" {
		return Ref{KindBranch, branch}
	}
	if current != "" {
		return Ref{KindBranch, current}
	}
	return Ref{}
}

// nearNames picks at most three of names that are close to name, nearest first.
func nearNames(name string, names []string) []string {
	type scored struct {
		name string
		far  int
	}
	var near []scored
	names = slices.Sorted(slices.Values(names)) // the same for the same names
	limit := max(2, len(name)/3)
	lower := strings.ToLower(name)
	for _, n := range names {
		candidate := strings.ToLower(n)
		far := diag.EditDistance(lower, candidate, limit)
		if far > limit && len(candidate) > len(lower) { // it may go on: main-2 for mian
			far = 1 + diag.EditDistance(lower, candidate[:len(lower)], limit)
		}
		if strings.HasSuffix(candidate, "/"+lower) {
			far = limit
		}
		if far <= limit {
			near = append(near, scored{n, far})
		}
	}
	for i := 1; i < len(near); i++ { // few enough for an insertion sort, which is stable
		for j := i; j > 0 && near[j].far < near[j-1].far; j-- {
			near[j], near[j-1] = near[j-1], near[j]
		}
	}
	var out []string
	for _, s := range near[:min(3, len(near))] {
		out = append(out, s.name)
	}
	return out
}
