package git

import (
	"context"
	"slices"
	"strings"
)

// Tags lists the short names of the remote's tags, sorted.
func (r *Remote) Tags(ctx context.Context) ([]string, error) {
	names, err := r.lsRemote(ctx, []Kind{KindTag})
	if err != nil {
		return nil, err
	}
	var tags []string
	for full := range names {
		if tag, ok := strings.CutPrefix(full, "refs/tags/"); ok && !strings.HasSuffix(tag, "^{}") {
			tags = append(tags, tag)
		}
	}
	slices.Sort(tags)
	return tags, nil
}
