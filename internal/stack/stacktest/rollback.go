package stacktest

import (
	"fmt"
	"slices"
	"strings"
)

// fail ends a deployment that went wrong, as far as its settings say.
func (d *deployment) fail() {
	word := "create"
	if d.update {
		word = "update"
	}
	reason := fmt.Sprintf("The following resource(s) failed to %s: [%s]. ", word, strings.Join(d.failed, ", "))
	switch {
	case d.st.top().cancelled:
		reason = "User Initiated"
	case len(d.failed) == 1 && d.to.template.resources[d.failed[0]] == nil:
		reason = d.failed[0] + ". "
	}
	d.executed("EXECUTE_FAILED")
	switch {
	case d.noRollback || d.onFailure == "DO_NOTHING":
		d.st.target = d.to
		d.enter(d.verb()+"_FAILED", reason)
		d.st.broken = d // until somebody rolls it back, or deploys again
	case d.update:
		verb := strings.TrimSuffix(d.verb(), "_IN_PROGRESS")
		d.enter(verb+"_ROLLBACK_IN_PROGRESS", reason)
		d.undo()
	case d.onFailure == "DELETE":
		d.st.target = d.to
		d.enter("DELETE_IN_PROGRESS", reason)
		d.erase("DELETE")
	default:
		d.st.target = d.to
		d.enter("ROLLBACK_IN_PROGRESS", reason+"Rollback requested by user.")
		d.erase("ROLLBACK")
	}
}

// undo brings a stack back to what it was before an update.
func (d *deployment) undo() {
	for _, j := range slices.Backward(d.done) {
		if slices.Contains(d.undone, j) || j.old == nil {
			continue
		}
		if !d.restore(j) {
			d.st.broken = d
			d.enter(d.verb()+"_ROLLBACK_FAILED", fmt.Sprintf("The following resource(s) failed to update: [%s]. ", j.d.name))
			return
		}
		d.undone = append(d.undone, j)
	}
	d.st.broken = nil
	d.st.target, d.st.outputs = d.before, d.outputsBefore
	for _, r := range d.remains {
		if d.st.resources[r.logical] == nil {
			d.st.resources[r.logical] = r
		}
	}
	d.enter(d.verb()+"_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS", "")
	for _, j := range slices.Backward(d.done) {
		if j.old == nil {
			d.remove(j.now, d.ofCreation(j.d.deletion))
			delete(d.st.resources, j.d.name)
		} else if j.replace && j.now.physical != j.old.physical {
			made := *j.now
			d.removeQuietly(&made)
		}
	}
	for _, name := range sortedKeys(d.st.resources) {
		if r := d.st.resources[name]; r.status == "CREATE_FAILED" {
			d.remove(r, "Delete")
			delete(d.st.resources, name)
		}
	}
	d.enter(d.verb()+"_ROLLBACK_COMPLETE", "")
}

// restore undoes one job.
func (d *deployment) restore(j *job) bool {
	d.report(j.now, "UPDATE_IN_PROGRESS", "")
	skipped := slices.Contains(d.skip, j.d.name) || slices.Contains(d.skip, d.st.name+"."+j.d.name)
	if reason, failed := d.s.orders.fails(j.d.name, OnRollback); failed && !skipped {
		d.report(j.now, "UPDATE_FAILED", reason)
		return false
	}
	if j.inner != nil {
		inner := j.inner
		inner.step, inner.skip = d.step, d.skip
		inner.enter("UPDATE_ROLLBACK_IN_PROGRESS", "")
		inner.undo()
		if inner.st.status == "UPDATE_ROLLBACK_FAILED" {
			d.report(j.now, "UPDATE_FAILED", inner.st.reason)
			return false
		}
	}
	old := *j.old
	d.st.resources[j.d.name] = &old
	if skipped {
		d.report(&old, "UPDATE_COMPLETE", "Resource was skipped")
		return true
	}
	d.report(&old, "UPDATE_COMPLETE", "")
	return true
}

// cleanUp deletes what an update left behind; what cannot be deleted stays,
// and the update is good all the same.
func (d *deployment) cleanUp() {
	for _, r := range slices.Backward(d.remains) {
		if now := d.st.resources[r.logical]; now != nil && r.nested != nil && now.nested == r.nested {
			continue
		}
		d.remove(r, r.deletion)
	}
}

// remove deletes one resource or leaves it, as its policy says.
func (d *deployment) remove(r *resource, policyName string) bool {
	if policy(policyName) == "Retain" || slices.Contains(d.skip, r.logical) {
		d.s.leave(d.st, r)
		d.report(r, "DELETE_SKIPPED", "")
		return true
	}
	d.report(r, "DELETE_IN_PROGRESS", "")
	if reason, failed := d.s.orders.fails(r.logical, OnDelete); failed {
		d.report(r, "DELETE_FAILED", reason)
		return false
	}
	if r.nested != nil && r.nested.status != "DELETE_COMPLETE" {
		inner := &deployment{s: d.s, st: r.nested, to: r.nested.target, token: d.token, step: d.step}
		inner.enter("DELETE_IN_PROGRESS", "")
		if !inner.erase("DELETE") {
			d.report(r, "DELETE_FAILED", fmt.Sprintf("Embedded stack %s was not successfully deleted: %s", r.nested.id, r.nested.reason))
			return false
		}
	}
	d.report(r, "DELETE_COMPLETE", "")
	return true
}

// ofCreation is the policy for a resource whose creation is rolled back.
func (d *deployment) ofCreation(policyName string) string {
	if policyName == "" || policyName == "RetainExceptOnCreate" || d.retainExceptOnCreate && policyName == "Retain" {
		return "Delete"
	}
	return policyName
}

func (d *deployment) removeQuietly(r *resource) {
	status := r.status
	d.remove(r, "")
	r.status = status
}

// erase deletes all resources of a stack: of one that is deleted, or that
// could not be created. verb is DELETE or ROLLBACK.
func (d *deployment) erase(verb string) bool {
	var waves [][]string
	if t := d.st.template; t != nil {
		waves = t.waves(sortedKeys(d.st.resources))
	}
	var failed []string
	for _, wave := range slices.Backward(waves) {
		for _, name := range wave {
			r := d.st.resources[name]
			policyName := r.deletion
			if verb == "ROLLBACK" || d.onFailure == "DELETE" {
				policyName = d.ofCreation(policyName)
			}
			if d.remove(r, policyName) {
				delete(d.st.resources, name)
			} else {
				failed = append(failed, name)
			}
		}
		if failed != nil {
			d.enter(verb+"_FAILED", fmt.Sprintf("The following resource(s) failed to delete: [%s]. ", strings.Join(failed, ", ")))
			return false
		}
	}
	d.st.outputs = nil
	if verb == "DELETE" {
		d.st.deleted = d.s.clock
		d.st.drift = "NOT_CHECKED"
	}
	d.enter(verb+"_COMPLETE", "")
	return true
}
