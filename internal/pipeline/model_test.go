package pipeline_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"refline/internal/pipeline"
)

// A model of the rules, written to be compared with their description, not to be
// fast: statuses are words, rules are a table, and every job is evaluated again
// until nothing changes.

// verdicts is the status of a set of words; the first match wins. "only" matches if
// there is no other word, "any" if there is one of them.
var verdicts = []struct {
	how   string
	words []string
	is    string
}{
	{"only", []string{}, "success"},
	{"only", []string{"skipped", "optional"}, "skipped"},
	{"only", []string{"success", "skipped", "excused", "optional"}, "success"},
	{"only", []string{"created", "excused", "optional"}, "created"},
	{"only", []string{"canceled", "success", "skipped", "excused", "optional"}, "canceled"},
	{"only", []string{"pending", "created", "skipped", "excused", "optional"}, "pending"},
	{"any", []string{"running", "pending"}, "running"},
	{"any", []string{"manual"}, "manual"},
	{"any", []string{"scheduled"}, "scheduled"},
	{"any", []string{"created"}, "running"},
	{"any", []string{"canceling"}, "canceling"},
	{"any", []string{"failed"}, "failed"},
}

type modelJob struct {
	status  string
	attempt int
	excused bool // may fail
	asked   bool
}

type model struct {
	p      *pipeline.Pipeline
	jobs   map[string]*modelJob
	stages []string // statuses that are kept
	status string
}

func newModel(p *pipeline.Pipeline) *model {
	m := &model{p: p, jobs: map[string]*modelJob{}}
	for _, j := range p.Jobs {
		m.jobs[j.Name] = &modelJob{status: "created", attempt: 1, excused: j.AllowFailure}
	}
	m.stages = make([]string, len(p.Stages))
	m.decide()
	m.remember()
	return m
}

// remember stores the statuses of the pipeline and its stages. They do not return
// to created, and a pipeline that was beyond pending does not return to pending.
func (m *model) remember() {
	keep := func(old, verdict string) string {
		if verdict == "created" && old != "" {
			return old
		}
		return verdict
	}
	var all []string
	for k, stage := range m.p.Stages {
		var names []string
		for _, j := range m.p.Jobs {
			if j.Stage == stage {
				names = append(names, j.Name)
			}
		}
		m.stages[k] = keep(m.stages[k], m.verdict(names))
		all = append(all, names...)
	}
	beyond := []string{"running", "success", "failed", "canceling", "canceled"}
	next := keep(m.status, m.verdict(all))
	if next == "pending" && slices.Contains(beyond, m.status) {
		next = "running"
	}
	m.status = next
}

func (m *model) word(name string) string {
	switch j := m.jobs[name]; {
	case j.excused && (j.status == "failed" || j.status == "canceled"):
		return "excused"
	case j.excused && j.status == "manual":
		return "optional"
	default:
		return j.status
	}
}

func (m *model) verdict(names []string) string {
	for _, v := range verdicts {
		inside := func(n string) bool { return slices.Contains(v.words, m.word(n)) }
		outside := func(n string) bool { return !inside(n) }
		if v.how == "only" && !slices.ContainsFunc(names, outside) || v.how == "any" && slices.ContainsFunc(names, inside) {
			return v.is
		}
	}
	return "no verdict"
}

// before is the verdict on the jobs that job waits for; "" while it has to wait.
func (m *model) before(job pipeline.Job) string {
	if job.DAG {
		var names []string
		over := true
		for _, n := range job.Needs {
			if w := m.word(n.Job); w == "skipped" || w == "optional" {
				return "skipped"
			}
			names = append(names, n.Job)
			over = over && slices.Contains([]string{"success", "failed", "canceled", "excused"}, m.word(n.Job))
		}
		if !over {
			return ""
		}
		return m.verdict(names)
	}
	var names []string
	for _, other := range m.p.Jobs {
		if slices.Index(m.p.Stages, other.Stage) < slices.Index(m.p.Stages, job.Stage) {
			names = append(names, other.Name)
		}
	}
	v := m.verdict(names)
	if !slices.Contains([]string{"success", "failed", "canceled", "skipped"}, v) {
		return ""
	}
	return v
}

// accepted has the verdicts after which a job runs, by when and by whether it has needs.
var accepted = map[pipeline.When]map[bool][]string{
	"on_success": {false: {"success", "skipped"}, true: {"success"}},
	"manual":     {false: {"success", "skipped"}, true: {"success"}},
	"delayed":    {false: {"success", "skipped"}, true: {"success"}},
	"on_failure": {false: {"failed"}, true: {"failed"}},
	"always":     {false: {"success", "failed", "skipped"}, true: {"success", "failed", "skipped"}},
}

func (m *model) decide() {
	for again := true; again; {
		again = false
		for k := range m.p.Jobs { // from the end, because the order must not matter
			job := m.p.Jobs[len(m.p.Jobs)-1-k]
			state, before := m.jobs[job.Name], m.before(job)
			if state.status != "created" || before == "" {
				continue
			}
			again = true
			switch {
			case !slices.Contains(accepted[job.When][job.DAG], before):
				state.status = "skipped"
			case job.When == "manual" && !state.asked:
				state.status = "manual"
			case job.When == "delayed" && !state.asked:
				state.status = "scheduled"
			default:
				state.status = "pending"
			}
			state.asked = false
		}
	}
}

// waitsFor reports whether a waits for b, directly or not.
func (m *model) waitsFor(a, b string) bool {
	ja, jb := m.p.Job(a), m.p.Job(b)
	if slices.Index(m.p.Stages, jb.Stage) < slices.Index(m.p.Stages, ja.Stage) {
		return true
	}
	return slices.ContainsFunc(ja.Needs, func(n pipeline.Need) bool { return n.Job == b || m.waitsFor(n.Job, b) })
}

func (m *model) unskip(job string) {
	for name, state := range m.jobs {
		if state.status == "skipped" && name != job && m.waitsFor(name, job) {
			state.status = "created"
		}
	}
}

func (m *model) renew(job string) {
	def := m.p.Job(job)
	*m.jobs[job] = modelJob{
		status: "created", attempt: m.jobs[job].attempt + 1, excused: def.AllowFailure,
		asked: def.When == "manual" || def.When == "delayed",
	}
	m.unskip(job)
}

func (m *model) cancelAll() {
	for _, state := range m.jobs {
		switch state.status {
		case "running":
			state.status = "canceling"
		case "created", "pending", "scheduled":
			state.status = "canceled"
		}
	}
}

func (m *model) event(ev pipeline.Event) {
	state := m.jobs[ev.Job]
	switch ev.Kind {
	case "start":
		state.status = "running"
	case "success":
		state.status = map[bool]string{true: "canceled", false: "success"}[state.status == "canceling"]
	case "drop":
		switch job := m.p.Job(ev.Job); {
		case state.status == "canceling":
			state.status = "canceled"
		case state.attempt <= job.Retry.Max:
			m.renew(ev.Job)
		default:
			state.status = "failed"
			state.excused = state.excused || slices.Contains(job.AllowFailureCodes, ev.ExitCode)
			if !state.excused && m.p.AutoCancel.OnJobFailure == "all" {
				m.cancelAll()
			}
		}
	case "play", "enqueue":
		byHand := ev.Kind == "enqueue" && state.status == "manual"
		state.status = "pending"
		if !byHand {
			m.unskip(ev.Job)
		}
	case "canceled":
		state.status = "canceled"
	case "retry":
		m.renew(ev.Job)
	case "cancel":
		switch {
		case ev.Job == "":
			m.cancelAll()
		case state.status == "running":
			state.status = "canceling"
		default:
			state.status = "canceled"
		}
	}
	m.decide()
	m.remember()
}

// possible lists the events that a status allows.
var possible = map[pipeline.Status][]pipeline.EventKind{
	"created":              {"cancel"},
	"waiting_for_resource": {"cancel"},
	"pending":              {"start", "start", "start", "cancel"},
	"running":              {"success", "success", "drop", "drop", "cancel"},
	"canceling":            {"canceled", "success", "drop"},
	"manual":               {"play", "play", "enqueue", "cancel"},
	"scheduled":            {"enqueue", "enqueue", "cancel"},
	"success":              {"retry"},
	"failed":               {"retry"},
	"canceled":             {"retry"},
}

// progress lists the events by which a run continues without people.
var progress = map[pipeline.Status][]pipeline.EventKind{
	"pending":   {"start"},
	"running":   {"success", "drop"},
	"canceling": {"canceled"},
	"scheduled": {"enqueue"},
}

func drawPipeline(t *rapid.T, groups bool) *pipeline.Pipeline {
	p := &pipeline.Pipeline{}
	p.AutoCancel.OnJobFailure = rapid.SampledFrom([]string{"", "none", "all"}).Draw(t, "auto_cancel")
	for s := range rapid.IntRange(1, 4).Draw(t, "stages") {
		stage := fmt.Sprintf("s%d", s)
		p.Stages = append(p.Stages, stage)
		for range rapid.IntRange(1, 4).Draw(t, "jobs") {
			job := pipeline.Job{
				Name:         fmt.Sprintf("j%d", len(p.Jobs)),
				Stage:        stage,
				When:         rapid.SampledFrom([]pipeline.When{"on_success", "on_success", "on_failure", "always", "manual", "delayed"}).Draw(t, "when"),
				AllowFailure: rapid.Bool().Draw(t, "allow_failure"),
				DAG:          rapid.Bool().Draw(t, "dag"),
			}
			job.Retry.Max = rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "retry")
			if rapid.Bool().Draw(t, "codes") {
				job.AllowFailureCodes = []int{3}
			}
			if groups && rapid.Bool().Draw(t, "grouped") {
				job.ResourceGroup = rapid.SampledFrom([]string{"g", "h"}).Draw(t, "group")
			}
			for _, other := range p.Jobs {
				if job.DAG && rapid.IntRange(0, 2).Draw(t, "need") == 0 {
					job.Needs = append(job.Needs, pipeline.Need{Job: other.Name})
				}
			}
			p.Jobs = append(p.Jobs, job)
		}
	}
	return p
}

func drawEvent(t *rapid.T, p *pipeline.Pipeline, s pipeline.State, table map[pipeline.Status][]pipeline.EventKind) (pipeline.Event, bool) {
	var events []pipeline.Event
	for i, j := range s.Jobs {
		for _, kind := range table[j.Status] {
			events = append(events, pipeline.Event{Kind: kind, Job: p.Jobs[i].Name})
		}
	}
	if len(events) == 0 {
		return pipeline.Event{}, false
	}
	ev := rapid.SampledFrom(events).Draw(t, "event")
	if ev.Kind == "drop" {
		ev.ExitCode = rapid.SampledFrom([]int{0, 1, 3}).Draw(t, "code")
	}
	return ev, true
}

func clone(s pipeline.State) pipeline.State {
	s.Jobs, s.Stages, s.BusyGroups = slices.Clone(s.Jobs), slices.Clone(s.Stages), slices.Clone(s.BusyGroups)
	return s
}

// step advances and checks what must be true of every step.
func step(t *rapid.T, p *pipeline.Pipeline, s pipeline.State, ev pipeline.Event) pipeline.State {
	given := clone(s)
	next, changes, err := advance(p, s, ev)
	if err != nil {
		t.Fatalf("%v: %v", ev, err)
	}
	if d := cmp.Diff(given, s); d != "" {
		t.Fatalf("%v changed its input state: %s", ev, d)
	}
	if same, again, _ := advance(p, s, ev); !cmp.Equal(next, same) || !cmp.Equal(changes, again) {
		t.Fatalf("%v returns different results for the same input", ev)
	}
	checkChanges(t, p, s, next, changes)
	checkStarts(t, p, next, changes, ev)
	checkGroups(t, p, next)
	return next
}

// checkChanges checks that the changes are exactly the difference of the states.
func checkChanges(t *rapid.T, p *pipeline.Pipeline, s, next pipeline.State, changes []pipeline.Change) {
	listed := map[string]pipeline.Change{}
	for _, c := range changes {
		if _, twice := listed[c.Job]; twice {
			t.Fatalf("job %s changes twice in %v", c.Job, changes)
		}
		listed[c.Job] = c
	}
	for i, job := range p.Jobs {
		is, was := next.Jobs[i], pipeline.JobState{Status: "created", Attempt: 1}
		if len(s.Jobs) > 0 {
			was = s.Jobs[i]
		}
		c, ok := listed[job.Name]
		if moved := was.Status != is.Status || was.Attempt != is.Attempt; moved != ok {
			t.Fatalf("job %s went from %v to %v, changes %v", job.Name, was, is, changes)
		}
		if want := (pipeline.Change{Pos: i, Job: job.Name, From: was.Status, To: is.Status, Attempt: is.Attempt}); ok && c != want {
			t.Fatalf("change %v, want %v", c, want)
		}
	}
}

// checkStarts checks that no job starts before the jobs that it waits for have
// ended. The one exception is GitLab's: a need that does not run decides for all.
func checkStarts(t *rapid.T, p *pipeline.Pipeline, s pipeline.State, changes []pipeline.Change, ev pipeline.Event) {
	over := func(i int) bool {
		j := s.Jobs[i]
		return j.Status.Done() || j.Status == pipeline.StatusManual && j.AllowFailure
	}
	for _, c := range changes {
		if c.From != pipeline.StatusCreated || c.To == pipeline.StatusSkipped || c.To == pipeline.StatusCanceled || c.To == pipeline.StatusFailed {
			continue
		}
		job := p.Job(c.Job)
		for i, other := range p.Jobs {
			waits := slices.Index(p.Stages, other.Stage) < slices.Index(p.Stages, job.Stage)
			if job.DAG {
				waits = slices.ContainsFunc(job.Needs, func(n pipeline.Need) bool { return n.Job == other.Name })
			}
			if waits && !over(i) && !(job.DAG && job.When == pipeline.WhenAlways) {
				t.Fatalf("after %v %s is %s while %s is %s", ev, c.Job, c.To, other.Name, s.Jobs[i].Status)
			}
		}
	}
}

// checkGroups checks that a resource group has one job at a time, and that no job
// waits for a free group.
func checkGroups(t *rapid.T, p *pipeline.Pipeline, s pipeline.State) {
	holders, waiting := map[string]int{}, map[string]int{}
	for i, j := range s.Jobs {
		switch group := p.Jobs[i].ResourceGroup; {
		case group == "":
		case j.Status == pipeline.StatusWaitingForResource:
			waiting[group]++
		case j.Status.Active():
			holders[group]++
		}
	}
	for group, n := range holders {
		if n > 1 {
			t.Fatalf("%d jobs at once in resource group %s", n, group)
		}
	}
	for group := range waiting {
		if holders[group] == 0 && !slices.Contains(s.BusyGroups, group) {
			t.Fatalf("jobs wait for resource group %s, which is free", group)
		}
	}
}

func TestAdvanceIsTheModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPipeline(t, false)
		s := step(t, p, pipeline.State{}, pipeline.Event{Kind: pipeline.EventCreate})
		m := newModel(p)
		for range rapid.IntRange(0, 30).Draw(t, "length") {
			same(t, p, s, m)
			ev, ok := drawEvent(t, p, s, possible)
			if !ok {
				break
			}
			if rapid.IntRange(0, 40).Draw(t, "cancel all") == 0 && slices.ContainsFunc(s.Jobs, func(j pipeline.JobState) bool {
				return slices.Contains([]pipeline.Status{"created", "pending", "running", "scheduled"}, j.Status)
			}) {
				ev = pipeline.Event{Kind: pipeline.EventCancel}
			}
			s = step(t, p, s, ev)
			m.event(ev)
		}
		same(t, p, s, m)
	})
}

func same(t *rapid.T, p *pipeline.Pipeline, s pipeline.State, m *model) {
	want, got := map[string]modelJob{}, map[string]modelJob{}
	for i, j := range p.Jobs {
		is := s.Jobs[i]
		want[j.Name] = *m.jobs[j.Name]
		if want[j.Name].status != "created" {
			j := want[j.Name]
			j.asked = false // only kept while created
			want[p.Jobs[i].Name] = j
		}
		got[j.Name] = modelJob{status: string(is.Status), attempt: is.Attempt, excused: is.AllowFailure, asked: is.Asked}
	}
	if !maps.Equal(want, got) {
		t.Fatalf("-model +pipeline %s", cmp.Diff(want, got, cmp.AllowUnexported(modelJob{})))
	}
	kept := []string{string(s.Status)}
	for _, stage := range s.Stages {
		kept = append(kept, string(stage))
	}
	if d := cmp.Diff(append([]string{m.status}, m.stages...), kept); d != "" {
		t.Fatalf("-model +pipeline, status of the pipeline, then of its stages: %s", d)
	}
}

// TestEveryRunEnds drives pipelines with resource groups by the events of runners
// and clocks until there are none.
func TestEveryRunEnds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := drawPipeline(t, true)
		s := step(t, p, pipeline.State{}, pipeline.Event{Kind: pipeline.EventCreate})
		for limit := 10 * len(p.Jobs); ; limit-- {
			if limit == 0 {
				t.Fatal("the run does not end")
			}
			ev, ok := drawEvent(t, p, s, progress)
			if !ok {
				break
			}
			s = step(t, p, s, ev)
		}
		for i, j := range s.Jobs {
			rests := j.Status == pipeline.StatusManual || j.Status == pipeline.StatusCreated && s.Status == pipeline.StatusManual
			if !j.Status.Done() && !rests {
				t.Fatalf("the run ended with %s %s, pipeline %s", p.Jobs[i].Name, j.Status, s.Status)
			}
		}
		if !s.Status.Done() && s.Status != pipeline.StatusManual {
			t.Fatalf("the run ended %s", s.Status)
		}
	})
}
