package lint

import (
	"slices"
	"strings"

	"refline/internal/cfn"
)

// serviceTargets is what the actions of a service work on.
type serviceTargets struct {
	ARNs    []string         `json:"arns"`
	Actions map[string][]int `json:"actions"` // in small letters; indexes of ARNs
}

// targets are those of a service, empty when there is none of this name.
func (b *rulebook) targets(service string) serviceTargets {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.worksOn[service]
	if !ok {
		if b.worksOn == nil {
			b.worksOn = map[string]serviceTargets{}
		}
		// A service that is not known has no targets.
		_ = b.archive.load("policy/"+service, &t) //nolint:errcheck // see above
		b.worksOn[service] = t
	}
	return t
}

// statementResources notes actions of a statement that none of its resources is
// for (I3510). Resources that are not written out may be for anything.
func statementResources(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.Kind != cfn.Map {
		return
	}
	resources, computed, ok := e.statementTargets(sc, n)
	if !ok || len(resources) == 0 {
		return
	}
	here := at
	if i := fieldIndex(n, "Resource"); i >= 0 {
		here = at.key(n.Fields[i])
	}
	for _, list := range e.follow(sc, at, n, []string{"Action"}) {
		for _, action := range itemsOf(list.value) {
			service, name, named := strings.Cut(strings.ToLower(action.Text), ":")
			if !action.IsString() || !named || computed || strings.ContainsAny(action.Text, "*?") {
				continue
			}
			targets := e.lint.targets(service)
			of := targets.Actions[name]
			if len(of) == 0 || slices.ContainsFunc(of, func(i int) bool { return i < len(targets.ARNs) && anyCovers(resources, targets.ARNs[i]) }) {
				continue
			}
			out.add(problem{path: here.path, rule: b.id, fixed: true,
				message: "the action " + action.Text + " works on none of these resources", hint: "it is for " + targets.ARNs[of[len(of)-1]]})
		}
	}
}

// statementTargets are the resources of a statement that are written out, and
// whether there are others; ok is false when they are for anything.
func (e *engine) statementTargets(sc *scope, n *cfn.Node) (written []string, computed, ok bool) {
	for _, key := range []string{"Resource", "NotResource"} {
		for _, list := range e.follow(sc, place{}, n, []string{key}) {
			for _, item := range itemsOf(list.value) {
				bit, arg := anyFunction(item)
				switch {
				case item.IsString() && (item.Text == "*" || isDynamicReference(item.Text)), bit == fnRef && arg.IsString() && e.params[arg.Text] != nil:
					return nil, false, false
				case item.IsString():
					written = append(written, item.Text)
				case bit != 0:
					computed = true
				}
			}
		}
	}
	return written, computed, true
}

// itemsOf are the items of a list; of anything else it is itself.
func itemsOf(n *cfn.Node) []*cfn.Node {
	switch {
	case n == nil:
		return nil
	case n.Kind == cfn.List:
		return n.Items
	}
	return []*cfn.Node{n}
}

func anyCovers(resources []string, format string) bool {
	return slices.ContainsFunc(resources, func(r string) bool { return covers(r, format) })
}

// covers reports whether an ARN, perhaps with stars, may be of a format as
// arn:${Partition}:s3:::.*
func covers(resource, format string) bool {
	have, want := arnParts(resource), arnParts(format)
	for i := range want[:5] {
		if have[i] != "*" && !strings.HasPrefix(want[i], "${") && have[i] != want[i] {
			return false
		}
	}
	if have[5] == "*" {
		return true
	}
	delimiter := ":"
	if !strings.Contains(want[5], delimiter) {
		if delimiter = "/"; !strings.Contains(want[5], delimiter) {
			return true
		}
	}
	left, right := strings.Split(have[5], delimiter), strings.Split(want[5], delimiter)
	for i := range min(len(left), len(right)) {
		switch x, y := left[i], right[i]; {
		case x == y:
		case strings.HasPrefix(x, "*"), y == "", y == ".*", strings.HasPrefix(x, y) && strings.Contains(x, "*"):
			return true
		default:
			return false
		}
	}
	return true
}

// arnParts are the six parts of an ARN; those that are missing are stars.
func arnParts(arn string) [6]string {
	parts := [6]string{"*", "*", "*", "*", "*", "*"}
	for i, p := range strings.SplitN(arn, ":", 6) {
		parts[i] = p
	}
	return parts
}
