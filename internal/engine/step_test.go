package engine

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/pipeline"
)

const goodStep = `{"type":"markdown","text":"hello"}`

// A job can put anything in the place of its events file. Nothing outside is
// read then, and nothing waits for it.
func TestWhatAJobPutsInPlaceOfItsEvents(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, []byte(goodStep+"\n"), 0o644))
	read := []string{`{"text":"hello","type":"markdown"}`}
	tests := []struct {
		name string
		put  func(path string) error
		want []string
		note string
	}{
		{"lines", func(path string) error { return os.WriteFile(path, []byte("\n"+goodStep+"\n\n"), 0o644) }, read, ""},
		{"a last line without its end", func(path string) error { return os.WriteFile(path, []byte(goodStep), 0o644) }, read, ""},
		{"a file of its own", func(path string) error {
			must(t, os.Remove(path))
			return os.WriteFile(path, []byte(goodStep+"\n"), 0o600)
		}, read, ""},
		{"nothing", os.Remove, nil, ""},
		{"a link to a file outside", func(path string) error { must(t, os.Remove(path)); return os.Symlink(outside, path) }, nil, ""},
		{"a link to nowhere", func(path string) error { must(t, os.Remove(path)); return os.Symlink("nowhere", path) }, nil, ""},
		{"a link to itself", func(path string) error { must(t, os.Remove(path)); return os.Symlink(filepath.Base(path), path) }, nil, ""},
		{"a folder", func(path string) error { must(t, os.Remove(path)); return os.Mkdir(path, 0o755) }, nil, ""},
		{"a pipe without a writer", func(path string) error {
			must(t, os.Remove(path))
			makePipe(t, path)
			return nil
		}, nil, ""},
		{"a link in place of its folder", func(path string) error {
			must(t, os.Rename(filepath.Dir(path), filepath.Dir(path)+".old"))
			return os.Symlink(filepath.Dir(outside), filepath.Dir(path))
		}, nil, ""},
		{"a long line, then a good one", func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("x", maxStepLine+1)+"\n"+goodStep+"\n"), 0o644)
		}, read, "$REFLINE_EVENTS:1: a line of 1048577 bytes is too long"},
		{"not an object", func(path string) error { return os.WriteFile(path, []byte("[]\n"+goodStep), 0o644) }, read, "$REFLINE_EVENTS:1: not a JSON object"},
		{"an unknown type", func(path string) error { return os.WriteFile(path, []byte("\n"+`{"type":"party"}`), 0o644) }, nil, `$REFLINE_EVENTS:2: unknown type "party"`},
		{"a wrong field", func(path string) error { return os.WriteFile(path, []byte(`{"type":"progress","current":"x"}`), 0o644) }, nil, `"current" cannot be a JSON string`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := newJob(t, pipeline.Job{})
			h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
				return 0, tt.put(filepath.Join(c.Temp(), eventsFile))
			}
			if res := h.run(); res.Err != nil {
				t.Fatal(res.Err)
			}
			same(t, h.steps(), tt.want)
			notes := strings.Join(h.notes(), "\n")
			if !strings.Contains(notes, tt.note) || tt.note == "" && notes != "" {
				t.Errorf("told %q, want %q", notes, tt.note)
			}
		})
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != goodStep+"\n" {
		t.Errorf("the file outside is %q now, %v", text, err)
	}
}

func TestStepsComeWhileTheJobRuns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	f, err := os.Create(filepath.Join(dir, eventsFile))
	must(t, err)
	defer f.Close()
	var got []string
	note := func(s string) { t.Error(s) }
	r := &stepReader{dir: root, fold: newEventFold(func(raw json.RawMessage) { got = append(got, string(raw)) }, note), note: note}
	for _, part := range []string{goodStep[:10], goodStep[10:], "\n", goodStep + "\n" + goodStep[:3], "", goodStep[3:]} {
		_, err := f.WriteString(part)
		must(t, err)
		r.poll()
	}
	same(t, got, []string{goodStep, goodStep})
	r.finish(&JobResult{})
	same(t, got, []string{goodStep, goodStep, goodStep})
	r.finish(&JobResult{})
	same(t, len(got), 3)
}

func TestEventsBeyondTheLimitAreNotRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, eventsFile), []byte(goodStep+"\n"), 0o644))
	root, err := os.OpenRoot(dir)
	must(t, err)
	defer root.Close()
	emitted, notes := 0, 0
	note := func(string) { notes++ }
	r := &stepReader{dir: root, fold: newEventFold(func(json.RawMessage) { emitted++ }, note), note: note}
	r.poll()
	// A file of holes: large, and not on the disk.
	must(t, os.Truncate(filepath.Join(dir, eventsFile), maxStepBytes+1))
	r.read = maxStepBytes - 1
	r.poll()
	f, err := os.OpenFile(filepath.Join(dir, eventsFile), os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("\n" + goodStep + "\n")
	must(t, err)
	r.poll()
	same(t, []int{emitted, notes}, []int{1, 1})
}

func TestNotesAreBounded(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{})
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		return 0, os.WriteFile(filepath.Join(c.Temp(), eventsFile), []byte(strings.Repeat("nonsense\n", 10*mostNotes)), 0o644)
	}
	h.run()
	if notes := h.notes(); len(notes) != mostNotes || !strings.Contains(notes[mostNotes-1], "left out") {
		t.Errorf("%d notes, the last is %q", len(notes), notes[len(notes)-1])
	}
}
