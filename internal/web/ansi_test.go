package web

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLogParts: colours stay, a carriage return overwrites, and no other escape reaches the
// page.
func TestLogParts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]logPart{
		"plain\n":                             {{"", "plain"}},
		"":                                    nil,
		"\x1b[31mred\x1b[0m plain":            {{"a-red", "red"}, {"", " plain"}},
		"\x1b[1;92mok\x1b[22m still green":    {{"a-bold a-green", "ok"}, {"a-green", " still green"}},
		"\x1b[38;5;196mx\x1b[38;2;1;2;3my":    {{"", "x"}, {"", "y"}},
		"10 %\r50 %\r100 %\r\n":               {{"", "100 %"}},
		"section_start:1:a\r\x1b[0Ktitle":     {{"", "title"}},
		"\x1b]8;;https://evil.example\x07x":   {{"", "x"}},
		"\x1b]0;title\x1b\\x":                 {{"", "x"}},
		"\x1b[2J\x1b[1;1Hx":                   {{"", "x"}},
		"\x1b":                                nil,
		"a\x1b[":                              {{"", "a"}},
		"<script>alert(1)</script>":           {{"", "<script>alert(1)</script>"}},
		"a\u202eb\u2066c\u200bd":              {{"", "abcd"}},
		"\xff\xfe":                            {{"", "\ufffd\ufffd"}},
		"tab\there\x00\x07":                   {{"", "tab\there"}},
		"\x1b[" + strings.Repeat("1;", 100):   {{"", strings.Repeat("1;", 100)[62:]}},
		"\x1b[31m\x1b[39mx\x1b[m\x1b[00;31my": {{"", "x"}, {"a-red", "y"}},
	} {
		if diff := cmp.Diff(want, logParts(in)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

// FuzzLogParts: whatever a log holds, a page has text without controls, and classes of ours.
func FuzzLogParts(f *testing.F) {
	f.Add("\x1b[31mred\x1b]0;x\x07\r\x1b[")
	f.Fuzz(func(t *testing.T, line string) {
		for _, p := range logParts(line) {
			if strings.ContainsAny(p.Text, "\x1b\x00\x07\r\n") {
				t.Errorf("%q: control in %q", line, p.Text)
			}
			for class := range strings.FieldsSeq(p.Class) {
				if !strings.HasPrefix(class, "a-") {
					t.Errorf("%q: class %q", line, class)
				}
			}
		}
	})
}

func TestRunQuery(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "{Project: Flow: Ref: Statuses:[] Limit:0 Cursor:} 0", "status:failed,running flow:a": "{Project: Flow:a Ref: Statuses:[failed running] Limit:0 Cursor:} 0",
		"#42": "{Project: Flow: Ref: Statuses:[] Limit:0 Cursor:} 42", "daily ref:main": "{Project: Flow:daily Ref:main Statuses:[] Limit:0 Cursor:} 0",
	} {
		q, run, err := runQuery(in)
		if got := fmt.Sprintf("%+v %d", q, run); err != nil || got != want {
			t.Errorf("%q: got %s, %v; want %s", in, got, err, want)
		}
	}
	if _, _, err := runQuery("colour:red"); err == nil || !strings.Contains(err.Error(), "known: status, flow, project, ref") {
		t.Errorf("got %v, want what is known", err)
	}
}
