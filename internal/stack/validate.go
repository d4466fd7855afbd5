package stack

import (
	"context"
	"fmt"
	"slices"
)

// Validate asks AWS about a target's template. One that does not fit a request
// is staged first.
func (s *Session) Validate(ctx context.Context, t *Target) (Validation, error) {
	tmpl, err := s.Config.Render(ctx, t, s.Read)
	if err != nil {
		return Validation{}, err
	}
	text := tmpl.sent(nil)
	source := Source{Body: string(text)}
	if len(text) > inlineLimit {
		if err := tmpl.checkSize(text, s.Env.Bucket); err != nil {
			return Validation{}, err
		}
		staged, err := s.stage(ctx, t, tmpl)
		if err != nil {
			return Validation{}, err
		}
		source = Source{URL: staged.URL}
	}
	v, err := s.Cloud.Validate(ctx, source)
	if err != nil {
		return v, fmt.Errorf("%s: %w", tmpl.File, err)
	}
	return v, nil
}

// NestedFiles are the files of the nested templates, each once.
func (t *Template) NestedFiles() []string {
	var out []string
	for _, r := range t.resources() {
		child := t.Nested[r.Name]
		if child == nil {
			continue
		}
		for _, file := range append([]string{child.File}, child.NestedFiles()...) {
			if !slices.Contains(out, file) {
				out = append(out, file)
			}
		}
	}
	return out
}
