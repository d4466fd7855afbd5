package stackview

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"refline/internal/stack"
	"refline/internal/stack/planfile"
)

// History writes the records of stacks, one a line.
func History(w io.Writer, list []stack.Record) error {
	tab := newTable()
	for _, r := range list {
		ref := r.Ref
		if r.Commit != "" {
			ref += " " + r.Commit[:min(len(r.Commit), 8)]
		}
		tab.row(timestamp(r.Time), cmp.Or(r.Stack, "–"), string(r.Event), strings.TrimSpace(ref),
			planfile.Short(cmp.Or(r.Plan, r.Template)), cmp.Or(r.Author, r.Caller))
	}
	return tab.print(w)
}

// Staged writes where a template and its nested ones are in the bucket.
func Staged(w io.Writer, s stack.Staged) { staged(w, s, "") }

func staged(w io.Writer, s stack.Staged, indent string) {
	state := "there already"
	if s.New {
		state = "new"
	}
	fmt.Fprintf(w, "%s%s → s3://%s/%s  %s\n", indent, s.File, s.Bucket, s.Key, state)
	for _, n := range s.Nested {
		staged(w, n, indent+"  ")
	}
}
