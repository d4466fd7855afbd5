package stacktest

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
)

type stack struct {
	identity identity
	name, id string
	status   string
	reason   string

	created, updated, deleted time.Time

	target    // what was deployed last
	resources map[string]*resource
	outputs   []output
	events    []event // oldest first
	changeSet string  // ARN of the one that was executed last

	role, policy    string
	protected       bool
	disableRollback bool
	drift           string
	driftChecked    time.Time

	changeSets   []*changeSet
	parent, root *stack
	work         *work
	broken       *deployment // that failed and is kept, or whose rollback failed
	cancelled    bool        // CancelUpdateStack was called
}

// target is what a deployment aims at.
type target struct {
	template      *template
	parameters    map[string]string
	tags          []pair
	capabilities  []string
	notifications []string
	imports       map[string]string // logical id -> physical id
	// importExisting takes in resources that exist and are in no stack.
	importExisting bool
}

type resource struct {
	logical, physical, name, kind string
	status, reason                string
	updated                       time.Time
	properties                    map[string]any
	metadata                      any
	deletion, replacing           string
	nested                        *stack
	drifted                       map[string]string // property -> actual value
}

type output struct{ key, value, description, export string }

type event struct {
	id, logical, physical, kind, status, reason, properties, token string
	at                                                             time.Time
}

// work is a deployment under way: next takes it one step further.
type work struct{ next func() (struct{}, bool) }

// begin starts work on a stack and takes the first step.
func (s *Server) begin(st *stack, run func(step func())) {
	next, _ := iter.Pull(func(yield func(struct{}) bool) {
		run(func() { yield(struct{}{}) })
	})
	st.work = &work{next}
	st.step(1)
}

func (st *stack) step(n int) {
	top := st.top()
	for ; top.work != nil && n > 0; n-- {
		if _, more := top.work.next(); !more {
			top.work = nil
		}
	}
}

func (st *stack) top() *stack {
	if st.root != nil {
		return st.root
	}
	return st
}

// look takes the work on a stack as far as one look does.
func (s *Server) look(st *stack) {
	if s.pace == 0 {
		st.finish()
		return
	}
	st.step(s.pace)
}

// finish takes the work on a stack to its end; there always is one.
func (st *stack) finish() {
	for st.top().work != nil {
		st.step(1)
	}
}

func (s *Server) newStack(who identity, name string) *stack {
	id := fmt.Sprintf("arn:%s:cloudformation:%s:%s:stack/%s/%s", partition(who.region), who.region, who.account, name, s.uuid())
	st := &stack{identity: who, name: name, id: id, created: s.tick(), resources: map[string]*resource{}, drift: "NOT_CHECKED"}
	s.stacks = append(s.stacks, st)
	return st
}

// find returns the stack of a name, or of an ARN, which finds deleted ones too.
func (s *Server) find(who identity, nameOrID string) *stack {
	for _, st := range slices.Backward(s.stacks) {
		mine := st.identity.account == who.account && st.identity.region == who.region
		if mine && (st.id == nameOrID || st.name == nameOrID && st.status != "DELETE_COMPLETE") {
			return st
		}
	}
	return nil
}

func (st *stack) exists() bool {
	return st != nil && st.status != "REVIEW_IN_PROGRESS" && st.status != "DELETE_COMPLETE"
}

// updatable is the answer to a change of a stack in a state that forbids it.
func (st *stack) updatable() error {
	switch st.status {
	case "CREATE_COMPLETE", "CREATE_FAILED", "UPDATE_COMPLETE", "UPDATE_FAILED", "UPDATE_ROLLBACK_COMPLETE",
		"IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE":
		return nil
	}
	return invalid("Stack:%s is in %s state and can not be updated.", st.id, st.status)
}

// enter puts the stack in a state and records an event.
func (s *Server) enter(st *stack, status, reason, token string) {
	st.status, st.reason = status, reason
	if status == "UPDATE_IN_PROGRESS" || status == "CREATE_IN_PROGRESS" && st.changeSet != "" {
		st.updated = s.clock
	}
	st.events = append(st.events, event{id: s.uuid(), logical: st.name, physical: st.id, kind: stackKind,
		status: status, reason: reason, token: token, at: s.tick()})
	if st.parent != nil {
		for _, r := range st.parent.resources {
			if r.nested == st {
				r.status = status
			}
		}
	}
}

// report puts a resource in a state and records an event.
func (s *Server) report(st *stack, r *resource, status, reason, token string) {
	r.status, r.reason, r.updated = status, reason, s.tick()
	id, properties := fmt.Sprintf("%s-%s-%s", r.logical, status, s.clock.Format("2006-01-02T15:04:05.000Z")), jsonText(r.properties)
	if strings.Contains(st.status, "CLEANUP") {
		// What is cleaned up no longer belongs to the stack, and reports less.
		id, properties = r.logical+"-"+s.uuid(), ""
	}
	st.events = append(st.events, event{id: id, logical: r.logical, physical: r.physical, kind: r.kind,
		status: status, reason: reason, properties: properties, token: token, at: s.clock})
}

func (s *Server) scope(st *stack, to target) *scope {
	return &scope{template: to.template, identity: st.identity, name: st.name, id: st.id, parameters: to.parameters,
		reference: func(name string) string {
			if r := st.resources[name]; r != nil {
				return r.physical
			}
			return knownAfterApply
		},
		attribute: func(name, attribute string) string {
			if r := st.resources[name]; r != nil {
				return st.get(r, attribute)
			}
			return knownAfterApply
		},
		export: func(name string) (string, bool) {
			o, owner := s.export(st.identity, name)
			return o.value, owner != nil
		},
	}
}

func (s *Server) export(who identity, name string) (output, *stack) {
	for _, st := range s.stacks {
		if st.identity.account != who.account || st.identity.region != who.region || st.status == "DELETE_COMPLETE" {
			continue
		}
		for _, o := range st.outputs {
			if o.export == name && name != "" {
				return o, st
			}
		}
	}
	return output{}, nil
}

// importers lists the stacks that use an export.
func (s *Server) importers(who identity, name string) []string {
	var out []string
	for _, st := range s.stacks {
		if !st.exists() || st.template == nil || st.identity.account != who.account || st.identity.region != who.region {
			continue
		}
		sc := s.scope(st, st.target)
		used := false
		sc.export = func(n string) (string, bool) { used = used || n == name; return "", true }
		for _, d := range st.template.resources {
			_, _ = sc.value(d.properties)
		}
		if used {
			out = append(out, st.name)
		}
	}
	return out
}

// active lists the resources of a template whose conditions hold.
func (sc *scope) active() ([]string, error) {
	var out []string
	for _, name := range sortedKeys(sc.template.resources) {
		d := sc.template.resources[name]
		if d.condition != "" {
			yes, err := sc.condition(d.condition)
			if err != nil {
				return nil, err
			}
			if !yes {
				continue
			}
		}
		out = append(out, name)
	}
	return out, nil
}

func (sc *scope) properties(d *declaration) (map[string]any, error) {
	v, err := sc.value(d.properties)
	if err != nil {
		return nil, err
	}
	m, _ := v.(map[string]any)
	return m, nil
}

func (sc *scope) outputs() ([]output, error) {
	var out []output
	for _, key := range sortedKeys(sc.template.outputs) {
		d := sc.template.outputs[key]
		if name, ok := d["Condition"].(string); ok {
			yes, err := sc.condition(name)
			if err != nil {
				return nil, err
			}
			if !yes {
				continue
			}
		}
		value, err := sc.value(d["Value"])
		if err != nil {
			return nil, err
		}
		o := output{key: key, value: text(value)}
		o.description, _ = d["Description"].(string)
		if e, ok := d["Export"].(map[string]any); ok {
			name, err := sc.value(e["Name"])
			if err != nil {
				return nil, err
			}
			o.export = text(name)
		}
		out = append(out, o)
	}
	return out, nil
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// parameterElems hides the values that must not be seen.
func (to target) parameterElems() elem {
	out := elem{}
	if to.template == nil {
		return out
	}
	for _, name := range sortedKeys(to.parameters) {
		p := to.template.parameters[name]
		if p == nil {
			continue
		}
		value := to.parameters[name]
		if p.noEcho {
			value = "****"
		}
		out.name = "Parameters"
		out.kids = append(out.kids, group("member", el("ParameterKey", name), el("ParameterValue", value)))
	}
	return out
}

func (st *stack) elems() []elem {
	capabilities := elem{}
	if len(st.capabilities) > 0 {
		sorted := slices.Sorted(slices.Values(st.capabilities))
		capabilities = texts("Capabilities", sorted)
	}
	outputs := elem{}
	if len(st.outputs) > 0 {
		outputs = members("Outputs", st.outputs, func(o output) []elem {
			return []elem{el("OutputKey", o.key), el("OutputValue", o.value), opt("Description", o.description), opt("ExportName", o.export)}
		})
	}
	description, parent, root, protection := "", elem{}, elem{}, elem{}
	if st.template != nil {
		description = st.template.description
	}
	if st.parent != nil {
		parent, root = el("ParentId", st.parent.id), el("RootId", st.root.id)
	}
	if st.status != "DELETE_COMPLETE" {
		protection = yes("EnableTerminationProtection", st.protected)
	}
	changeSet := st.changeSet
	if strings.HasPrefix(st.status, "DELETE_") {
		changeSet = ""
	}
	return []elem{
		el("StackId", st.id), el("StackName", st.name), opt("ChangeSetId", changeSet), opt("Description", description),
		st.parameterElems(), el("CreationTime", stamp(st.created)), opt("LastUpdatedTime", stamp(st.updated)),
		opt("DeletionTime", stamp(st.deleted)), el("StackStatus", st.status), opt("StackStatusReason", st.reason),
		yes("DisableRollback", st.disableRollback), texts("NotificationARNs", st.notifications), capabilities, outputs,
		opt("RoleARN", st.role), members("Tags", st.tags, pairElems), protection, parent, root,
		group("DriftInformation", el("StackDriftStatus", st.drift), opt("LastCheckTimestamp", stamp(st.driftChecked))),
		group("RollbackConfiguration"),
	}
}
