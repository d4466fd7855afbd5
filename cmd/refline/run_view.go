package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"refline/internal/pipeline"
)

// runView shows a run while it goes on: live lines on a terminal, lines that
// each carry their job's name in a pipe, JSON lines with --json.
type runView struct {
	e       *env
	mode    viewMode
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
	final   pipeline.Report
}

type stepView struct{ name, status, progress string }

const (
	tailLines   = 20
	longestName = 48 // columns that job names may take
)

func newRunView(e *env, mode viewMode, names []string) *runView {
	v := &runView{e: e, mode: mode, jobs: map[string]*jobView{}}
	for _, n := range names {
		v.width = max(v.width, cells(plain(n)))
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
	v.mu.Lock()
	defer v.mu.Unlock()
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
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ticking != nil {
		close(v.ticking)
		v.ticking = nil
	}
	v.erase()
}

// emit takes an event of the engine.
func (v *runView) emit(ev pipeline.Report) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.mode == viewJSON {
		v.emitJSON(ev)
		return
	}
	if ev.Job == "" {
		return
	}
	j := v.job(ev.Job)
	switch ev.Kind {
	case pipeline.ReportJobLog:
		j.lines.add(ev.Data)
	case pipeline.ReportJobNote:
		v.print(v.prefix(j) + plain(ev.Text))
	case pipeline.ReportStep:
		v.step(j, ev.Step)
	case pipeline.ReportJobStatus:
		v.status(j, ev)
	}
}

func (v *runView) job(name string) *jobView {
	j := v.jobs[name]
	if j == nil {
		j = &jobView{name: name}
		j.lines = &logLines{plain: !v.e.color(), line: func(s string) { v.logLine(j, s) }}
		v.jobs[name] = j
		v.width = max(v.width, min(cells(plain(name)), longestName))
		v.order = append(v.order, name)
	}
	return j
}

func (v *runView) prefix(j *jobView) string {
	return fmt.Sprintf("  %s ", pad(plain(j.name), v.width)) + v.dim("│") + " "
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

func (v *runView) step(j *jobView, raw json.RawMessage) {
	var s pipeline.Step
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

func (v *runView) status(j *jobView, ev pipeline.Report) {
	j.status, j.final = ev.Status, ev
	switch ev.Status {
	case pipeline.StatusRunning:
		j.started, j.shown = ev.Time, false
		j.steps, j.extra = nil, nil
	case pipeline.StatusPending:
		if ev.Attempt > 1 && ev.From == pipeline.StatusRunning {
			v.print(v.prefix(j) + fmt.Sprintf("failed; attempt %d starts", ev.Attempt))
			j.tail = nil
		}
	case pipeline.StatusSuccess, pipeline.StatusFailed, pipeline.StatusCanceled:
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
		if j.status != pipeline.StatusRunning && j.status != pipeline.StatusCanceling {
			continue
		}
		if shown == rows-2 {
			break
		}
		line := fmt.Sprintf("  ▸ %s %8s   %s", pad(plain(j.name), v.width), seconds(time.Since(j.started).Seconds()), v.now(j))
		b.WriteString(cut(line, cols-1) + "\n")
		shown++
	}
	io.WriteString(v.e.stdout, b.String())
	v.live = shown
}

func (v *runView) now(j *jobView) string {
	if j.status == pipeline.StatusCanceling {
		return "stopping…"
	}
	if len(j.steps) > 0 {
		return stepsText(j.steps)
	}
	return strings.TrimSpace(plain(j.last))
}
