package runner

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

// events are the steps and notes of an attempt on their way to the server. Most
// attempts have none, so the file is made with the first.
type events struct {
	a *attempt

	mu     sync.Mutex
	stream *stream
	starts []int64 // offsets of the lines
}

// openEvents opens what a run before a restart left.
func openEvents(a *attempt) (*events, error) {
	e := &events{a: a}
	_, err := os.Lstat(e.path())
	if errors.Is(err, fs.ErrNotExist) {
		return e, nil
	}
	if err == nil {
		err = e.open()
	}
	return e, err
}

func (e *events) path() string { return filepath.Join(e.a.dir, "events.jsonl") }

func (e *events) open() error {
	s, err := openStream(e.path())
	if err != nil {
		return err
	}
	text, err := io.ReadAll(s.reader())
	if err != nil {
		s.close()
		return err
	}
	if whole := int64(bytes.LastIndexByte(text, '\n') + 1); whole < s.size { // killed while it was written
		s.size, s.sent = whole, whole
	}
	at := int64(0)
	for line := range bytes.Lines(text[:s.size]) {
		e.starts = append(e.starts, at)
		at += int64(len(line))
	}
	s.chunk, s.delay, s.lines, s.send = api.MaxEventChunk, 100*time.Millisecond, true, e.send
	e.stream = s
	return nil
}

func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stream != nil {
		e.stream.close()
	}
}

// take keeps a report that the server wants.
func (e *events) take(r pipeline.Report) {
	switch r.Kind {
	case pipeline.ReportStep, pipeline.ReportJobNote:
		e.add(api.JobEvent{Kind: r.Kind, Step: r.Step, Text: r.Text})
	}
}

// add keeps an event. What cannot be kept is left out: it does not change the job.
func (e *events) add(event api.JobEvent) {
	event.Time = time.Now().UnixMilli()
	line, err := json.Marshal(event)
	if err == nil && len(line) >= api.MaxEventChunk {
		line, err = json.Marshal(api.JobEvent{Kind: pipeline.ReportJobNote, Time: event.Time, Text: fmt.Sprintf("an event of %d bytes is too large and was left out", len(line))})
	}
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	switch n := len(e.starts); {
	case n >= api.MaxEvents:
		return
	case n == api.MaxEvents-1:
		line, _ = json.Marshal(api.JobEvent{Kind: pipeline.ReportJobNote, Time: event.Time, Text: "further events are left out"})
	}
	if e.stream == nil {
		if e.open() != nil {
			return
		}
		e.a.senders.Go(func() { _ = e.stream.follow(e.a.sending) }) // an error is met again at the end
	}
	at := e.stream.size // only this function changes it
	if e.stream.add(append(line, '\n')) == nil {
		e.starts = append(e.starts, at)
	}
}

// send sends lines by their number.
func (e *events) send(ctx context.Context, offset int64, data []byte) (next int64, gap bool, err error) {
	var seq int64
	err = e.a.r.retry(ctx, func() error {
		answer, err := e.a.r.client.AppendEvents(ctx, e.a.journal.Session, e.a.fence, e.seq(offset), data)
		seq = answer.Seq
		if at, ok := api.GapAt(err); ok {
			seq, gap, err = at, true, nil
		}
		return err
	})
	return e.offset(seq), gap, err
}

func (e *events) seq(offset int64) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return int64(sort.Search(len(e.starts), func(i int) bool { return e.starts[i] >= offset }))
}

func (e *events) offset(seq int64) int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if seq < int64(len(e.starts)) {
		return e.starts[seq]
	}
	if e.stream == nil {
		return 0
	}
	e.stream.mu.Lock()
	defer e.stream.mu.Unlock()
	return e.stream.size
}

// finish sends what is left. After a restart it asks first what the server has.
func (e *events) finish(ctx context.Context, ask bool) error {
	e.mu.Lock()
	s := e.stream
	e.mu.Unlock()
	if s == nil {
		return nil
	}
	if ask {
		next, gap, err := e.send(ctx, s.size, nil)
		if err != nil {
			return err
		}
		if gap {
			s.goOn(next)
		}
	}
	return s.push(ctx, 0)
}
