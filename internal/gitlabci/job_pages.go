package gitlabci

import (
	"slices"

	"refline/internal/pipeline"
)

// readPages decodes pages: and the older publish: of a job.
func (r reader) readPages(job *pipeline.Job, f *field) {
	n := f.value
	if job.Pages == nil {
		job.Pages = &pipeline.Pages{}
	}
	switch {
	case f.name == "publish":
		if publish := r.text(n, "publish"); job.Pages.Publish == "" {
			job.Pages.Publish = publish
		}
	case n.kind == boolNode:
	case n.kind == mapNode:
		r.mapping(n, "pages", "path_prefix", "expire_in", "publish")
		job.Pages.PathPrefix = r.text(n.get("path_prefix"), "pages:path_prefix")
		job.Pages.ExpireIn = r.expiry(n.get("expire_in"), "pages:expire_in")
		if publish := r.text(n.get("publish"), "pages:publish"); publish != "" {
			job.Pages.Publish = publish
		}
	default:
		r.wrong(n, "pages", "true, false or a map")
	}
}

// finishPages decides whether a job publishes a site: by pages:, or by its name in
// older pipelines. The published folder is always an artifact.
func (c *compiler) finishPages(w *parsedJob) {
	pages, publish := w.node.get("pages"), w.node.get("publish")
	site := w.name == "pages"
	if !absent(pages) {
		site = pages.kind == boolNode && pages.truth || pages.kind == mapNode && len(pages.keys) > 0 ||
			site && (pages.kind != boolNode || pages.truth)
	}
	if !site || w.bridge {
		if !absent(publish) && (c.complete || !absent(pages)) {
			w.r.errorf(publish, "conflict", "publish", "can only be used in a job that publishes pages")
		}
		w.job.Pages = nil
		return
	}
	if w.job.Pages == nil {
		w.job.Pages = &pipeline.Pages{}
	}
	if w.job.Pages.Publish == "" {
		w.job.Pages.Publish = "public"
	}
	artifacts := pipeline.Artifacts{}
	if w.job.Artifacts != nil {
		artifacts = *w.job.Artifacts
	}
	if !slices.Contains(artifacts.Paths, w.job.Pages.Publish) {
		artifacts.Paths = append(slices.Clip(artifacts.Paths), w.job.Pages.Publish)
	}
	w.job.Artifacts = &artifacts
}
