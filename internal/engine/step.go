package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"refline/internal/pipeline"
)

const (
	eventsFile   = "events.jsonl"
	maxStepLine  = 1 << 20 // bytes; a longer line is reported and dropped
	maxStepBytes = 64 << 20
	stepPoll     = 200 * time.Millisecond
)

// stepReader follows the events file of one job. The job can put anything in
// its place: a link that leaves the folder, a pipe without a writer.
type stepReader struct {
	dir  *os.Root
	read int64
	rest []byte // an unfinished line
	line int
	over bool // the file is larger than we read
	fold *eventFold
	note func(string)
}

// follow reads new lines until ctx is done.
func (r *stepReader) follow(ctx context.Context) {
	tick := time.NewTicker(stepPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.poll()
		}
	}
}

// poll reads what has been appended since the last call.
func (r *stepReader) poll() {
	defer r.fold.flush(false) // what came too often waits for its time
	info, err := r.dir.Lstat(eventsFile)
	if err != nil || info.Size() <= r.read || !info.Mode().IsRegular() || r.over {
		return
	}
	f, err := r.dir.OpenFile(eventsFile, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return
	}
	if _, err := f.Seek(r.read, io.SeekStart); err != nil {
		return
	}
	data, err := io.ReadAll(io.LimitReader(f, maxStepBytes-r.read))
	r.read += int64(len(data))
	r.lines(data)
	if err == nil && r.read >= maxStepBytes {
		r.over = true
		r.note(fmt.Sprintf("$REFLINE_EVENTS: more than %d MiB; the rest is not read", maxStepBytes>>20))
	}
}

// finish reads the last lines, one without a line break too, and ends what is open.
func (r *stepReader) finish(res *JobResult) {
	r.poll()
	if len(r.rest) > 0 {
		r.lines([]byte{'\n'})
	}
	r.fold.finish(res)
}

func (r *stepReader) lines(data []byte) {
	for {
		i := bytes.IndexByte(data, '\n')
		if i < 0 {
			r.rest = append(r.rest, data...)
			return
		}
		line := data[:i]
		if len(r.rest) > 0 {
			line = append(r.rest, line...)
			r.rest = nil
		}
		data = data[i+1:]
		r.line++
		if len(bytes.TrimSpace(line)) > 0 {
			r.one(line)
		}
	}
}

func (r *stepReader) one(line []byte) {
	if len(line) > maxStepLine {
		r.note(fmt.Sprintf("$REFLINE_EVENTS:%d: a line of %d bytes is too long (at most %d)", r.line, len(line), maxStepLine))
		return
	}
	var s pipeline.Step
	if err := json.Unmarshal(line, &s); err != nil {
		r.note(fmt.Sprintf("$REFLINE_EVENTS:%d: %s; docs/events.md describes events", r.line, stepFault(err)))
		return
	}
	if !s.Type.Known() {
		r.note(fmt.Sprintf("$REFLINE_EVENTS:%d: unknown type %q; known: task, tasks, log, progress, table, markdown, link, artifact, plan, step_started, step_finished", r.line, s.Type))
		return
	}
	if s.Type == pipeline.StepTask && r.badTask(line) {
		return
	}
	switch s.Status {
	case "", "success", "failed", "skipped":
	default:
		r.note(fmt.Sprintf("$REFLINE_EVENTS:%d: unknown status %q; known: success, failed, skipped", r.line, s.Status))
		return
	}
	r.fold.add(line)
}

// badTask notes what is wrong with a line about a task.
func (r *stepReader) badTask(line []byte) bool {
	var e pipeline.TaskEvent
	err := json.Unmarshal(line, &e)
	switch {
	case err != nil:
		r.note(fmt.Sprintf("$REFLINE_EVENTS:%d: %s; docs/events.md describes events", r.line, stepFault(err)))
	case e.ID == "":
		r.note(fmt.Sprintf("$REFLINE_EVENTS:%d: a task without an id", r.line))
	case !e.State.Known():
		r.note(fmt.Sprintf("$REFLINE_EVENTS:%d: unknown state %q; known: queued, running, retrying, success, failed, canceled, skipped, cached, kept", r.line, e.State))
	default:
		return false
	}
	return true
}

// stepFault describes an error of a line in terms of JSON, not of Go.
func stepFault(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		return fmt.Sprintf("%q cannot be a JSON %s", wrong.Field, wrong.Value)
	}
	return "not a JSON object"
}
