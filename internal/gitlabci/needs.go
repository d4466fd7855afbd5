package gitlabci

import (
	"slices"
	"strings"

	"refline/internal/pipeline"
)

// maxNeeds and maxOtherNeeds bound the needs of one job: of its own pipeline, and of
// other projects or pipelines.
const (
	maxNeeds      = 50
	maxOtherNeeds = 5
)

// needSpec is one entry of needs: as written.
type needSpec struct {
	node      *node
	need      pipeline.Need
	hasMatrix bool
	matrix    *node // of needs:parallel:matrix; may hold $[[ matrix.NAME ]]
}

// upstream reports whether the need is the status of another project's pipeline.
func (n needSpec) upstream() bool { return n.need.Job == "" && n.need.Pipeline != "" }

// local reports whether the need is a job of this pipeline.
func (n needSpec) local() bool { return n.need.Project == "" && n.need.Pipeline == "" }

// needsPipeline reports whether needs: names a pipeline to mirror. Such a job needs
// no script.
func needsPipeline(n *node) bool {
	items := []*node{n}
	if n.kind == seqNode {
		items = n.items
	}
	return slices.ContainsFunc(items, func(i *node) bool {
		return i.kind == mapNode && i.get("pipeline") != nil && i.get("job") == nil
	})
}

// readNeeds decodes needs: a list of names and maps, or one map.
func (r reader) readNeeds(n *node, path string) []needSpec {
	if n.kind == mapNode {
		return r.appendNeed(nil, n, path)
	}
	if n.kind != seqNode {
		if r.wrong(n, path, "a list") && n.kind == stringNode {
			r.f.hint("write [" + quote(n.text) + "]")
		}
		return nil
	}
	needs := make([]needSpec, 0, len(n.items))
	r.nested(n, path, noLimit, func(item *node) bool {
		needs = r.appendNeed(needs, item, path)
		return true
	})
	others := 0
	for _, need := range needs {
		if !need.local() {
			others++
		}
	}
	if others > maxOtherNeeds {
		r.errorf(n, "limit", path, "may name at most %d jobs of other projects and pipelines, not %d", maxOtherNeeds, others)
	}
	return needs
}

func (r reader) appendNeed(needs []needSpec, n *node, path string) []needSpec {
	spec := needSpec{node: n, need: pipeline.Need{Artifacts: true}}
	switch n.kind {
	case stringNode:
		spec.need.Job = r.filled(n, n, path)
	case mapNode:
		r.needMap(&spec, n, path)
	default:
		r.wrong(n, path, "a name or a map")
		return needs
	}
	return append(needs, spec)
}

func (r reader) needMap(spec *needSpec, n *node, path string) {
	need := &spec.need
	switch {
	case n.get("project") != nil:
		r.mapping(n, path, "job", "project", "ref", "artifacts", "parallel")
		need.Project = r.filled(n, n.get("project"), path+":project")
		need.Ref = r.filled(n, n.get("ref"), path+":ref")
		need.Job = r.filled(n, n.get("job"), path+":job")
	case n.get("job") == nil && n.get("pipeline") != nil:
		r.mapping(n, path, "pipeline")
		need.Pipeline = r.filled(n, n.get("pipeline"), path+":pipeline")
	case n.get("pipeline") != nil:
		r.mapping(n, path, "pipeline", "job", "artifacts", "optional", "parallel")
		need.Pipeline = r.filled(n, n.get("pipeline"), path+":pipeline")
		need.Job = r.filled(n, n.get("job"), path+":job")
	default:
		r.mapping(n, path, "job", "artifacts", "optional", "parallel")
		need.Job = r.filled(n, n.get("job"), path+":job")
	}
	if artifacts, ok := r.flag(n.get("artifacts"), path+":artifacts"); ok {
		need.Artifacts = artifacts
	}
	need.Optional, _ = r.flag(n.get("optional"), path+":optional")
	if parallel := n.get("parallel"); !absent(parallel) {
		if parallel.kind != mapNode {
			r.wrong(parallel, path+":parallel", "a map with matrix")
		} else if r.mapping(parallel, path+":parallel", "matrix"); absent(parallel.get("matrix")) {
			r.errorf(parallel, "value", path+":parallel:matrix", "is missing")
		} else {
			spec.hasMatrix, spec.matrix = true, parallel.get("matrix")
			r.readMatrix(spec.matrix, path+":parallel:matrix")
		}
	}
}

// resolved is a need with the full name of an instance, and its entry.
type resolved struct {
	pipeline.Need
	node *node
}

// resolveNeeds turns needs into full names of instances. Names of unknown jobs stay
// unchanged.
func (c *compiler) resolveNeeds(in *instance, specs []needSpec) []resolved {
	if specs == nil {
		return nil
	}
	out := make([]resolved, 0, len(specs))
	for _, spec := range specs {
		need := resolved{spec.need, spec.node}
		need.Job = c.matrixText(in, spec.node, need.Job)
		if !spec.local() {
			need.Project, need.Ref = c.matrixText(in, spec.node, need.Project), c.matrixText(in, spec.node, need.Ref)
			out = append(out, need)
			continue
		}
		base := c.byName[need.Job]
		switch {
		case spec.hasMatrix && base != nil && base.parallel.isSet:
			for _, set := range in.of.r.readMatrix(c.matrixNode(in, spec.matrix), "needs:parallel:matrix") {
				one := need
				one.Job = matrixName(base.name, set)
				out = append(out, one)
			}
		case base != nil && base.parallel.isSet:
			for _, i := range base.instances {
				one := need
				one.Job = i.name
				out = append(out, one)
			}
		default:
			out = append(out, need)
		}
	}
	return out
}

// matrixNode replaces $[[ matrix.NAME ]] in all strings of n.
func (c *compiler) matrixNode(in *instance, n *node) *node {
	switch n.kind {
	case stringNode:
		if text := c.matrixText(in, n, n.text); text != n.text {
			replaced := *n
			replaced.text = text
			return &replaced
		}
	case seqNode:
		replaced := *n
		replaced.items = make([]*node, len(n.items))
		for i, item := range n.items {
			replaced.items[i] = c.matrixNode(in, item)
		}
		return &replaced
	case mapNode:
		replaced := *n
		replaced.keys = slices.Clone(n.keys)
		for i := range replaced.keys {
			replaced.keys[i].value = c.matrixNode(in, replaced.keys[i].value)
		}
		return &replaced
	}
	return n
}

// matrixText replaces $[[ matrix.NAME ]] by the value of the instance.
func (c *compiler) matrixText(in *instance, at *node, text string) string {
	if !strings.Contains(text, "$[[") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(text, "$[[")
		inner, after, closed := strings.Cut(rest, "]]")
		if !ok || !closed {
			b.WriteString(text)
			return b.String()
		}
		b.WriteString(before)
		name, isMatrix := strings.CutPrefix(strings.TrimSpace(inner), "matrix.")
		i := slices.IndexFunc(in.matrix, func(v pipeline.Variable) bool { return v.Name == name })
		switch {
		case isMatrix && i >= 0:
			b.WriteString(in.matrix[i].Value)
		case isMatrix:
			in.of.r.errorf(at, "needs", "needs", "names matrix.%s, which its matrix does not have", name)
			fallthrough
		default:
			b.WriteString("$[[" + inner + "]]")
		}
		text = after
	}
}

// resolveDependencies unfolds parallel jobs in dependencies:.
func (c *compiler) resolveDependencies(w *parsedJob) *[]string {
	if w.job.Dependencies == nil {
		return nil
	}
	names := []string{}
	for _, name := range *w.job.Dependencies {
		if base := c.byName[name]; base != nil && base.parallel.isSet {
			for _, i := range base.instances {
				names = append(names, i.name)
			}
			continue
		}
		names = append(names, name)
	}
	return &names
}
