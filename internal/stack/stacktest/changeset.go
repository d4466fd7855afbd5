package stacktest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"
)

type changeSet struct {
	arn, name, description string
	st                     *stack
	kind                   string // CREATE, UPDATE, IMPORT
	status, execution      string
	reason, warning        string
	created                time.Time
	target
	role, onFailure, mode, token string
	includeNested                bool
	changes                      []*change
	outputsChange                bool
	left                         int // looks until it is ready
	verdict, verdictReason       string
	early                        []earlyEvent
	conflicts                    []EarlyValidation
	parent, root                 *changeSet
	children                     map[string]*changeSet
	ownStack                     bool // the stack was made for this nested change set
}

type earlyEvent struct {
	EarlyValidation
	id, kind, physical string
	at                 time.Time
}

const maxChangeSets = 1000 // of a stack

const (
	noChanges = "The submitted information didn't contain changes. Submit different information to create a change set."
	noUpdates = "No updates are to be performed."
)

// source reads the template of a request; nil when it is to be the previous.
func (s *Server) source(c call, previous *stack) (*template, error) {
	body, url := c.Get("TemplateBody"), c.Get("TemplateURL")
	switch {
	case body != "" && url != "":
		return nil, invalid("Either Template URL or Template Body must be specified, not both.")
	case c.flag("UsePreviousTemplate") && previous.exists() && previous.template != nil:
		return previous.template, nil
	case len(body) > maxInline:
		return nil, invalid("1 validation error detected: Value at 'templateBody' failed to satisfy constraint: Member must have length less than or equal to 51200")
	case body != "":
		return parseTemplate(body)
	case url != "":
		text, err := s.fetch(url)
		if err != nil {
			return nil, err
		}
		return parseTemplate(text)
	default:
		return nil, invalid("Either Template URL or Template Body must be specified.")
	}
}

// aim reads from a request what a stack shall become.
func (s *Server) aim(c call, st *stack) (target, error) {
	to := target{tags: c.pairs("Tags"), capabilities: c.list("Capabilities"), notifications: c.list("NotificationARNs"),
		imports: map[string]string{}, importExisting: c.flag("ImportExistingResources")}
	var err error
	if to.template, err = s.source(c, st); err != nil {
		return to, err
	}
	var list []given
	for i, r := range c.records("Parameters") {
		if value := r.Get("ParameterValue"); len(value) > 4096 {
			return to, invalid("1 validation error detected: Value '%s' at 'parameters.%d.member.parameterValue' failed to satisfy constraint: Member must have length less than or equal to 4096", value, i+1)
		}
		list = append(list, given{r.Get("ParameterKey"), r.Get("ParameterValue"), r.Get("UsePreviousValue") == "true"})
	}
	var previous map[string]string
	if st.exists() {
		previous = st.parameters
	}
	if to.parameters, err = to.template.bind(list, previous); err != nil {
		return to, err
	}
	if err := to.transform(); err != nil {
		return to, err
	}
	if allowed := c.list("ResourceTypes"); len(allowed) > 0 {
		if err := checkTypes(to.template, allowed); err != nil {
			return to, err
		}
	}
	if arn := c.Get("RoleARN"); arn != "" && !strings.Contains(arn, ":role/") {
		return to, invalid("Role %s is invalid or cannot be assumed", arn)
	}
	return to, checkCapabilities(to)
}

// transform does what the parameters' values decide: loops over them.
func (to *target) transform() error {
	for _, name := range to.template.transforms {
		if strings.HasPrefix(name, "AWS::Serverless-") && slices.Contains(to.capabilities, "CAPABILITY_AUTO_EXPAND") {
			return invalid("Transform %s failed with: this cloud, which is for tests, does not know it", name)
		}
	}
	if !slices.Contains(to.template.transforms, languageExtensions) {
		return nil
	}
	t, err := parseWith(to.template.body, to.parameters)
	if err == nil {
		to.template = t
	}
	return err
}

func checkTypes(t *template, allowed []string) error {
	for _, name := range sortedKeys(t.resources) {
		kind := t.resources[name].kind
		fits := slices.ContainsFunc(allowed, func(a string) bool {
			prefix, all := strings.CutSuffix(a, "::*")
			return a == kind || all && strings.HasPrefix(kind, prefix+"::")
		})
		if !fits {
			return invalid("Resource type %s is not allowed by parameter ResourceTypes [%s]", kind, strings.Join(allowed, ", "))
		}
	}
	return nil
}

func checkCapabilities(to target) error {
	need := ""
	if len(to.template.transforms) > 0 {
		need = "CAPABILITY_AUTO_EXPAND"
		if slices.Contains(to.capabilities, need) || slices.Equal(to.template.transforms, []string{"AWS::LanguageExtensions"}) {
			need = ""
		}
	}
	for _, name := range sortedKeys(to.template.resources) {
		d := to.template.resources[name]
		wants := needsIAM(d.kind, d.properties)
		has := slices.Contains(to.capabilities, "CAPABILITY_NAMED_IAM") || wants == "CAPABILITY_IAM" && slices.Contains(to.capabilities, wants)
		if wants != "" && !has && need != "CAPABILITY_NAMED_IAM" {
			need = wants
		}
	}
	if need == "" {
		return nil
	}
	return &fault{http.StatusBadRequest, "InsufficientCapabilitiesException", "Requires capabilities : [" + need + "]"}
}

var (
	stackNames     = `[a-zA-Z][-a-zA-Z0-9]*|arn:[-a-zA-Z0-9:/._+]*`
	changeSetNames = `[a-zA-Z][-a-zA-Z0-9]*`
)

func matches(pattern, field, value string) error {
	if regexp.MustCompile("^(?:" + pattern + ")$").MatchString(value) {
		return nil
	}
	return invalid("1 validation error detected: Value '%s' at '%s' failed to satisfy constraint: Member must satisfy regular expression pattern: %s", value, field, pattern)
}

func (s *Server) createChangeSet(c call) ([]elem, error) {
	if err := matches(stackNames, "stackName", c.Get("StackName")); err != nil {
		return nil, err
	}
	name := c.Get("ChangeSetName")
	if err := matches(changeSetNames, "changeSetName", name); err != nil {
		return nil, err
	}
	if len(name) > 128 {
		return nil, invalid("1 validation error detected: Value '%s' at 'changeSetName' failed to satisfy constraint: Member must have length less than or equal to 128", name)
	}
	st, err := s.changeSetStack(c, name)
	if err != nil {
		return nil, err
	}
	if again, err := repeated(st, name, c.Get("ClientToken")); again != nil || err != nil {
		return again, err
	}
	to, err := s.aim(c, st)
	if err != nil {
		return nil, err
	}
	cs := &changeSet{name: name, description: c.Get("Description"), kind: kindOfChangeSet(c), target: to,
		role: c.Get("RoleARN"), onFailure: c.Get("OnStackFailure"), mode: c.Get("DeploymentMode"), token: c.Get("ClientToken"),
		includeNested: c.flag("IncludeNestedStacks"), children: map[string]*changeSet{}}
	if cs.onFailure == "DELETE" && cs.kind != "CREATE" {
		return nil, invalid("OnStackFailure DELETE is only supported for change sets of type CREATE")
	}
	if err := cs.readImports(c); err != nil {
		return nil, err
	}
	made := st == nil
	if made {
		st = s.newStack(c.identity, c.Get("StackName"))
	}
	if err := s.fill(cs, st); err != nil {
		if made {
			s.stacks = slices.DeleteFunc(s.stacks, func(o *stack) bool { return o == st })
		}
		return nil, err
	}
	if made {
		s.enter(st, "REVIEW_IN_PROGRESS", "User Initiated", "")
	}
	return []elem{el("Id", cs.arn), el("StackId", st.id)}, nil
}

func kindOfChangeSet(c call) string {
	if kind := c.Get("ChangeSetType"); kind != "" {
		return kind
	}
	return "UPDATE"
}

// changeSetStack finds the stack of a change set, nil when it is to be made.
func (s *Server) changeSetStack(c call, name string) (*stack, error) {
	asked := c.Get("StackName")
	st := s.find(c.identity, asked)
	switch kindOfChangeSet(c) {
	case "CREATE":
		if st != nil && st.status != "REVIEW_IN_PROGRESS" {
			return nil, invalid("Stack [%s] already exists and cannot be created again with the changeSet [%s].", asked, name)
		}
		return st, nil
	case "IMPORT":
		if st == nil || st.status == "REVIEW_IN_PROGRESS" {
			return st, nil
		}
	default:
		if st == nil {
			return nil, invalid("Stack [%s] does not exist", asked)
		}
	}
	return st, st.updatable()
}

// repeated answers a request that was sent before, by its token.
func repeated(st *stack, name, token string) ([]elem, error) {
	if st == nil {
		return nil, nil
	}
	if len(st.changeSets) >= maxChangeSets {
		return nil, &fault{http.StatusBadRequest, "LimitExceededException", fmt.Sprintf("ChangeSet limit exceeded for stack %s", st.name)}
	}
	for _, old := range st.changeSets {
		switch {
		case old.name != name:
		case token != "" && old.token == token:
			return []elem{el("Id", old.arn), el("StackId", st.id)}, nil
		case old.execution != "EXECUTE_COMPLETE" && old.execution != "OBSOLETE":
			return nil, &fault{http.StatusBadRequest, "AlreadyExistsException", fmt.Sprintf("ChangeSet %s already exists", name)}
		}
	}
	return nil, nil
}

// fill computes a change set of a stack and keeps it.
func (s *Server) fill(cs *changeSet, st *stack) error {
	cs.arn = fmt.Sprintf("arn:%s:cloudformation:%s:%s:changeSet/%s/%s",
		partition(st.identity.region), st.identity.region, st.identity.account, cs.name, s.uuid())
	cs.st, cs.created, cs.left = st, s.tick(), 2
	cs.status, cs.execution = "CREATE_PENDING", "UNAVAILABLE"
	var nested *changeSet
	if cs.includeNested {
		nested = cs
	}
	found, err := s.compare(st, cs.target, nested, cs.mode == "REVERT_DRIFT")
	if err != nil {
		s.discardChildren(cs)
		return err
	}
	cs.changes, cs.conflicts = found.changes, found.conflicts
	if len(found.warnings) > 0 {
		cs.warning = "[WARN] --include-property-values option can return incomplete ChangeSet data because: " + strings.Join(found.warnings, ", ")
	}
	if now, err := found.sc.outputs(); err == nil {
		cs.outputsChange = st.exists() && !sameOutputs(now, st.outputs)
	}
	cs.judge(s)
	st.changeSets = append(st.changeSets, cs)
	return nil
}

// sameOutputs is lenient with values that only the deployment will know.
func sameOutputs(a, b []output) bool {
	return slices.EqualFunc(a, b, func(x, y output) bool {
		return x.key == y.key && x.export == y.export && (x.value == y.value || strings.Contains(x.value, knownAfterApply))
	})
}

// judge decides what becomes of a change set once it is ready.
func (cs *changeSet) judge(s *Server) {
	cs.verdict = "CREATE_COMPLETE"
	fail := func(format string, args ...any) {
		cs.verdict, cs.verdictReason = "FAILED", fmt.Sprintf(format, args...)
	}
	for _, v := range append(slices.Clone(s.orders.early), cs.conflicts...) {
		d := cs.template.resources[v.Resource]
		if d == nil {
			continue
		}
		e := earlyEvent{EarlyValidation: v, id: s.uuid(), kind: d.kind, at: s.tick()}
		if r := cs.st.resources[v.Resource]; r != nil {
			e.physical = r.physical
		}
		cs.early = append(cs.early, e)
	}
	for _, e := range cs.early {
		if !e.Warn {
			fail("The following hook(s)/validation failed: [AWS::EarlyValidation::%s]. To troubleshoot Early Validation errors, use the DescribeEvents API for detailed failure information.", hookName(e.Name))
		}
	}
	if other := cs.besidesImports(); len(other) > 0 {
		fail("You have modified resources [%s] in your template that are not being imported. Update, create or delete operations cannot be executed during import operations.", strings.Join(other, ", "))
	}
	for _, name := range sortedKeys(cs.children) {
		if kid := cs.children[name]; kid.verdict == "FAILED" && cs.verdict != "FAILED" {
			fail("Nested change set %s was not successfully created: Currently in FAILED.", kid.arn)
		}
	}
	if cs.verdict == "FAILED" || !cs.empty() || cs.kind != "UPDATE" {
		return
	}
	if old := cs.st.target; old.template != nil && old.template.body == cs.template.body {
		fail(noChanges)
		return
	}
	fail(noUpdates)
}

// hookName is the name of the hook behind a validation.
func hookName(validation string) string {
	switch validation {
	case "NAME_CONFLICT_VALIDATION":
		return "ResourceExistenceCheck"
	case "PROPERTY_VALIDATION":
		return "PropertyValidation"
	default:
		return validation
	}
}

func (cs *changeSet) empty() bool { return len(cs.changes) == 0 && !cs.outputsChange }

// ripen takes a change set as far as one look does.
func (s *Server) ripen(cs *changeSet) {
	n := s.pace
	if n == 0 {
		n = cs.left
	}
	for ; n > 0 && cs.left > 0; n-- {
		cs.left--
		cs.status = "CREATE_IN_PROGRESS"
		if cs.left > 0 {
			continue
		}
		cs.status, cs.reason = cs.verdict, cs.verdictReason
		if cs.verdict == "CREATE_COMPLETE" {
			cs.execution = "AVAILABLE"
		}
	}
	for _, name := range sortedKeys(cs.children) {
		s.ripen(cs.children[name])
	}
}
