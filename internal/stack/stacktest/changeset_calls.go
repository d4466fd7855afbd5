package stacktest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// named finds the change set that a request names, by ARN or with its stack.
func (s *Server) named(c call) (*changeSet, error) {
	name := c.Get("ChangeSetName")
	gone := &fault{http.StatusNotFound, "ChangeSetNotFound", fmt.Sprintf("ChangeSet [%s] does not exist", name)}
	if strings.HasPrefix(name, "arn:") {
		for _, st := range s.stacks {
			for _, cs := range st.changeSets {
				if cs.arn == name && st.identity.account == c.account && st.identity.region == c.region {
					return cs, nil
				}
			}
		}
		return nil, gone
	}
	if c.Get("StackName") == "" {
		return nil, invalid("StackName must be specified if ChangeSetName is not specified as an ARN.")
	}
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	for _, cs := range slices.Backward(st.changeSets) {
		if cs.name == name {
			return cs, nil
		}
	}
	return nil, gone
}

func (s *Server) describeChangeSet(c call) ([]elem, error) {
	cs, err := s.named(c)
	if err != nil {
		return nil, err
	}
	s.ripen(cs)
	values := c.flag("IncludePropertyValues")
	var shown []*change
	if cs.status == "CREATE_COMPLETE" {
		for _, ch := range cs.changes {
			if !values || !ch.plainOnly {
				shown = append(shown, ch)
			}
		}
	}
	part, more, err := page(shown, c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	reason := cs.reason
	if values && reason == "" && cs.status == "CREATE_COMPLETE" {
		reason = cs.warning
	}
	parent, root := elem{}, elem{}
	if cs.parent != nil {
		parent, root = el("ParentChangeSetId", cs.parent.arn), el("RootChangeSetId", cs.root.arn)
	}
	tags := elem{}
	if len(cs.tags) > 0 {
		tags = members("Tags", cs.tags, pairElems)
	}
	var importExisting elem // as recorded, the service names it only if it was asked for
	if cs.importExisting {
		importExisting = yes("ImportExistingResources", true)
	}
	return []elem{
		el("ChangeSetName", cs.name), el("ChangeSetId", cs.arn), el("StackId", cs.st.id), el("StackName", cs.st.name),
		opt("Description", cs.description), cs.parameterElems(), el("CreationTime", stamp(cs.created)),
		el("ExecutionStatus", cs.execution), el("Status", cs.status), opt("StatusReason", reason),
		texts("NotificationARNs", cs.notifications), group("RollbackConfiguration"),
		texts("Capabilities", slices.Sorted(slices.Values(cs.capabilities))), tags,
		members("Changes", part, func(ch *change) []elem {
			return []elem{el("Type", "Resource"), group("ResourceChange", ch.elems(values, cs.mode == "REVERT_DRIFT")...)}
		}),
		opt("NextToken", more), yes("IncludeNestedStacks", cs.includeNested), parent, root,
		opt("OnStackFailure", cs.onFailure), importExisting, opt("DeploymentMode", cs.mode),
	}, nil
}

func (ch *change) elems(values, drift bool) []elem {
	out := []elem{
		el("Action", ch.action), el("LogicalResourceId", ch.logical), opt("PhysicalResourceId", ch.physical),
		el("ResourceType", ch.kind), opt("Replacement", ch.replacement), opt("PolicyAction", ch.policy),
		texts("Scope", ch.scope),
	}
	var details []detail
	for _, dt := range ch.details {
		if values && !dt.plainOnly || !values && !dt.valuesOnly {
			details = append(details, dt)
		}
	}
	if !values {
		slices.SortStableFunc(details, func(a, b detail) int { return strings.Compare(b.source, a.source) })
	}
	out = append(out, members("Details", details, func(dt detail) []elem { return dt.elems(values) }))
	if values {
		if ch.before != nil {
			out = append(out, el("BeforeContext", jsonText(ch.before)))
		}
		if ch.after != nil {
			out = append(out, el("AfterContext", jsonText(ch.after)))
		}
	}
	if ch.nested != nil {
		out = append(out, el("ChangeSetId", ch.nested.arn))
	}
	switch {
	case drift && ch.drifted:
		out = append(out, el("ResourceDriftStatus", "MODIFIED"))
	case drift:
		out = append(out, el("ResourceDriftStatus", "IN_SYNC"))
	}
	return out
}

func (dt detail) elems(values bool) []elem {
	to := []elem{el("Attribute", dt.attribute), opt("Name", dt.name), el("RequiresRecreation", dt.recreation)}
	if values && dt.kind != "" {
		to = append(to, opt("Path", dt.path), el("AttributeChangeType", dt.kind))
		if dt.kind != "Add" {
			to = append(to, el("BeforeValue", dt.before))
		}
		if dt.kind != "Remove" {
			to = append(to, el("AfterValue", dt.after))
		}
	}
	return []elem{group("Target", to...), el("Evaluation", dt.evaluation), el("ChangeSource", dt.source), opt("CausingEntity", dt.cause)}
}

func (s *Server) listChangeSets(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	part, more, err := page(st.changeSets, c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	for _, cs := range part {
		s.ripen(cs)
	}
	return []elem{members("Summaries", part, func(cs *changeSet) []elem {
		parent, root := elem{}, elem{}
		if cs.parent != nil {
			parent, root = el("ParentChangeSetId", cs.parent.arn), el("RootChangeSetId", cs.root.arn)
		}
		return []elem{el("StackId", st.id), el("StackName", st.name), el("ChangeSetId", cs.arn), el("ChangeSetName", cs.name),
			el("ExecutionStatus", cs.execution), el("Status", cs.status), opt("StatusReason", cs.reason), opt("Description", cs.description),
			el("CreationTime", stamp(cs.created)), yes("IncludeNestedStacks", cs.includeNested), parent, root}
	}), opt("NextToken", more)}, nil
}

func (s *Server) deleteChangeSet(c call) ([]elem, error) {
	cs, err := s.named(c)
	if f := (*fault)(nil); errors.As(err, &f) && f.code == "ChangeSetNotFound" && strings.HasPrefix(c.Get("ChangeSetName"), "arn:") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case cs.parent != nil:
		return nil, &fault{http.StatusBadRequest, "InvalidChangeSetStatus",
			fmt.Sprintf("ChangeSet [%s] is nested and can only be deleted from its root change set [%s]", cs.arn, cs.root.arn)}
	case cs.execution == "EXECUTE_IN_PROGRESS":
		return nil, &fault{http.StatusBadRequest, "InvalidChangeSetStatus",
			fmt.Sprintf("ChangeSet [%s] cannot be deleted in its current status of [EXECUTE_IN_PROGRESS]", cs.arn)}
	}
	s.discard(cs)
	return nil, nil
}

func (s *Server) executeChangeSet(c call) ([]elem, error) {
	cs, err := s.named(c)
	if err != nil {
		return nil, err
	}
	s.ripen(cs)
	refused := func(status string) error {
		return &fault{http.StatusBadRequest, "InvalidChangeSetStatus",
			fmt.Sprintf("ChangeSet [%s] cannot be executed in its current status of [%s]", cs.arn, status)}
	}
	switch {
	case cs.status != "CREATE_COMPLETE":
		return nil, refused(cs.status)
	case cs.execution != "AVAILABLE":
		return nil, refused(cs.execution)
	case cs.parent != nil:
		return nil, &fault{http.StatusBadRequest, "InvalidChangeSetStatus",
			fmt.Sprintf("ChangeSet [%s] is nested and can only be executed from its root change set [%s]", cs.arn, cs.root.arn)}
	case cs.onFailure != "" && c.Has("DisableRollback"):
		return nil, invalid("DisableRollback cannot be specified for a change set that was created with OnStackFailure")
	case cs.kind == "UPDATE":
		if err := cs.st.updatable(); err != nil {
			return nil, err
		}
	}
	d := &deployment{s: s, st: cs.st, to: cs.target, cs: cs, token: c.Get("ClientRequestToken"), noRollback: c.flag("DisableRollback"),
		onFailure: cs.onFailure, retainExceptOnCreate: c.flag("RetainExceptOnCreate")}
	cs.st.changeSet = cs.arn
	if cs.role != "" {
		cs.st.role = cs.role
	}
	cs.st.disableRollback = d.noRollback
	s.start(d, cs.kind)
	return nil, nil
}

// supersede makes the other change sets of a stack obsolete.
func (st *stack) supersede(but *changeSet) {
	for _, cs := range st.changeSets {
		if cs != but && (cs.execution == "AVAILABLE" || cs.execution == "UNAVAILABLE") && cs.status != "FAILED" {
			cs.execution = "OBSOLETE"
			cs.verdict = cs.status
			if cs.left > 0 {
				cs.left, cs.status = 0, "CREATE_COMPLETE"
			}
			for _, kid := range cs.children {
				kid.st.supersede(nil)
			}
		}
	}
}

func (s *Server) describeEvents(c call) ([]elem, error) {
	if !strings.HasPrefix(c.Get("ChangeSetName"), "arn:") && c.Get("StackName") == "" {
		return nil, invalid("One of ChangeSetName, OperationId or StackName must be specified")
	}
	if c.Get("ChangeSetName") == "" {
		return s.operationEvents(c)
	}
	cs, err := s.named(c)
	if err != nil {
		return nil, err
	}
	s.ripen(cs)
	var all []earlyEvent
	if cs.left == 0 {
		all = cs.early
	}
	part, more, err := page(all, c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	return []elem{members("OperationEvents", part, func(e earlyEvent) []elem {
		mode := "FAIL"
		if e.Warn {
			mode = "WARN"
		}
		return []elem{el("EventId", e.id), el("StackId", cs.st.id), el("OperationId", strings.TrimPrefix(cs.arn[strings.LastIndex(cs.arn, "/"):], "/")),
			el("OperationType", "CREATE_CHANGESET"), el("OperationStatus", "FAILED"), el("EventType", "VALIDATION_ERROR"),
			el("LogicalResourceId", e.Resource), opt("PhysicalResourceId", e.physical), el("ResourceType", e.kind),
			el("Timestamp", stamp(e.at)), el("ValidationFailureMode", mode), el("ValidationName", e.Name),
			el("ValidationStatus", "FAILED"), el("ValidationStatusReason", e.Reason), opt("ValidationPath", e.Path)}
	}), opt("NextToken", more)}, nil
}

// operationEvents returns a stack's events in the newer form.
func (s *Server) operationEvents(c call) ([]elem, error) {
	st := s.find(c.identity, c.Get("StackName"))
	if st == nil {
		return nil, invalid("Stack [%s] does not exist", c.Get("StackName"))
	}
	s.look(st)
	var all []event
	for _, e := range slices.Backward(st.events) {
		if !c.flag("Filters.FailedEvents") || strings.HasSuffix(e.status, "_FAILED") {
			all = append(all, e)
		}
	}
	part, more, err := page(all, c.Get("NextToken"), s.size(100))
	if err != nil {
		return nil, err
	}
	return []elem{members("OperationEvents", part, func(e event) []elem {
		kind := "STACK_EVENT"
		if strings.HasSuffix(e.status, "_FAILED") && e.logical != st.name {
			kind = "PROVISIONING_ERROR"
		}
		return []elem{el("EventId", e.id), el("StackId", st.id), el("EventType", kind), el("LogicalResourceId", e.logical),
			opt("PhysicalResourceId", e.physical), el("ResourceType", e.kind), el("ResourceStatus", e.status),
			opt("ResourceStatusReason", e.reason), el("Timestamp", stamp(e.at)), opt("ClientRequestToken", e.token)}
	}), opt("NextToken", more)}, nil
}
