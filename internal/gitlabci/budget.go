package gitlabci

import "refline/internal/diag"

// maxNodes bounds the values of a whole configuration, with everything shared
// written out. The largest public pipelines need less than a twentieth of it.
const maxNodes = 2_000_000

// maxHeight bounds how deep values may nest once references are resolved.
const maxHeight = 2 * maxDepth

// budget bounds memory for hostile input: every value that is made from the
// sources is taken from it.
type budget struct {
	f         *findings
	left      int
	over      bool
	suggested int
}

func newBudget(f *findings) *budget { return &budget{f: f, left: maxNodes} }

// take reports whether n more values may be made. It adds an error the first time
// they may not.
func (b *budget) take(at diag.Place, n int) bool {
	b.left -= n
	if b.left < 0 && !b.over {
		b.over = true
		b.f.errorf(at, "", "config-size", "the configuration is too large: more than %d values", maxNodes)
	}
	return !b.over
}

// Suggestions cost time with the number of names. These limits are far above what
// people read and what real pipelines have.
const (
	maxSuggestions   = 200
	maxSuggestedFrom = 3000
)

// suggest is the hint for a wrong name among names, "" when none is near.
func (b *budget) suggest(wrong string, names []string) string {
	if b.suggested++; b.suggested > maxSuggestions || len(names) > maxSuggestedFrom {
		return ""
	}
	if near := diag.Nearest(wrong, names); near != "" {
		return "did you mean \"" + near + "\"?"
	}
	return ""
}

// fits reports whether a tree is small enough to be walked with everything
// shared written out. It adds an error when it is not.
func (b *budget) fits(n *node) bool {
	if n.size <= maxNodes && n.height <= maxHeight {
		return !b.over
	}
	if !b.over {
		b.over = true
		b.f.errorf(n.at, "", "config-size", "the configuration is too large: extends, aliases and references grow it to more than %d values, or nest them more than %d deep", maxNodes, maxHeight)
	}
	return false
}
