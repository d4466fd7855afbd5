package stacktest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func (s *Server) mine(c call) []*stack {
	var out []*stack
	for _, st := range slices.Backward(s.stacks) {
		if st.identity.account == c.account && st.identity.region == c.region {
			out = append(out, st)
		}
	}
	return out
}

func (s *Server) describeStacks(c call) ([]elem, error) {
	var all []*stack
	if name := c.Get("StackName"); name != "" {
		st := s.find(c.identity, name)
		if st == nil {
			return nil, invalid("Stack with id %s does not exist", name)
		}
		all = []*stack{st}
	} else {
		for _, st := range s.mine(c) {
			if st.status != "DELETE_COMPLETE" {
				all = append(all, st)
			}
		}
	}
	for _, st := range all {
		s.look(st)
	}
	part, more, err := page(all, c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	return []elem{members("Stacks", part, (*stack).elems), opt("NextToken", more)}, nil
}

func (s *Server) listStacks(c call) ([]elem, error) {
	wanted := c.list("StackStatusFilter")
	var all []*stack
	for _, st := range s.mine(c) {
		s.look(st)
		if len(wanted) == 0 || slices.Contains(wanted, st.status) {
			all = append(all, st)
		}
	}
	part, more, err := page(all, c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	return []elem{members("StackSummaries", part, func(st *stack) []elem {
		parent, root := elem{}, elem{}
		if st.parent != nil {
			parent, root = el("ParentId", st.parent.id), el("RootId", st.root.id)
		}
		return []elem{el("StackId", st.id), el("StackName", st.name), el("CreationTime", stamp(st.created)),
			opt("LastUpdatedTime", stamp(st.updated)), opt("DeletionTime", stamp(st.deleted)), el("StackStatus", st.status),
			opt("StackStatusReason", st.reason), parent, root,
			group("DriftInformation", el("StackDriftStatus", st.drift))}
	}), opt("NextToken", more)}, nil
}

func (s *Server) describeStackEvents(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	if c.Get("NextToken") == "" {
		s.look(st)
	}
	newest := slices.Clone(st.events)
	slices.Reverse(newest)
	part, more, err := page(newest, c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	return []elem{members("StackEvents", part, func(e event) []elem {
		return []elem{el("StackId", st.id), el("StackName", st.name), el("EventId", e.id), el("LogicalResourceId", e.logical),
			el("PhysicalResourceId", e.physical), el("ResourceType", e.kind), el("Timestamp", stamp(e.at)),
			el("ResourceStatus", e.status), opt("ResourceStatusReason", e.reason), opt("ResourceProperties", e.properties),
			opt("ClientRequestToken", e.token)}
	}), opt("NextToken", more)}, nil
}

func (s *Server) listStackResources(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack with id %s does not exist", c.Get("StackName"))
	}
	s.look(st)
	part, more, err := page(sortedKeys(st.resources), c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	return []elem{members("StackResourceSummaries", part, func(name string) []elem {
		r := st.resources[name]
		return []elem{el("LogicalResourceId", name), opt("PhysicalResourceId", r.physical), el("ResourceType", r.kind),
			el("LastUpdatedTimestamp", stamp(r.updated)), el("ResourceStatus", r.status), opt("ResourceStatusReason", r.reason),
			group("DriftInformation", el("StackResourceDriftStatus", st.driftOf(r)))}
	}), opt("NextToken", more)}, nil
}

func (s *Server) describeStackResource(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack '%s' does not exist", c.Get("StackName"))
	}
	s.look(st)
	r := st.resources[c.Get("LogicalResourceId")]
	if r == nil {
		return nil, invalid("Resource %s does not exist for stack %s", c.Get("LogicalResourceId"), st.name)
	}
	metadata := ""
	if r.metadata != nil {
		metadata = jsonText(r.metadata)
	}
	return []elem{group("StackResourceDetail", el("StackName", st.name), el("StackId", st.id), el("LogicalResourceId", r.logical),
		opt("PhysicalResourceId", r.physical), el("ResourceType", r.kind), el("LastUpdatedTimestamp", stamp(r.updated)),
		el("ResourceStatus", r.status), opt("ResourceStatusReason", r.reason), opt("Metadata", metadata),
		group("DriftInformation", el("StackResourceDriftStatus", st.driftOf(r))))}, nil
}

func (s *Server) createStack(c call) ([]elem, error) {
	name := c.Get("StackName")
	if err := matches(stackNames, "stackName", name); err != nil {
		return nil, err
	}
	st := s.find(c.identity, name)
	if st != nil && st.status != "REVIEW_IN_PROGRESS" {
		return nil, &fault{http.StatusBadRequest, "AlreadyExistsException", fmt.Sprintf("Stack [%s] already exists", name)}
	}
	to, err := s.aim(c, nil)
	if err != nil {
		return nil, err
	}
	if st == nil {
		st = s.newStack(c.identity, name)
	}
	st.role, st.protected, st.disableRollback = c.Get("RoleARN"), c.flag("EnableTerminationProtection"), c.flag("DisableRollback")
	d := &deployment{s: s, st: st, to: to, token: c.Get("ClientRequestToken"), noRollback: st.disableRollback, onFailure: c.Get("OnFailure")}
	s.start(d, "CREATE")
	return []elem{el("StackId", st.id)}, nil
}

func (s *Server) updateStack(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil || st.status == "REVIEW_IN_PROGRESS" {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	if err := st.updatable(); err != nil {
		return nil, err
	}
	to, err := s.aim(c, st)
	if err != nil {
		return nil, err
	}
	found, err := s.compare(st, to, nil, false)
	if err != nil {
		return nil, err
	}
	outputs, err := found.sc.outputs()
	if err == nil && len(found.changes) == 0 && sameOutputs(outputs, st.outputs) {
		return nil, invalid(noUpdates)
	}
	st.changeSet = ""
	d := &deployment{s: s, st: st, to: to, token: c.Get("ClientRequestToken"), noRollback: c.flag("DisableRollback")}
	s.start(d, "UPDATE")
	return []elem{el("StackId", st.id)}, nil
}

func (s *Server) deleteStack(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil || st.status == "DELETE_COMPLETE" || st.status == "DELETE_IN_PROGRESS" {
		return nil, nil
	}
	retain := c.list("RetainResources")
	force := c.Get("DeletionMode") == "FORCE_DELETE_STACK"
	switch {
	case st.protected:
		return nil, invalid("Stack [%s] cannot be deleted while TerminationProtection is enabled", st.name)
	case (len(retain) > 0 || force) && st.status != "DELETE_FAILED":
		return nil, invalid("Invalid operation on stack [%s]. Resources can only be retained if the stack is in DELETE_FAILED state", st.id)
	}
	st.finish()
	for _, o := range st.outputs {
		if o.export == "" {
			continue
		}
		if users := slices.DeleteFunc(s.importers(c.identity, o.export), func(n string) bool { return n == st.name }); len(users) > 0 {
			return nil, invalid("Export %s cannot be deleted as it is in use by %s", o.export, strings.Join(users, ", "))
		}
	}
	if force {
		retain = sortedKeys(st.resources)
	}
	if st.status == "REVIEW_IN_PROGRESS" {
		for len(st.changeSets) > 0 {
			s.discard(st.changeSets[0])
		}
	}
	d := &deployment{s: s, st: st, to: st.target, token: c.Get("ClientRequestToken"), skip: retain}
	st.deleted = s.clock
	s.begin(st, func(step func()) {
		d.step = step
		d.enter("DELETE_IN_PROGRESS", "User Initiated")
		d.erase("DELETE")
	})
	return nil, nil
}

func (s *Server) cancelUpdateStack(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	if st.status != "UPDATE_IN_PROGRESS" {
		return nil, invalid("CancelUpdateStack cannot be called from current stack status")
	}
	st.cancelled = true
	return nil, nil
}

func (s *Server) continueUpdateRollback(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	if st.status != "UPDATE_ROLLBACK_FAILED" || st.broken == nil {
		return nil, invalid("Stack:%s is in %s state and can not be updated.", st.id, st.status)
	}
	d := st.broken
	for _, name := range c.list("ResourcesToSkip") {
		_, logical, dotted := strings.Cut(name, ".")
		if r := st.resources[name]; !dotted && (r == nil || !strings.HasSuffix(r.status, "_FAILED")) {
			return nil, invalid("The following resource(s) [%s] are not in UPDATE_FAILED state and cannot be skipped", name)
		}
		d.skip = append(d.skip, name, logical)
	}
	d.token = c.Get("ClientRequestToken")
	s.begin(st, func(step func()) {
		d.step = step
		d.enter("UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
		d.undo()
	})
	return nil, nil
}

// rollbackStack takes back a deployment that failed and was kept.
func (s *Server) rollbackStack(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	failed := st.status == "CREATE_FAILED" || st.status == "UPDATE_FAILED"
	if !failed || st.broken == nil || st.parent != nil {
		return nil, invalid("Stack:%s is in %s state and can not be rolled back.", st.id, st.status)
	}
	d := st.broken
	d.token, d.retainExceptOnCreate = c.Get("ClientRequestToken"), c.flag("RetainExceptOnCreate")
	st.supersede(nil)
	s.begin(st, func(step func()) {
		d.step = step
		if d.update {
			d.enter("UPDATE_ROLLBACK_IN_PROGRESS", "User Initiated")
			d.undo()
			return
		}
		d.enter("ROLLBACK_IN_PROGRESS", "User Initiated")
		d.erase("ROLLBACK")
	})
	return []elem{el("StackId", st.id)}, nil
}

func (s *Server) updateTerminationProtection(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	st.protected = c.flag("EnableTerminationProtection")
	return []elem{el("StackId", st.id)}, nil
}

func (s *Server) setStackPolicy(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	body, url := c.Get("StackPolicyBody"), c.Get("StackPolicyURL")
	if body != "" && url != "" {
		return nil, invalid("You cannot specify both StackPolicyURL and StackPolicyBody")
	}
	if url != "" {
		var err error
		if body, err = s.fetch(url); err != nil {
			return nil, err
		}
	}
	if _, err := parsePolicy(body); err != nil {
		return nil, err
	}
	st.policy = body
	return nil, nil
}

func (s *Server) getStackPolicy(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	return []elem{opt("StackPolicyBody", st.policy)}, nil
}

func (s *Server) listExports(c call) ([]elem, error) {
	type export struct {
		o  output
		st *stack
	}
	var all []export
	for _, st := range s.mine(c) {
		for _, o := range st.outputs {
			if o.export != "" && st.exists() {
				all = append(all, export{o, st})
			}
		}
	}
	slices.SortFunc(all, func(a, b export) int { return strings.Compare(a.o.export, b.o.export) })
	part, more, err := page(all, c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	return []elem{members("Exports", part, func(e export) []elem {
		return []elem{el("ExportingStackId", e.st.id), el("Name", e.o.export), el("Value", e.o.value)}
	}), opt("NextToken", more)}, nil
}

func (s *Server) listImports(c call) ([]elem, error) {
	users := s.importers(c.identity, c.Get("ExportName"))
	if len(users) == 0 {
		return nil, invalid("Export '%s' is not imported by any stack.", c.Get("ExportName"))
	}
	return []elem{texts("Imports", users)}, nil
}
