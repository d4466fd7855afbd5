package definition

import (
	"context"
	"errors"
	"strings"
	"sync"

	"refline/internal/diag"
	"refline/internal/gitlabci"
	"refline/internal/jsonnet"
	"refline/internal/pipeline"
)

// evaluate turns a Jsonnet configuration into the tree that YAML would give.
// The predefined variables and those of the pipeline are its external variables.
func (d *Definition) evaluate(ctx context.Context) error {
	in := jsonnet.Input{File: d.File, Read: func(path string) ([]byte, error) {
		data, _, err := d.input.Loader.Read(ctx, gitlabci.Source{Kind: gitlabci.SourceLocal, Path: path})
		return data, err
	}}
	for _, v := range pipeline.Merge(d.input.Predefined, d.input.Pipeline) {
		in.External = append(in.External, jsonnet.Binding{Name: v.Name, Value: v.Value})
	}
	res, err := jsonnet.Evaluate(ctx, in)
	var failure *diag.Failure
	if errors.As(err, &failure) {
		for i := range failure.Findings { // here a variable is given by another flag
			failure.Findings[i].Hint = pipelineHint(failure.Findings[i].Hint)
		}
	}
	if err != nil {
		return err
	}
	d.input.Content = []byte(res.Text)
	// Finding the places is a second evaluation: only when one is wanted.
	places := sync.OnceValue(func() jsonnet.Locations {
		l, err := jsonnet.Locate(ctx, in, res)
		if err != nil {
			return jsonnet.Locations{"": {File: in.File, Line: 1}}
		}
		return l
	})
	d.input.Positions = func(path []string) (diag.Place, bool) {
		pointer := ""
		for _, step := range path {
			pointer += "/" + jsonnet.Escape(step)
		}
		return places().At(pointer), true
	}
	return nil
}

// pipelineHint turns advice for the render command into advice for a pipeline.
func pipelineHint(hint string) string {
	if strings.Contains(hint, "--max-stack") {
		return "the recursion does not end"
	}
	return strings.ReplaceAll(hint, "--ext-str ", "--var ")
}

func isJsonnet(file string) bool { return strings.HasSuffix(file, ".jsonnet") }
