package termview

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/pipeline"
)

const (
	startMark = "\x1b[0Ksection_start:1:env[collapsed=true]\r\x1b[0Kinstall\n"
	endMark   = "\x1b[0Ksection_end:1:env\r\x1b[0K\n"
)

func linesOf(log string) []string {
	var got []string
	l := &LogLines{Plain: true, Line: func(s string) { got = append(got, s) }}
	_, _ = l.Write([]byte(log))
	l.Flush()
	return got
}

// A folded section is one line; one that does not come to its end, as when what
// it shows fails, is shown.
func TestLogLines(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("x\n", 3*keptLines)
	for name, c := range map[string]struct {
		log  string
		want []string
	}{
		"folded":          {startMark + "a\nb\n" + endMark + "after\n", []string{"▸ install (2 lines)", "after"}},
		"never ends":      {"before\n" + startMark + "a\nerror", []string{"before", "▸ install", "a", "error"}},
		"nothing in it":   {startMark, []string{"▸ install"}},
		"carriage return": {"10 %\r20 %\rdone\n", []string{"done"}},
		"colours":         {"\x1b[31mred\x1b[0m\n", []string{"red"}},
	} {
		if d := cmp.Diff(c.want, linesOf(c.log)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	got := linesOf(startMark + many)
	if len(got) > 2*keptLines+2 || !strings.HasSuffix(got[1], "lines before)") {
		t.Errorf("a long section: %d lines, second %q", len(got), got[1])
	}
}

func TestReported(t *testing.T) {
	t.Parallel()
	var steps []json.RawMessage
	for _, s := range []string{
		`{"type":"step_started","step":"load"}`, `{"type":"progress","step":"load","current":1,"total":4}`,
		`{"type":"step_finished","step":"extract","status":"failed","message":"disk full"}`,
		`{"type":"markdown","text":"# T\nx\n"}`, `{"type":"table","title":"n","columns":["a","b"],"rows":[[1,null]]}`, `{`,
	} {
		steps = append(steps, json.RawMessage(s))
	}
	var live stepList
	for _, raw := range steps {
		live.add(raw)
	}
	if got, want := live.summary(), "2 steps: load … 25 % extract ✗"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	want := []string{"2 steps: load – extract ✗", "extract: disk full", "# T", "x", "n", "a  b", "1  <nil>"}
	if d := cmp.Diff(want, Reported(steps)); d != "" {
		t.Error(d)
	}
	if lines := Reported(nil); lines != nil {
		t.Errorf("nothing reported: %q", lines)
	}
}

func TestReportedTasks(t *testing.T) {
	t.Parallel()
	var steps []json.RawMessage
	add := func(format string, args ...any) { steps = append(steps, json.RawMessage(fmt.Sprintf(format, args...))) }
	add(`{"type":"task","id":"1","state":"running","t":1000,"name":"hello","kind":"flow"}`)
	add(`{"type":"task","id":"1.1","state":"success","t":1001,"s":1,"name":"load"}`)
	for i := range 3 {
		add(`{"type":"task","id":"1.2.%d","state":"success","t":1002,"s":0.5,"name":"inner"}`, i)
	}
	for i := range 5 {
		id := i + 2
		if i == 3 {
			add(`{"type":"task","id":"1.%d","state":"failed","t":1002,"s":0.5,"name":"double","index":%d,"of":5,"error":{"type":"ValueError","message":"odd","traceback":"Traceback:\n  line"}}`, id, i)
			continue
		}
		add(`{"type":"task","id":"1.%d","state":"success","t":1002,"s":0.5,"name":"double","index":%d,"of":5}`, id, i)
	}
	add(`{"type":"task","id":"1.9","state":"running","t":1002,"name":"open"}`)
	add(`{"type":"link","id":"1.1","url":"https://example.com","title":"report"}`)
	add(`{"type":"task","id":"1","state":"failed","t":1003,"s":3,"error":{"type":"ValueError","message":"odd"}}`)
	want := []string{
		"✗ hello  3.0 s",
		"  ✓ load  1.0 s",
		"  ✗ double ×5 4 ✓ 1 ✗  0.5 s",
		"    ✓ inner ×3 ✓  0.5 s", // came before its parent
		"  – open",
		"double[3]: ValueError: odd",
		"  Traceback:",
		"    line",
		"report https://example.com",
	}
	if d := cmp.Diff(want, Reported(steps)); d != "" {
		t.Error(d)
	}
}

func TestAlignMakesPlain(t *testing.T) {
	t.Parallel()
	got := Align([][]string{{"a", "b"}, {"日本", "x\ny"}, {"\x1b[31mred", ""}})
	if d := cmp.Diff([]string{"a     b", "日本  x\\x0ay", "red"}, got); d != "" {
		t.Error(d)
	}
}

// Lines of a pipe carry the job's name; the final line says how the job ended.
func TestViewLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	v := New(&out, ModeLines, false, nil, []string{"build"})
	at := time.Unix(0, 0)
	v.Emit(pipeline.Report{Kind: pipeline.ReportJobStatus, Job: "build", Status: pipeline.StatusRunning, Time: at})
	v.Emit(pipeline.Report{Kind: pipeline.ReportJobLog, Job: "build", Data: []byte("one\ntw")})
	v.Emit(pipeline.Report{Kind: pipeline.ReportJobLog, Job: "build", Data: []byte("o\nrest")})
	v.Emit(pipeline.Report{Kind: pipeline.ReportJobStatus, Job: "build", Status: pipeline.StatusFailed, ExitCode: 141, Seconds: 1})
	v.Close()
	for _, want := range []string{"build        │ one\n", "│ two\n", "│ rest\n", "✗ build           1.0 s   exit 141 (a program"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	if got := fmt.Sprint(v.Tail("build")); got != "[one two rest]" {
		t.Errorf("tail %s", got)
	}
	if v.Tail("other") != nil {
		t.Error("a job that is not known has a tail")
	}
}
