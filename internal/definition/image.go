package definition

import (
	"slices"

	"refline/internal/pipeline"
)

// WithDefaultImage gives an image to the jobs that run a script and name none. The pipeline that
// is given stays as it is.
func WithDefaultImage(p *pipeline.Pipeline, image string) *pipeline.Pipeline {
	if p == nil || image == "" {
		return p
	}
	out := *p
	out.Jobs = slices.Clone(p.Jobs)
	for i := range out.Jobs {
		if j := &out.Jobs[i]; j.Downstream == nil && (j.Image == nil || j.Image.Name == "") {
			j.Image = &pipeline.Image{Name: image}
		}
	}
	return &out
}

// WithImage returns p with one image for all jobs that run a script, for files that
// are only there. Its entrypoint is left out: it runs a flow by itself.
func WithImage(p *pipeline.Pipeline, image string) *pipeline.Pipeline {
	if p == nil {
		return p
	}
	out := *p
	out.Jobs = slices.Clone(p.Jobs)
	for i := range out.Jobs {
		if j := &out.Jobs[i]; j.Downstream == nil {
			own := pipeline.Image{}
			if j.Image != nil {
				own = *j.Image
			}
			own.Name, own.Entrypoint = image, []string{""}
			j.Image = &own
		}
	}
	return &out
}

// WithTags returns p with tags added to the jobs that runners run. It returns p
// itself if there are none.
func WithTags(p *pipeline.Pipeline, tags []string) *pipeline.Pipeline {
	if p == nil || len(tags) == 0 {
		return p
	}
	out := *p
	out.Jobs = slices.Clone(p.Jobs)
	for i := range out.Jobs {
		if j := &out.Jobs[i]; j.Downstream == nil {
			j.Tags = slices.Concat(j.Tags, tags)
		}
	}
	return &out
}
