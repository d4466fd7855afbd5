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
	summary, lines := Reported(steps)
	if want := "2 steps: load … 25 % extract ✗"; summary != want {
		t.Errorf("got %q, want %q", summary, want)
	}
	if d := cmp.Diff([]string{"extract: disk full", "# T", "x", "n", "a  b", "1  <nil>"}, lines); d != "" {
		t.Error(d)
	}
	if summary, lines := Reported(nil); summary != "" || lines != nil {
		t.Errorf("nothing reported: %q, %q", summary, lines)
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
