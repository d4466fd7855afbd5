package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"refline/internal/engine"
	"refline/internal/pipeline"
)

// runView shows a run while it goes on: live lines on a terminal, lines that
// each carry their job's name in a pipe, JSON lines with --json.
type runView struct {
	e       *env
	mode    viewMode
	number  int64
	width   int // of the longest job name
	mu      sync.Mutex
	jobs    map[string]*jobView
	order   []string
	live    int // live lines on the screen now
	json    *json.Encoder
	ticking chan struct{}
}

type viewMode int

const (
	viewLive  viewMode = iota // a terminal: live lines that become final ones
	viewLines                 // a pipe, or --log: log lines with the job's name
	viewQuiet                 // results only
	viewJSON
)

// jobView is what is shown of one job.
type jobView struct {
	name    string
	status  pipeline.Status
	started time.Time
	last    string // line of the log
	lines   *logLines
	tail    []string // the last lines, for a failure
	steps   []stepView
	extra   []string // markdown, tables, notes: shown under the job
	shown   bool     // its final line is printed
	final   engine.Event
}

type stepView struct{ name, status, progress string }

const (
	tailLines   = 20
	longestName = 48 // columns that job names may take
)

func newRunView(e *env, mode viewMode, number int64, names []string) *runView {
	v := &runView{e: e, mode: mode, number: number, jobs: map[string]*jobView{}}
	for _, n := range names {
		v.width = max(v.width, utf8.RuneCountInString(n))
	}
	v.width = min(max(v.width, 12), longestName)
	if mode == viewJSON {
		v.json = json.NewEncoder(e.stdout)
		v.json.SetEscapeHTML(false)
	}
	v.reopen()
	return v
}

// reopen starts the live lines, again after close.
func (v *runView) reopen() {
	if v.mode == viewLive {
		v.ticking = make(chan struct{})
		go v.tick(v.ticking)
	}
}

// tick redraws the live lines so that durations grow.
func (v *runView) tick(done chan struct{}) {
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-t.C:
			v.mu.Lock()
			v.draw()
			v.mu.Unlock()
		}
	}
}

// close ends the live lines.
func (v *runView) close() {
	if v.ticking != nil {
		close(v.ticking)
		v.ticking = nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.erase()
}

// emit takes an event of the engine.
func (v *runView) emit(ev engine.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mode == viewJSON {
		v.emitJSON(ev)
		return
	}
	j := v.job(ev.Job)
	switch ev.Kind {
	case engine.JobLog:
		j.lines.add(ev.Data)
	case engine.JobNote:
		v.print(v.prefix(j) + ev.Text)
	case engine.StepEvent:
		v.step(j, ev.Step)
	case engine.JobStatus:
		v.status(j, ev)
	}
}

func (v *runView) job(name string) *jobView {
	j := v.jobs[name]
	if j == nil {
		j = &jobView{name: name}
		j.lines = &logLines{plain: !v.e.color(), line: func(s string) { v.logLine(j, s) }}
		v.jobs[name] = j
		v.width = max(v.width, min(utf8.RuneCountInString(name), longestName))
		v.order = append(v.order, name)
	}
	return j
}

func (v *runView) prefix(j *jobView) string {
	return fmt.Sprintf("  %s ", pad(j.name, v.width)) + v.dim("│") + " "
}

func (v *runView) logLine(j *jobView, s string) {
	if s != "" {
		j.last = s
	}
	j.tail = append(j.tail, s)
	if len(j.tail) > 2*tailLines {
		j.tail = append(j.tail[:0], j.tail[len(j.tail)-tailLines:]...)
	}
	if v.mode == viewLines {
		v.print(v.prefix(j) + s)
	}
}

func (v *runView) emitJSON(ev engine.Event) {
	if ev.Kind == engine.JobLog {
		j := v.job(ev.Job)
		j.lines.plain = true
		j.lines.line = func(s string) {
			ev := ev
			ev.Text = s
			_ = v.json.Encode(ev)
		}
		j.lines.add(ev.Data)
		return
	}
	if ev.Kind == engine.JobStatus && ev.Status.Done() {
		v.job(ev.Job).lines.flush()
	}
	_ = v.json.Encode(ev)
}

// runEvent is the first and the last JSON line of a run.
type runEvent struct {
	Event   engine.EventKind `json:"event"`
	Time    time.Time        `json:"time"`
	Run     int64            `json:"run"`
	Project string           `json:"project,omitempty"`
	File    string           `json:"file,omitempty"`
	Ref     string           `json:"ref,omitempty"`
	Commit  string           `json:"commit,omitempty"`
	Status  pipeline.Status  `json:"status"`
	Seconds float64          `json:"seconds,omitempty"`
}

func (v *runView) started(r *runRecord) {
	if v.mode == viewJSON {
		_ = v.json.Encode(runEvent{Event: engine.RunStarted, Time: r.Started, Run: r.Number, Project: r.Project,
			File: r.File, Ref: r.Ref, Commit: r.Commit, Status: r.Status})
	}
}

func (v *runView) finished(r *runRecord) {
	if v.mode == viewJSON {
		_ = v.json.Encode(runEvent{Event: engine.RunFinished, Time: r.Finished, Run: r.Number, Status: r.Status,
			Seconds: r.Finished.Sub(r.Started).Seconds()})
	}
}

func (v *runView) step(j *jobView, raw json.RawMessage) {
	var s engine.Step
	if json.Unmarshal(raw, &s) != nil {
		return
	}
	at := func() *stepView {
		for i := range j.steps {
			if j.steps[i].name == s.Step {
				return &j.steps[i]
			}
		}
		j.steps = append(j.steps, stepView{name: s.Step})
		return &j.steps[len(j.steps)-1]
	}
	switch s.Type {
	case "step_started":
		at().status = "running"
	case "step_finished":
		st := at()
		st.status, st.progress = "success", ""
		if s.Status != "" {
			st.status = s.Status
		}
		if s.Message != "" && st.status == "failed" {
			j.extra = append(j.extra, s.Step+": "+s.Message)
		}
	case "progress":
		st := at()
		if s.Total > 0 {
			st.progress = fmt.Sprintf("%.0f %%", 100*s.Current/s.Total)
		} else {
			st.progress = fmt.Sprintf("%g", s.Current)
		}
	case "markdown":
		j.extra = append(j.extra, strings.Split(strings.TrimRight(s.Text, "\n"), "\n")...)
	case "table":
		j.extra = append(j.extra, tableLines(s)...)
	}
}

func (v *runView) status(j *jobView, ev engine.Event) {
	j.status, j.final = ev.Status, ev
	switch ev.Status {
	case pipeline.Running:
		j.started, j.shown = ev.Time, false
		j.steps, j.extra = nil, nil
	case pipeline.Pending:
		if ev.Attempt > 1 && ev.From == pipeline.Running {
			v.print(v.prefix(j) + fmt.Sprintf("failed; attempt %d starts", ev.Attempt))
			j.tail = nil
		}
	case pipeline.Success, pipeline.Failed, pipeline.Canceled:
		j.lines.flush()
		v.printFinal(j)
	}
}

// rest prints the lines of jobs that never ran, in the pipeline's order.
func (v *runView) rest(p *pipeline.Pipeline, state pipeline.State, why func(int) string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mode == viewJSON {
		return
	}
	for i := range p.Jobs {
		s := state.Jobs[i]
		j := v.job(p.Jobs[i].Name)
		if j.shown {
			continue
		}
		j.status = s.Status
		v.printLine(j, why(i))
	}
}

func (v *runView) printFinal(j *jobView) {
	v.printLine(j, v.remarks(j))
	for _, line := range j.extra {
		v.print("      " + line)
	}
}

func (v *runView) printLine(j *jobView, remarks string) {
	j.shown = true
	took := "        "
	if !j.started.IsZero() {
		took = fmt.Sprintf("%8s", seconds(j.final.Seconds))
	}
	v.print(strings.TrimRight(fmt.Sprintf("  %s %s %s   %s", v.symbol(j), pad(j.name, v.width), took, remarks), " "))
}

// remarks are what stands behind a job's duration.
func (v *runView) remarks(j *jobView) string {
	var parts []string
	ev := j.final
	switch {
	case ev.Status == pipeline.Canceled:
		parts = append(parts, "canceled")
	case ev.Status != pipeline.Failed:
	case ev.Message != "":
		parts = append(parts, ev.Message)
	case ev.Reason == pipeline.JobTimeout:
		parts = append(parts, "timed out")
	case ev.ExitCode != 0:
		parts = append(parts, fmt.Sprintf("exit %d", ev.ExitCode))
	default:
		parts = append(parts, strings.ReplaceAll(string(ev.Reason), "_", " "))
	}
	if ev.Status == pipeline.Failed && ev.AllowFailure {
		parts = append(parts, "failed, allowed")
	}
	if ev.Attempt > 1 {
		parts = append(parts, fmt.Sprintf("attempt %d", ev.Attempt))
	}
	out := strings.Join(parts, ", ")
	var more []string
	if n := len(j.steps); n > 0 {
		more = append(more, stepsText(j.steps))
	}
	if ev.Coverage != nil {
		more = append(more, fmt.Sprintf("coverage %g %%", *ev.Coverage))
	}
	if len(more) > 0 {
		if out != "" {
			out += " · "
		}
		out += strings.Join(more, " · ")
	}
	return out
}

func stepsText(steps []stepView) string {
	var b strings.Builder
	if len(steps) == 1 {
		b.WriteString("1 step:")
	} else {
		fmt.Fprintf(&b, "%d steps:", len(steps))
	}
	for i, s := range steps {
		if i == 6 {
			fmt.Fprintf(&b, " and %d more", len(steps)-i)
			break
		}
		mark := map[string]string{"success": "✓", "failed": "✗", "skipped": "–", "running": "…"}[s.status]
		fmt.Fprintf(&b, " %s %s", s.name, mark)
		if s.progress != "" {
			b.WriteString(" " + s.progress)
		}
	}
	return b.String()
}

func tableLines(s engine.Step) []string {
	rows := [][]string{s.Columns}
	for _, r := range s.Rows {
		cells := make([]string, len(r))
		for i, c := range r {
			cells[i] = fmt.Sprint(c)
		}
		rows = append(rows, cells)
	}
	lines := alignColumns(rows)
	if s.Title != "" {
		lines = append([]string{s.Title}, lines...)
	}
	return lines
}

func (v *runView) symbol(j *jobView) string {
	s := statusSymbol(j.status)
	if j.status == pipeline.Failed && j.final.AllowFailure {
		s = "!"
	}
	color := map[string]string{"✓": "32", "✗": "31", "!": "33", "◌": "34", "–": "2", "▸": "36"}[s]
	if !v.e.color() || color == "" {
		return s
	}
	return "\x1b[" + color + "m" + s + "\x1b[0m"
}

func statusSymbol(s pipeline.Status) string {
	switch s {
	case pipeline.Success:
		return "✓"
	case pipeline.Failed:
		return "✗"
	case pipeline.ManualStatus, pipeline.Scheduled:
		return "◌"
	case pipeline.Running, pipeline.Pending, pipeline.Preparing:
		return "▸"
	case pipeline.Canceling, pipeline.Canceled:
		return "■"
	default:
		return "–"
	}
}

func (v *runView) dim(s string) string {
	if !v.e.color() {
		return s
	}
	return "\x1b[2m" + s + "\x1b[0m"
}

// print writes one line for good, above the live ones.
func (v *runView) print(line string) {
	if v.mode == viewQuiet {
		return
	}
	v.erase()
	io.WriteString(v.e.stdout, line+"\n")
	v.draw()
}

func (v *runView) erase() {
	if v.live > 0 {
		fmt.Fprintf(v.e.stdout, "\x1b[%dA\x1b[J", v.live)
		v.live = 0
	}
}

// draw shows a line for each job that runs now.
func (v *runView) draw() {
	if v.mode != viewLive || v.ticking == nil {
		return
	}
	cols, rows, err := term.GetSize(int(os.Stdout.Fd()))
	if err != nil || cols < 20 {
		cols, rows = 80, 24
	}
	v.erase()
	var b strings.Builder
	shown := 0
	for _, name := range v.order {
		j := v.jobs[name]
		if j.status != pipeline.Running && j.status != pipeline.Canceling {
			continue
		}
		if shown == rows-2 {
			break
		}
		line := fmt.Sprintf("  ▸ %s %8s   %s", pad(j.name, v.width), seconds(time.Since(j.started).Seconds()), v.now(j))
		b.WriteString(cut(line, cols-1) + "\n")
		shown++
	}
	io.WriteString(v.e.stdout, b.String())
	v.live = shown
}

func (v *runView) now(j *jobView) string {
	if j.status == pipeline.Canceling {
		return "stopping…"
	}
	if len(j.steps) > 0 {
		return stepsText(j.steps)
	}
	return strings.TrimSpace(stripANSI(j.last))
}

// seconds is a duration for people: 0.4 s, 12.3 s, 4 min 05 s.
func seconds(s float64) string {
	switch {
	case s < 0.1:
		return fmt.Sprintf("%.2f s", s)
	case s < 100:
		return fmt.Sprintf("%.1f s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", int(s)/60, int(s)%60)
	default:
		return fmt.Sprintf("%d h %02d min", int(s)/3600, int(s)/60%60)
	}
}

func pad(s string, width int) string {
	if n := utf8.RuneCountInString(s); n < width {
		return s + strings.Repeat(" ", width-n)
	}
	return s
}

func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	r := []rune(s)
	return string(r[:width-1]) + "…"
}

// alignColumns pads cells so that columns line up.
func alignColumns(rows [][]string) []string {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	out := make([]string, 0, len(rows))
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			if i == len(r)-1 {
				b.WriteString(c)
				break
			}
			b.WriteString(pad(c, widths[i]+2))
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}
