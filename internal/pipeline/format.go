package pipeline

import (
	"encoding/json"

	"refline/internal/errs"
)

// Format is the version of a compiled pipeline's JSON. It grows when a program
// that knows the former version would run such a pipeline differently from what
// is meant; a new field that may be ignored is not a new version.
const Format = 1

// pipelineJSON is Pipeline without its methods.
type pipelineJSON Pipeline

type formatted struct {
	Format int `json:"format"`
	*pipelineJSON
}

// MarshalJSON writes the pipeline with its format.
func (p Pipeline) MarshalJSON() ([]byte, error) {
	return json.Marshal(formatted{Format, (*pipelineJSON)(&p)})
}

// UnmarshalJSON reads a pipeline. One of a later format is a Conflict error: it is
// for a newer program. One without a format is taken as it is.
func (p *Pipeline) UnmarshalJSON(data []byte) error {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return errs.E(errs.Invalid, "a compiled pipeline: %w", err)
	}
	if head.Format > Format {
		return errs.E(errs.Conflict, "the pipeline was compiled by a newer program (format %d, this one knows %d): update this program", head.Format, Format)
	}
	return json.Unmarshal(data, (*pipelineJSON)(p))
}
