package stacktest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// deployment is one change of a stack under way. Each event is a step.
type deployment struct {
	s                    *Server
	st                   *stack
	to                   target
	cs                   *changeSet // or nil
	token                string
	step                 func()
	noRollback           bool
	retainExceptOnCreate bool
	onFailure            string
	update               bool
	importing            bool

	before        target // to go back to
	outputsBefore []output

	failed  []string
	done    []*job      // in the order they were done
	undone  []*job      // of done, already rolled back
	remains []*resource // replaced ones, to be deleted
	skip    []string
}

// job is what becomes of one resource.
type job struct {
	d          *declaration
	old, now   *resource
	replace    bool
	verb       string // CREATE, UPDATE, IMPORT
	properties map[string]any
	inner      *deployment // of a nested stack
}

// start sets a deployment going.
func (s *Server) start(d *deployment, kind string) {
	d.update, d.importing = d.st.exists(), kind == "IMPORT"
	d.st.supersede(d.cs)
	d.st.cancelled, d.st.broken = false, nil
	if d.cs != nil {
		d.cs.execute("EXECUTE_IN_PROGRESS")
	}
	s.begin(d.st, func(step func()) {
		d.step = step
		d.run()
	})
}

func (cs *changeSet) execute(status string) {
	cs.execution = status
	for _, kid := range cs.children {
		kid.execute(status)
	}
}

func (d *deployment) verb() string {
	switch {
	case d.importing:
		return "IMPORT"
	case d.update:
		return "UPDATE"
	default:
		return "CREATE"
	}
}

func (d *deployment) enter(status, reason string) {
	d.s.enter(d.st, status, reason, d.token)
	d.step()
}

func (d *deployment) report(r *resource, status, reason string) {
	d.s.report(d.st, r, status, reason, d.token)
	d.step()
}

// run deploys and reports whether it succeeded.
func (d *deployment) run() bool {
	reason := "User Initiated"
	if d.st.parent != nil {
		reason = ""
	}
	d.before, d.outputsBefore = d.st.target, d.st.outputs
	d.enter(d.verb()+"_IN_PROGRESS", reason)
	if d.apply() {
		d.succeed()
		return true
	}
	d.fail()
	return false
}

func (d *deployment) succeed() {
	d.commit()
	if d.update && !d.importing {
		d.enter("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "")
		if d.st.parent != nil {
			return // until it is sure that the stack around it does not go back
		}
	}
	d.finish()
}

// finish cleans up, in nested stacks too.
func (d *deployment) finish() {
	if d.update && !d.importing {
		d.cleanUp()
		for _, j := range d.done {
			if j.inner != nil && j.inner.update {
				j.inner.finish()
			}
		}
	}
	d.enter(d.verb()+"_COMPLETE", "")
	d.executed("EXECUTE_COMPLETE")
}

func (d *deployment) executed(status string) {
	if d.cs != nil {
		d.cs.execute(status)
	}
}

func (d *deployment) commit() {
	d.st.target = d.to
	if outputs, err := d.s.scope(d.st, d.to).outputs(); err == nil {
		d.st.outputs = outputs
	}
}

// apply creates and updates, wave by wave.
func (d *deployment) apply() bool {
	sc := d.s.scope(d.st, d.to)
	names, err := sc.active()
	if err != nil {
		return d.refuse(err)
	}
	for _, o := range d.exports(sc) {
		if _, owner := d.s.export(d.st.identity, o); owner != nil && owner != d.st {
			return d.refuse(invalid("Export with name %s is already exported by stack %s.", o, owner.name))
		}
	}
	for _, wave := range d.to.template.waves(names) {
		var jobs []*job
		for _, name := range wave {
			j, err := d.job(sc, d.to.template.resources[name])
			if err != nil {
				return d.refuse(err)
			}
			if j != nil {
				jobs = append(jobs, j)
			}
		}
		if d.st.top().cancelled || !d.wave(jobs) {
			return false
		}
	}
	for _, name := range sortedKeys(d.st.resources) {
		if !slices.Contains(names, name) {
			d.remains = append(d.remains, d.st.resources[name])
			delete(d.st.resources, name)
		}
	}
	return true
}

func (d *deployment) exports(sc *scope) []string {
	var out []string
	outputs, _ := sc.outputs()
	for _, o := range outputs {
		if o.export != "" {
			out = append(out, o.export)
		}
	}
	return out
}

// refuse fails before any resource does.
func (d *deployment) refuse(err error) bool {
	d.failed = append(d.failed, strings.TrimPrefix(err.Error(), "ValidationError: "))
	return false
}

// job decides what becomes of a resource; nil is nothing.
func (d *deployment) job(sc *scope, decl *declaration) (*job, error) {
	properties, err := sc.properties(decl)
	if err != nil {
		return nil, err
	}
	if text := jsonText(properties); strings.Contains(text, knownAfterApply) {
		return nil, d.unresolved(decl)
	}
	metadata, err := sc.value(decl.metadata)
	if err != nil {
		return nil, err
	}
	j := &job{d: decl, old: d.st.resources[decl.name], properties: properties, verb: "UPDATE"}
	j.now = &resource{logical: decl.name, kind: decl.kind, properties: properties, metadata: metadata,
		deletion: decl.deletion, replacing: decl.replacing}
	if j.old == nil {
		j.verb = "CREATE"
		if _, ok := d.to.imports[decl.name]; ok {
			j.verb = "IMPORT"
		}
		return j, nil
	}
	j.now.physical, j.now.name, j.now.nested = j.old.physical, j.old.name, j.old.nested
	j.now.status, j.now.updated = j.old.status, j.old.updated
	same := jsonText(j.old.actual()) == jsonText(properties)
	tagged := !kindOf(decl.kind).untagged && !slices.Equal(d.st.tags, d.to.tags)
	if same && !tagged && decl.kind != stackKind {
		d.st.resources[decl.name] = j.now
		return nil, nil
	}
	for name := range properties {
		changed := jsonText(properties[name]) != jsonText(j.old.properties[name])
		j.replace = j.replace || changed && kindOf(decl.kind).recreation(name) == "Always"
	}
	return j, nil
}

// unresolved names the export that is missing.
func (d *deployment) unresolved(decl *declaration) error {
	name := ""
	sc := d.s.scope(d.st, d.to)
	found := sc.export
	sc.export = func(n string) (string, bool) {
		v, ok := found(n)
		if !ok {
			name = n
		}
		return v, ok
	}
	_, _ = sc.properties(decl)
	if name != "" {
		return invalid("No export named %s found", name)
	}
	return invalid("Template error: resource %s has a value that cannot be resolved", decl.name)
}

// actual is what drift has made of the properties.
func (r *resource) actual() map[string]any {
	out := maps.Clone(r.properties)
	for name, v := range r.drifted {
		out[name] = v
	}
	return out
}

// wave does jobs that do not need each other: all begin, then all end. When
// one fails, those that have not ended are cancelled.
func (d *deployment) wave(jobs []*job) bool {
	for _, j := range jobs {
		reason := ""
		if j.replace {
			reason = "Requested update requires the creation of a new physical resource; hence creating one."
		}
		d.report(j.now, j.verb+"_IN_PROGRESS", reason)
	}
	for i, j := range jobs {
		reason, failed := d.do(j)
		if !failed {
			continue
		}
		d.failed = append(d.failed, j.d.name)
		d.report(j.now, j.verb+"_FAILED", reason)
		if d.noRollback && j.old != nil && j.inner == nil {
			j.now.properties = j.old.properties // it is still to be done
		}
		if j.verb != "CREATE" || j.now.physical != "" {
			d.keep(j)
		} else if d.noRollback {
			d.st.resources[j.d.name] = j.now
		}
		for _, other := range jobs[i+1:] {
			word := map[string]string{"CREATE": "creation"}[other.verb]
			if word == "" {
				word = "update"
			}
			d.failed = append(d.failed, other.d.name)
			d.report(other.now, other.verb+"_FAILED", "Resource "+word+" cancelled")
		}
		return false
	}
	return true
}

// keep puts a job's resource in the stack and remembers how to undo it.
func (d *deployment) keep(j *job) {
	d.st.resources[j.d.name] = j.now
	d.done = append(d.done, j)
}

// do returns the reason if a job fails.
func (d *deployment) do(j *job) (string, bool) {
	phases := []Phase{OnUpdate}
	switch {
	case j.verb == "CREATE":
		phases = []Phase{OnCreate}
	case j.replace:
		phases = []Phase{OnCreate, OnUpdate}
	}
	for _, phase := range phases {
		if reason, failed := d.s.orders.fails(j.d.name, phase); failed {
			return reason, true
		}
	}
	if refusal := d.forbidden(j); refusal != "" {
		return refusal, true
	}
	if j.d.kind == stackKind {
		return d.nested(j)
	}
	switch {
	case j.verb == "CREATE" && d.s.existing(d.st, j.d, j.properties) != "":
		return d.s.existing(d.st, j.d, j.properties) + " already exists", true
	case j.verb == "IMPORT":
		delete(d.s.outside, outsideKey{d.st.identity.account, d.st.identity.region, j.d.kind, d.to.imports[j.d.name]})
		j.now.name, j.now.physical = d.to.imports[j.d.name], d.to.imports[j.d.name]
	case j.verb == "CREATE" || j.replace:
		j.now.name, j.now.physical = d.s.invent(d.st, j.d, j.properties)
		d.report(j.now, j.verb+"_IN_PROGRESS", "Resource creation Initiated")
		if j.replace {
			old := *j.old
			old.deletion = j.d.replacing
			d.remains = append(d.remains, &old)
		}
	}
	d.keep(j)
	d.report(j.now, j.verb+"_COMPLETE", "")
	return "", false
}

// nested deploys a nested stack.
func (d *deployment) nested(j *job) (string, bool) {
	to, err := d.s.childTarget(d.st, d.to, j.properties)
	if err != nil {
		return strings.TrimPrefix(err.Error(), "ValidationError: "), true
	}
	var cs *changeSet
	if d.cs != nil {
		cs = d.cs.children[j.d.name]
	}
	kid := j.now.nested
	switch {
	case kid != nil:
	case cs != nil:
		kid = cs.st
	default:
		kid = d.s.childStack(d.st, j.d.name)
	}
	j.now.nested, j.now.physical, j.now.name = kid, kid.id, kid.id
	j.inner = &deployment{s: d.s, st: kid, to: to, cs: cs, token: d.token, step: d.step, noRollback: d.noRollback, retainExceptOnCreate: d.retainExceptOnCreate,
		onFailure: "DO_NOTHING", update: kid.exists()}
	if cs != nil {
		kid.changeSet = cs.arn
	}
	if j.verb == "CREATE" {
		d.report(j.now, "CREATE_IN_PROGRESS", "Resource creation Initiated")
	} else if unchanged(d.s, kid, to) {
		j.inner = nil
		d.keep(j)
		d.report(j.now, j.verb+"_COMPLETE", "")
		return "", false
	}
	if !j.inner.run() {
		word := map[string]string{"CREATE": "created", "UPDATE": "updated"}[j.verb]
		return fmt.Sprintf("Embedded stack %s was not successfully %s: %s", kid.id, word, kid.reason), true
	}
	d.keep(j)
	d.report(j.now, j.verb+"_COMPLETE", "")
	return "", false
}

func unchanged(s *Server, st *stack, to target) bool {
	found, err := s.compare(st, to, nil, false)
	if err != nil || len(found.changes) > 0 {
		return false
	}
	outputs, err := found.sc.outputs()
	return err == nil && sameOutputs(outputs, st.outputs)
}
