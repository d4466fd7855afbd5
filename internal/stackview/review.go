package stackview

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"refline/internal/stack"
	"refline/internal/stack/planfile"
)

// Review writes plans, and what is left for later, as text. file names the file
// that a stack's plan is kept in.
func Review(w io.Writer, r *stack.Review, color bool, file func(stackName string) string) error {
	for i, p := range r.Plans {
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := stack.WriteText(w, p, stack.TextOptions{File: filepath.ToSlash(file(p.StackName)), Color: color}); err != nil {
			return err
		}
	}
	if len(r.Plans) > 0 && len(r.Later) > 0 {
		fmt.Fprintln(w)
	}
	Later(w, r)
	return nil
}

// Later writes what cannot be planned yet, one stack a line.
func Later(w io.Writer, r *stack.Review) {
	for _, text := range r.Later {
		fmt.Fprintf(w, "later: %s\n", text)
	}
}

// PlanEvent is the line of a plan for $REFLINE_EVENTS, where a run shows it.
func PlanEvent(p *planfile.Plan, file string) ([]byte, error) {
	var text strings.Builder
	if err := stack.WriteMarkdown(&text, p); err != nil {
		return nil, err
	}
	line, err := json.Marshal(map[string]any{"type": "plan", "title": p.StackName + ": " + p.Summary(), "text": text.String(),
		"digest": p.Digest, "file": filepath.ToSlash(file), "environment": p.Environment, "refused": len(p.Refusals) > 0})
	return append(line, '\n'), err
}
