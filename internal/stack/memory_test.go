package stack

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/stack/planfile"

	"refline/internal/errs"
)

// memory is a Cloud in memory. It does what tests tell it to: what a change
// set holds, how it fails, what happens when it is executed.
type memory struct {
	mu       sync.Mutex
	account  string
	now      time.Time
	stacks   map[string]*Stack // by name
	sets     map[string]*ChangeSet
	order    []string // change sets in the order they were made
	inputs   map[string]ChangeSetInput
	objects  map[string]Object
	failures map[string][]Failure
	events   map[string][]Event // by stack id, oldest first
	texts    map[string]string  // template of a stack or change set
	calls    []string
	sequence int

	// made decides what comes of a change set. Nil makes one without changes
	// to resources.
	made func(in ChangeSetInput, set *ChangeSet)
	// script are batches of events that an execution brings, one each poll;
	// the last status of the stack's own events is the stack's.
	script [][]Event
	queue  [][]Event
	// throttle refuses that many polls.
	throttle int
	execute  func(arn string) error
	drift    []Drift
	actions  []Action
}

var _ Cloud = (*memory)(nil)

func newMemory() *memory {
	return &memory{account: "111111111111", now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), stacks: map[string]*Stack{},
		sets: map[string]*ChangeSet{}, inputs: map[string]ChangeSetInput{}, objects: map[string]Object{},
		failures: map[string][]Failure{}, events: map[string][]Event{}, texts: map[string]string{}}
}

// open gives the memory as the environment's cloud.
func (m *memory) open(context.Context, Access) (Cloud, error) { return m, nil }

// clock is instant: sleeping moves the time on.
func (m *memory) clock() Clock {
	return Clock{
		Now: func() time.Time { m.mu.Lock(); defer m.mu.Unlock(); return m.now },
		Sleep: func(ctx context.Context, d time.Duration) error {
			m.mu.Lock()
			m.now = m.now.Add(d)
			m.mu.Unlock()
			return ctx.Err()
		},
		Jitter: func() float64 { return 0.5 },
	}
}

func (m *memory) call(format string, args ...any) func() {
	m.mu.Lock()
	m.calls = append(m.calls, fmt.Sprintf(format, args...))
	return m.mu.Unlock
}

func (m *memory) refused() error {
	if m.throttle > 0 {
		m.throttle--
		return errs.E(errs.Unavailable, "rate exceeded")
	}
	return nil
}

func (m *memory) find(name string) *Stack {
	for _, s := range m.stacks {
		if s.Name == name && s.Status != deleteComplete || s.ID == name {
			return s
		}
	}
	return nil
}

func (m *memory) add(name string, status Status) *Stack {
	s := &Stack{ID: "arn:aws:cloudformation:eu-west-1:" + m.account + ":stack/" + name + "/" + name + "-id", Name: name, Status: status, Created: m.now}
	m.stacks[s.ID] = s
	return s
}

func missing(name string) error {
	return errs.E(errs.NotFound, "Stack with id %s does not exist", name)
}

func (m *memory) Caller(context.Context) (Caller, error) {
	return Caller{Account: m.account, ARN: "arn:aws:iam::" + m.account + ":user/dev"}, nil
}

func (m *memory) Stack(_ context.Context, name string) (Stack, error) {
	defer m.call("Stack %s", name)()
	if s := m.find(name); s != nil {
		return *s, nil
	}
	return Stack{}, missing(name)
}

func (m *memory) Resources(_ context.Context, name string) ([]Resource, error) {
	defer m.call("Resources")()
	if m.find(name) == nil {
		return nil, missing(name)
	}
	return nil, nil
}

func (m *memory) Events(_ context.Context, q EventQuery) ([]Event, error) {
	defer m.call("Events")()
	if err := m.refused(); err != nil {
		return nil, err
	}
	s := m.find(q.Stack)
	if s == nil && m.events[q.Stack] == nil {
		return nil, missing(q.Stack)
	}
	id := q.Stack
	if s != nil {
		id = s.ID
	}
	if q.Limit == 0 && len(m.queue) > 0 && s != nil && s.Parent == "" {
		m.happen(m.queue[0])
		m.queue = m.queue[1:]
	}
	all := m.events[id]
	for i, e := range all {
		if e.ID == q.After {
			all = all[i+1:]
			break
		}
	}
	out := slices.Clone(all)
	slices.Reverse(out)
	if q.Limit > 0 && len(out) > q.Limit {
		out = out[:q.Limit]
	}
	return out, nil
}

// happen takes in events; the stack's own decide its status.
func (m *memory) happen(batch []Event) {
	for _, e := range batch {
		m.sequence++
		e.ID = fmt.Sprint(m.sequence)
		m.now = m.now.Add(time.Second)
		e.Time = m.now
		if s := m.stacks[e.StackID]; s != nil {
			e.StackName = s.Name
			if e.PhysicalID == e.StackID {
				s.Status, s.Reason = e.Status, e.Reason
			}
		}
		m.events[e.StackID] = append(m.events[e.StackID], e)
	}
}

func (m *memory) Template(_ context.Context, of string) (string, error) {
	defer m.call("Template")()
	if st := m.find(of); st != nil {
		of = st.Name
	}
	if text, ok := m.texts[of]; ok {
		return text, nil
	}
	return "", missing(of)
}

func (m *memory) Validate(context.Context, Source) (Validation, error) { return Validation{}, nil }

func (m *memory) Drift(_ context.Context, _, detection string) (Drift, error) {
	defer m.call("Drift %s", detection)()
	d := m.drift[0]
	m.drift = m.drift[1:]
	return d, nil
}

func (m *memory) Do(_ context.Context, name string, a Action) error {
	defer m.call("Do")()
	m.actions = append(m.actions, a)
	s := m.find(name)
	if s == nil {
		return missing(name)
	}
	switch {
	case a.Delete != nil && s.TerminationProtection:
		return errs.E(errs.Conflict, "termination protection is on")
	case a.Delete != nil && s.Status == reviewInProgress:
		s.Status = deleteComplete
	case a.Delete != nil || a.ContinueRollback != nil || a.Rollback != nil || a.CancelUpdate:
		m.queue = m.script
		s.Status = "DELETE_IN_PROGRESS"
	case a.Protect != nil:
		s.TerminationProtection = *a.Protect
	}
	return nil
}

func (m *memory) CreateChangeSet(_ context.Context, in ChangeSetInput) (ChangeSetRef, error) {
	defer m.call("CreateChangeSet %s", in.Type)()
	s := m.find(in.Stack)
	if s == nil {
		if in.Type != planfile.ChangeSetCreate {
			return ChangeSetRef{}, missing(in.Stack)
		}
		s = m.add(in.Stack, reviewInProgress)
	}
	arn := "arn:aws:cloudformation:eu-west-1:" + m.account + ":changeSet/" + in.Name + "/id"
	if m.sets[arn] != nil {
		return ChangeSetRef{}, errs.E(errs.Conflict, "ChangeSet %s already exists", in.Name)
	}
	set := &ChangeSet{ARN: arn, Name: in.Name, StackID: s.ID, StackName: s.Name, Description: in.Description, Status: createComplete,
		Execution: "AVAILABLE", Created: m.now, Tags: in.Tags, Capabilities: in.Capabilities}
	for _, p := range in.Parameters {
		value := p.Value
		if p.UsePrevious {
			value = "kept"
		}
		set.Parameters = append(set.Parameters, Pair{Key: p.Key, Value: value})
	}
	if m.made != nil {
		m.made(in, set)
	}
	m.texts[arn] = in.Template.Body
	if in.Template.URL != "" {
		m.texts[arn] = string(m.objects[strings.TrimPrefix(in.Template.URL, "https://s3/")].Body)
	}
	m.sets[arn], m.inputs[arn] = set, in
	m.order = append(m.order, arn)
	return ChangeSetRef{ARN: arn, StackID: s.ID}, nil
}

func (m *memory) ChangeSet(_ context.Context, arn string) (ChangeSet, error) {
	defer m.call("ChangeSet")()
	if err := m.refused(); err != nil {
		return ChangeSet{}, err
	}
	if set := m.sets[arn]; set != nil {
		return *set, nil
	}
	return ChangeSet{}, errs.E(errs.NotFound, "ChangeSet [%s] does not exist", arn)
}

func (m *memory) ListChangeSets(_ context.Context, name string) ([]ChangeSet, error) {
	defer m.call("ListChangeSets")()
	s := m.find(name)
	if s == nil {
		return nil, missing(name)
	}
	var out []ChangeSet
	for _, arn := range m.order {
		if set := m.sets[arn]; set != nil && set.StackID == s.ID {
			out = append(out, *set)
		}
	}
	return out, nil
}

func (m *memory) Failures(_ context.Context, arn string) ([]Failure, error) {
	defer m.call("Failures")()
	return m.failures[arn], nil
}

func (m *memory) ExecuteChangeSet(_ context.Context, arn string, o ExecuteOptions) error {
	rollback := "not sent"
	if o.DisableRollback != nil {
		rollback = fmt.Sprint(*o.DisableRollback)
	}
	defer m.call("ExecuteChangeSet disableRollback %s", rollback)()
	if m.execute != nil {
		if err := m.execute(arn); err != nil {
			return err
		}
	}
	set := m.sets[arn]
	for other, x := range m.sets {
		if x.StackID == set.StackID && other != arn {
			x.Execution = "OBSOLETE"
		}
	}
	set.Execution = "EXECUTE_COMPLETE"
	s := m.stacks[set.StackID]
	s.Status = map[bool]Status{true: "CREATE_IN_PROGRESS", false: "UPDATE_IN_PROGRESS"}[s.Status == reviewInProgress]
	m.texts[s.ID], m.texts[s.Name] = m.texts[arn], m.texts[arn]
	s.Parameters = set.Parameters
	m.queue = m.script
	for _, batch := range m.queue {
		for i := range batch {
			batch[i].Token = o.Token
			if batch[i].StackID == "" {
				batch[i].StackID = s.ID
			}
			if batch[i].PhysicalID == "self" {
				batch[i].PhysicalID, batch[i].Type, batch[i].LogicalID = s.ID, nestedStack, s.Name
			}
		}
	}
	return nil
}

func (m *memory) DeleteChangeSet(_ context.Context, arn string) error {
	defer m.call("DeleteChangeSet")()
	delete(m.sets, arn)
	return nil
}

func (m *memory) PutObject(_ context.Context, o Object) (bool, error) {
	defer m.call("PutObject")()
	key := o.Bucket + "/" + o.Key
	if _, there := m.objects[key]; there {
		return false, nil
	}
	o.Modified = m.now
	m.objects[key] = o
	return true, nil
}

func (m *memory) GetObject(_ context.Context, bucket, key string) (Object, error) {
	defer m.call("GetObject")()
	if o, ok := m.objects[bucket+"/"+key]; ok {
		return o, nil
	}
	return Object{}, errs.E(errs.NotFound, "no such key")
}

func (m *memory) ListObjects(_ context.Context, bucket, prefix string) ([]Object, error) {
	defer m.call("ListObjects")()
	var out []Object
	for k, o := range m.objects {
		if strings.HasPrefix(k, bucket+"/"+prefix) {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b Object) int { return strings.Compare(a.Key, b.Key) })
	return out, nil
}

func (m *memory) ObjectURL(bucket, key string) string { return "https://s3/" + bucket + "/" + key }

// count says how often a call was made.
func (m *memory) count(prefix string) int {
	n := 0
	for _, c := range m.calls {
		if strings.HasPrefix(c, prefix) {
			n++
		}
	}
	return n
}

// world is a configuration, its files and a cloud in memory.
type world struct {
	*memory
	*Session
	t *testing.T
}

const oneStack = `
stacks:
  landing: {template: template.yml%s}
environments:
  dev: {account: "111111111111", region: eu-west-1, refs: [develop]%s}
`

const bucketTemplate = `Resources:
  Bucket:
    Type: AWS::S3::Bucket
    UpdateReplacePolicy: Retain
    Properties:
      BucketName: landing-a
  Topic:
    Type: AWS::SNS::Topic
`

func newWorld(t *testing.T, config string, m map[string]string) *world {
	t.Helper()
	all := map[string]string{"refline.stacks.yml": config, "template.yml": bucketTemplate}
	for k, v := range m {
		all[k] = v
	}
	c, err := Load(t.Context(), "refline.stacks.yml", files(all))
	if err != nil {
		t.Fatal(err)
	}
	mem := newMemory()
	random := 0
	s, err := Connect(t.Context(), mem.open, c, c.Environments[0], Deps{Read: files(all), Clock: mem.clock(),
		Origin: Origin{Commit: "3f9c2ab", Ref: "develop", Author: "A. Üser", Pipeline: "7"},
		Random: func() string { random++; return fmt.Sprintf("%06x", random) }})
	if err != nil {
		t.Fatal(err)
	}
	return &world{memory: mem, Session: s, t: t}
}

func (w *world) target(name string) *Target {
	w.t.Helper()
	d, ok := w.Config.Stack(name)
	if !ok {
		w.t.Fatalf("no stack %s", name)
	}
	return w.Config.Target(d, w.Env)
}

func (w *world) plan(o PlanOptions) *planfile.Plan {
	w.t.Helper()
	p, err := w.Plan(w.t.Context(), w.target("landing"), o)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}
