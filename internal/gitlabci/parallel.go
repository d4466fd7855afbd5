package gitlabci

import (
	"strconv"
	"strings"

	"refline/internal/pipeline"
)

// maxParallel is how many instances one job may have.
const maxParallel = 200

// parallelSpec is parallel: of a job: a number, or the combinations of a matrix.
type parallelSpec struct {
	number int
	matrix [][]pipeline.Variable // each the variables of one instance
	isSet  bool
}

// instance is one job of a pipeline: a written job, or one of its parallel ones.
type instance struct {
	of     *parsedJob
	name   string
	index  int // from 1, 0 when not parallel
	total  int
	matrix []pipeline.Variable

	needs        []resolved
	dependencies *[]string
	outcome      outcome
	rule         *node        // the one that matched, nil without
	job          pipeline.Job // when it is in the pipeline
}

// readParallel decodes parallel:. A job that triggers may only have a matrix.
func (r reader) readParallel(n *node, bridge bool) parallelSpec {
	switch {
	case n.kind == mapNode:
		if !r.mapping(n, "parallel", "matrix") {
			return parallelSpec{}
		}
		matrix := n.get("matrix")
		if absent(matrix) {
			r.errorf(n, "value", "parallel:matrix", "is missing")
			return parallelSpec{}
		}
		return parallelSpec{matrix: r.readMatrix(matrix, "parallel:matrix"), isSet: true}
	case n.kind != intNode:
		r.wrong(n, "parallel", "a whole number or a map with matrix")
	case bridge:
		r.errorf(n, "value", "parallel", "must be a matrix in a trigger job")
	default:
		number, ok := r.integer(n, "parallel", 1, maxParallel)
		return parallelSpec{number: number, isSet: ok}
	}
	return parallelSpec{}
}

// readMatrix decodes a list of maps of names and values into combinations. The
// first key changes slowest.
func (r reader) readMatrix(n *node, path string) [][]pipeline.Variable {
	if n.kind != seqNode {
		r.wrong(n, path, "a list of maps")
		return nil
	}
	var all [][]pipeline.Variable
	total := 0
	for _, item := range n.items {
		if item.kind != mapNode {
			r.wrong(item, path, "a list of maps")
			return nil
		}
		if len(item.keys) == 0 {
			r.errorf(item, "value", path, "must not have an empty map")
			continue
		}
		product := 1
		values := make([][]string, len(item.keys))
		for i := range item.keys {
			values[i] = r.matrixValues(item.keys[i].value, path+":"+item.keys[i].name)
			product = min(product*len(values[i]), maxParallel+1)
		}
		if total += product; total > maxParallel {
			r.errorf(n, "limit", path, "makes more than %d jobs", maxParallel)
			return nil
		}
		all = combine(all, item.keys, values)
	}
	return all
}

// matrixValues reads one value or a list of them: strings and whole numbers.
func (r reader) matrixValues(n *node, path string) []string {
	items := []*node{n}
	if n.kind == seqNode {
		items = n.items
	}
	if len(items) == 0 || n.kind == nullNode || n.kind == stringNode && n.text == "" {
		r.errorf(n, "value", path, "must not be empty")
		return nil
	}
	out := make([]string, 0, len(items))
	for _, item := range items {
		switch item.kind {
		case stringNode, intNode:
			out = append(out, item.text)
		default:
			if r.wrong(item, path, "a string, a whole number or a list of them") && item.text != "" {
				r.f.hint("put it in quotes: " + quote(item.text))
			}
			return nil
		}
	}
	return out
}

// combine appends each combination of one value a key.
func combine(out [][]pipeline.Variable, keys []field, values [][]string) [][]pipeline.Variable {
	count := 1
	for _, v := range values {
		count *= len(v)
	}
	for i := range count {
		set := make([]pipeline.Variable, len(keys))
		rest := i
		for k := len(keys) - 1; k >= 0; k-- {
			set[k] = pipeline.Variable{Name: keys[k].name, Value: values[k][rest%len(values[k])]}
			rest /= len(values[k])
		}
		out = append(out, set)
	}
	return out
}

// matrixName is the name of the instance of base with these values.
func matrixName(base string, set []pipeline.Variable) string {
	values := make([]string, len(set))
	for i, v := range set {
		values[i] = v.Value
	}
	return base + ": [" + strings.Join(values, ", ") + "]"
}

// expand makes the instances of a job. Combinations that give the same name
// are one job, the last of them.
func (w *parsedJob) expand() {
	switch {
	case !w.parallel.isSet:
		w.instances = []*instance{{of: w, name: w.name}}
	case w.parallel.number > 0:
		total := w.parallel.number
		for i := 1; i <= total; i++ {
			name := w.name + " " + strconv.Itoa(i) + "/" + strconv.Itoa(total)
			w.instances = append(w.instances, &instance{of: w, name: name, index: i, total: total})
		}
	default:
		byName := make(map[string]int)
		for i, set := range w.parallel.matrix {
			in := &instance{of: w, name: matrixName(w.name, set), index: i + 1, total: len(w.parallel.matrix), matrix: set}
			if at, ok := byName[in.name]; ok {
				w.instances[at] = in
				continue
			}
			byName[in.name] = len(w.instances)
			w.instances = append(w.instances, in)
		}
	}
}
