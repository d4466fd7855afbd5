// Package termview shows runs on a terminal: live lines while jobs run, log
// lines that carry their job's name, sections of logs, and aligned columns. It
// knows the reports of a run and nothing about how they come about.
package termview

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"refline/internal/pipeline"
)

// View shows a run while it goes on: live lines on a terminal, or lines that
// each carry their job's name.
type View struct {
	out     io.Writer
	color   bool
	mode    Mode
	size    func() (columns, rows int)
	width   int // of the longest job name
	mu      sync.Mutex
	jobs    map[string]*jobView
	order   []string
	live    int // live lines on the screen now
	ticking chan struct{}
}

// Mode is how a run is shown.
type Mode int

// The modes.
const (
	ModeLive  Mode = iota // a terminal: live lines that become final ones
	ModeLines             // a pipe, or --log: log lines with the job's name
	ModeQuiet             // results only
)

// jobView is what is shown of one job.
type jobView struct {
	name    string
	status  pipeline.Status
	started time.Time
	last    string // line of the log
	lines   *LogLines
	tail    []string // the last lines, for a failure
	steps   stepList
	ended   map[string]bool // tasks whose end was printed
	shown   bool            // its final line is printed
	final   pipeline.Report
}

// TailLines is how many last lines of a log are kept for a failure.
const TailLines = 20

const longestName = 48 // columns that job names may take

// New shows the jobs of these names. size gives the terminal's columns and rows;
// nil for 80 by 24.
func New(out io.Writer, mode Mode, color bool, size func() (columns, rows int), names []string) *View {
	v := &View{out: out, mode: mode, color: color, size: size, jobs: map[string]*jobView{}}
	for _, n := range names {
		v.width = max(v.width, Cells(Plain(n)))
	}
	v.width = min(max(v.width, 12), longestName)
	v.Reopen()
	return v
}

// Mode is how the run is shown.
func (v *View) Mode() Mode { return v.mode }

// Tail gives the last lines of a job's log, nil for a job that is not known.
func (v *View) Tail(name string) []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	j := v.jobs[name]
	if j == nil {
		return nil
	}
	return slices.Clone(j.tail[max(0, len(j.tail)-TailLines):])
}

// Reopen starts the live lines, again after Close.
func (v *View) Reopen() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mode == ModeLive {
		v.ticking = make(chan struct{})
		go v.tick(v.ticking)
	}
}

// tick redraws the live lines so that durations grow.
func (v *View) tick(done chan struct{}) {
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

// Close ends the live lines.
func (v *View) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ticking != nil {
		close(v.ticking)
		v.ticking = nil
	}
	v.erase()
}

// Emit takes a report of the run.
func (v *View) Emit(ev pipeline.Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if ev.Job == "" {
		return
	}
	j := v.job(ev.Job)
	switch ev.Kind {
	case pipeline.ReportJobLog:
		j.lines.add(ev.Data)
	case pipeline.ReportJobNote:
		v.print(v.prefix(j) + Plain(ev.Text))
	case pipeline.ReportStep:
		v.step(j, ev)
	case pipeline.ReportJobStatus:
		v.status(j, ev)
	}
}

// mostTaskLines is how many tasks of a job get a line when they end; those that fail
// get one in any case.
const mostTaskLines = 100

// step takes an event of a job. In a pipe a task that ended is a line.
func (v *View) step(j *jobView, ev pipeline.Report) {
	t := j.steps.add(ev.Step)
	if v.mode != ModeLines || t == nil || t.Kind == pipeline.TaskKindStep || !t.State.Done() || j.ended[t.ID] {
		return
	}
	if j.ended == nil {
		j.ended = map[string]bool{}
	}
	j.ended[t.ID] = true
	if len(j.ended) <= mostTaskLines || t.State == pipeline.TaskFailed {
		v.print(v.prefix(j) + taskLine(t))
	}
}

func (v *View) job(name string) *jobView {
	j := v.jobs[name]
	if j == nil {
		j = &jobView{name: name}
		j.lines = &LogLines{Plain: !v.color, Line: func(s string) { v.logLine(j, s) }}
		v.jobs[name] = j
		v.width = max(v.width, min(Cells(Plain(name)), longestName))
		v.order = append(v.order, name)
	}
	return j
}

func (v *View) prefix(j *jobView) string {
	return fmt.Sprintf("  %s ", Pad(Plain(j.name), v.width)) + v.dim("│") + " "
}

func (v *View) logLine(j *jobView, s string) {
	if s != "" {
		j.last = s
	}
	j.tail = append(j.tail, s)
	if len(j.tail) > 2*TailLines {
		j.tail = append(j.tail[:0], j.tail[len(j.tail)-TailLines:]...)
	}
	if v.mode == ModeLines {
		v.print(v.prefix(j) + s)
	}
}

func (v *View) status(j *jobView, ev pipeline.Report) {
	j.status, j.final = ev.Status, ev
	switch ev.Status {
	case pipeline.StatusRunning:
		j.started, j.shown = ev.Time, false
		j.steps, j.ended = stepList{}, nil
	case pipeline.StatusPending:
		if ev.Attempt > 1 && ev.From == pipeline.StatusRunning {
			v.print(v.prefix(j) + fmt.Sprintf("failed; attempt %d starts", ev.Attempt))
			j.tail = nil
		}
	case pipeline.StatusSuccess, pipeline.StatusFailed, pipeline.StatusCanceled:
		j.lines.Flush()
		v.printFinal(j)
	}
}

// Rest prints the lines of jobs that never ran, in the pipeline's order.
func (v *View) Rest(p *pipeline.Pipeline, state pipeline.State, why func(int) string) {
	v.mu.Lock()
	defer v.mu.Unlock()
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

// print writes one line for good, above the live ones.
func (v *View) print(line string) {
	if v.mode == ModeQuiet {
		return
	}
	v.erase()
	io.WriteString(v.out, line+"\n")
	v.draw()
}

// erase removes the live lines. The terminal may have shown a key that was
// pressed (^C), so the cursor goes to the first column first.
func (v *View) erase() {
	switch {
	case v.live > 0:
		fmt.Fprintf(v.out, "\r\x1b[%dA\x1b[J", v.live)
		v.live = 0
	case v.mode == ModeLive:
		io.WriteString(v.out, "\r\x1b[K")
	}
}

// draw shows a line for each job that runs now.
func (v *View) draw() {
	if v.mode != ModeLive || v.ticking == nil {
		return
	}
	cols, rows := 80, 24
	if v.size != nil {
		cols, rows = v.size()
	}
	v.erase()
	var b strings.Builder
	shown := 0
	for _, name := range v.order {
		j := v.jobs[name]
		if j.status != pipeline.StatusRunning && j.status != pipeline.StatusCanceling {
			continue
		}
		if shown == rows-2 {
			break
		}
		line := fmt.Sprintf("  ▸ %s %8s   %s", Pad(Plain(j.name), v.width), Seconds(time.Since(j.started).Seconds()), v.now(j))
		b.WriteString(Cut(line, cols-1) + "\n")
		shown++
	}
	io.WriteString(v.out, b.String())
	v.live = shown
}

func (v *View) now(j *jobView) string {
	if j.status == pipeline.StatusCanceling {
		return "stopping…"
	}
	if text := j.steps.summary(); text != "" {
		return text
	}
	return strings.TrimSpace(Plain(j.last))
}
