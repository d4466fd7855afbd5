package gitlabci

import (
	"slices"

	"refline/internal/pipeline"
)

// defaults are the keywords that jobs get when they lack them: those in default:
// and the same ones at the top level.
type defaults struct{ fields []field }

// readDefaults checks each keyword once, so that a mistake in it is not reported
// for every job.
func (c *compiler) readDefaults() defaults {
	var d defaults
	r := c.reader("")
	add := func(f field, path string) {
		before := len(c.f.list)
		c.checkDefault(r, f, path)
		if f.name == "timeout" && !absent(f.value) {
			c.noDefaultTimeout(f)
			return
		}
		if !absent(f.value) && !slices.ContainsFunc(c.f.list[before:], isError) {
			v := *f.value
			if v.via == "" {
				v.via = "default"
			}
			d.fields = append(d.fields, field{name: f.name, at: f.at, value: &v})
		}
	}
	written := c.root.get("default")
	if !absent(written) && r.mapping(written, "default", defaultKeywords...) {
		for _, f := range written.keys {
			if slices.Contains(defaultKeywords, f.name) {
				add(f, "default:"+f.name)
			}
		}
	}
	for _, f := range c.root.keys {
		if !slices.Contains(aliasKeywords, f.name) || absent(f.value) {
			continue
		}
		if !absent(written.get(f.name)) {
			c.f.errorf(f.at, "", "conflict", "%s is at the top level and in default", f.name)
			c.f.underline(f.name)
			c.f.hint("keep the one in default; the top level is its older place")
			continue
		}
		add(f, f.name)
	}
	return d
}

// checkDefault decodes a default to report mistakes in it.
func (c *compiler) checkDefault(r reader, f field, path string) {
	var unused pipeline.Job
	r.decodeShared(&unused, f.name, f.value, path)
}

// noDefaultTimeout warns of default:timeout. GitLab checks it but does not apply it.
func (c *compiler) noDefaultTimeout(f field) {
	c.f.warnf(f.at, "", "no-effect", "default:timeout has no effect: GitLab does not apply it to jobs")
	c.f.underline(f.name)
	c.f.hint("set timeout in each job, or in a hidden job that they extend")
}

// apply returns job with the defaults that it inherits and lacks.
func (d defaults) apply(job *node, inherits func(keyword string) bool) *node {
	var added []field
	for _, f := range d.fields {
		if absent(job.get(f.name)) && inherits(f.name) {
			added = append(added, f)
		}
	}
	if len(added) == 0 {
		return job
	}
	merged := *job
	merged.keys = make([]field, 0, len(job.keys)+len(added))
	for _, f := range job.keys {
		if !slices.ContainsFunc(added, func(a field) bool { return a.name == f.name }) {
			merged.keys = append(merged.keys, f)
		}
	}
	merged.keys = append(merged.keys, added...)
	return &merged
}

// only keeps the default of one keyword.
func (d defaults) only(keyword string) defaults {
	for _, f := range d.fields {
		if f.name == keyword {
			return defaults{[]field{f}}
		}
	}
	return defaults{}
}

// readInherit decodes inherit: of a job. variables is nil when inherit:variables is
// absent, which means all.
func (r reader) readInherit(job *node) (inherits func(string) bool, variables *inheritVariables) {
	inherits = func(string) bool { return true }
	n := job.get("inherit")
	if absent(n) || !r.mapping(n, "inherit", "default", "variables") {
		return inherits, nil
	}
	if d := n.get("default"); !absent(d) {
		all, names := r.inheritance(d, "inherit:default")
		for _, name := range names {
			if !slices.Contains(defaultKeywords, name) {
				r.errorf(d, "value", "inherit:default", "names %s, which is not a keyword of default", quote(name))
				r.f.hint(didYouMean(name, defaultKeywords))
			}
		}
		inherits = func(keyword string) bool { return all || slices.Contains(names, keyword) }
	}
	if v := n.get("variables"); !absent(v) {
		all, names := r.inheritance(v, "inherit:variables")
		variables = &inheritVariables{All: all, Names: names}
	}
	return inherits, variables
}

func (r reader) inheritance(n *node, path string) (all bool, names []string) {
	switch n.kind {
	case boolNode:
		return n.truth, nil
	case seqNode:
		return false, r.list(n, path)
	default:
		r.wrong(n, path, "true, false or a list of names")
		return true, nil
	}
}
