package web

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"

	"refline/internal/api"
)

// linesOf are the lines of a log.
func linesOf(text string) []api.LogText {
	var list []api.LogText
	for line := range strings.Lines(text) {
		list = append(list, api.LogText{Number: int64(len(list) + 1), Text: strings.TrimSuffix(line, "\n")})
	}
	return list
}

func TestLogLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"plain":               {"copied 3 rows", "copied 3 rows"},
		"HTML":                {`<script>alert("1")</script>&amp;`, "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;&amp;amp;"},
		"colour":              {"a \x1b[31mred\x1b[0m b", `a <span class="f1">red</span> b`},
		"bold and bright":     {"\x1b[1;92;44mx\x1b[mz", `<span class="f10 b4 bo">x</span>z`},
		"256 colours":         {"\x1b[38;5;196mx", `<span class="f9">x</span>`},
		"16 million colours":  {"\x1b[48;2;0;0;255mx", `<span class="b12">x</span>`},
		"half a colour":       {"\x1b[38;5mx\x1b[38mx\x1b[38;2;1mx", "xxx"},
		"inverse":             {"\x1b[7mx\x1b[27my\x1b[7;31mz", `<span class="inv">x</span>y<span class="b1">z</span>`},
		"carriage return":     {" 10 %\r100 %\r", "100 %"},
		"return writes over":  {"abcdef\rxy", "xycdef"},
		"return and erase":    {"abcdef\rxy\x1b[K", "xy"},
		"erase all":           {"abc\x1b[2K\x1b[1Gd", "d"},
		"erase the beginning": {"abc\x1b[2G\x1b[1Kd", " dc"},
		"backspace":           {"ab\b\bx", "xb"},
		"link to a script":    {"\x1b]8;;javascript:alert(1)\x1b\\click\x1b]8;;\a!", "click!"},
		"title without end":   {"a\x1b]0;x<b>", "a"},
		"string of a device":  {"a\x1bPq<b>\x1b\\b", "ab"},
		"broken off":          {"a\x1b[3", "a"},
		"letter after break":  {"a\x1b[3\x01é", "aé"},
		"character set":       {"\x1b(Bab\x1b", "ab"},
		"cursor hidden":       {"\x1b[?25lx\x1b[2Jy", "xy"},
		"other controls":      {"a\x00\x07\u009bb\x7f\tc", "ab\tc"},
		"turned direction":    {"a\u202eb\u2066c\u200bd", "abcd"},
		"huge argument":       {"\x1b[99999999999999999999mx\x1b[-1Cy", "x y"},
	} {
		l := logLine{}
		l.print(c.in)
		if got := l.html(); got != c.want {
			t.Errorf("%s: %q becomes\n%q, want\n%q", name, c.in, got, c.want)
		}
	}
}

func TestLogSections(t *testing.T) {
	t.Parallel()
	got := string(renderLog(linesOf("before\n" +
		"\x1b[0Ksection_start:100:get[collapsed=true]\r\x1b[0K\x1b[36;1mGetting\x1b[0;m\n" +
		"in <it>\n" +
		"\x1b[0Ksection_start:101:<b>\r\x1b[0K\n" +
		"deeper\n" +
		"\x1b[0Ksection_end:160:get\r\x1b[0K\x1b[0Ksection_start:160:run\r\x1b[0KRunning\n" +
		"section_end:1:other\r\x1b[0Klast section_start:1:x\r\n")))
	number := func(n string) string {
		return `id="L` + n + `"><a class="n" href="#L` + n + `" data-n="` + n + `" tabindex="-1" aria-hidden="true"></a>`
	}
	want := `<div class="part"><div class="ln" ` + number("1") + "before</div>\n</div>" +
		`<details><summary class="ln" ` + number("2") + `<span class="f6 bo">Getting</span><span class="took">1 min</span></summary>` +
		`<div class="part"><div class="ln" ` + number("3") + "in &lt;it&gt;</div>\n</div>" +
		`<details open><summary class="ln" ` + number("4") + `&lt;b&gt;</summary>` +
		`<div class="part"><div class="ln" ` + number("5") + "deeper</div>\n</div></details></details>" +
		`<details open><summary class="ln" ` + number("6") + `Running</summary>` +
		`<div class="part"><div class="ln" ` + number("7") + "last section_start:1:x</div>\n</div></details>"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A part has 200 lines, and colours go on in the next line.
func TestLogParts(t *testing.T) {
	t.Parallel()
	got := string(renderLog(linesOf("\x1b[31m" + strings.Repeat("x\n", 401))))
	if n := strings.Count(got, `<div class="part">`); n != 3 {
		t.Errorf("%d parts", n)
	}
	if n := strings.Count(got, `<span class="f1">x</span>`); n != 401 {
		t.Errorf("%d red lines", n)
	}
}

// A line of sequences that fill and erase all columns ends soon.
func TestLogLineWork(t *testing.T) {
	t.Parallel()
	l := logLine{}
	l.print(strings.Repeat("\x1b[2K\x1b[16000Gx\x1b[1K", 4000))
	if l.moved == 0 || len(l.cells) > maxColumns {
		t.Errorf("%d cells moved, %d left", l.moved, len(l.cells))
	}
	long := string(renderLog([]api.LogText{{Number: 1, Text: strings.Repeat("y", maxColumns+9)}}))
	if strings.Count(long, "y") > maxColumns+9 || !strings.Contains(long, "the raw log has the rest") {
		t.Errorf("a long line is not cut: %d bytes", len(long))
	}
}

// Whatever is printed, the page has only the elements and attributes of a log, and they
// are closed.
func FuzzRenderLog(f *testing.F) {
	for _, seed := range []string{"a\x1b[31mb\n", "section_start:1:a[collapsed=true]\r\x1b[0Kx\ny\nsection_end:2:a\r\x1b[0K", `<img src=x onerror=alert(1)>`, "\x1b]8;;javascript:x\x1b\\y", "a\rb\x1b[K\x1b[3G\b", "\x1b[38;2;1;2;3;48;5;200mx"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ToValidUTF8(text, "\uFFFD")
		out := string(renderLog(linesOf(text)))
		if !utf8.ValidString(out) {
			t.Fatalf("not UTF-8: %q", out)
		}
		allowed := map[string]string{"div": "class id", "span": "class", "a": "class href data-n tabindex aria-hidden", "details": "open", "summary": "class id"}
		var open []string
		z := html.NewTokenizer(strings.NewReader(out))
		for kind := z.Next(); kind != html.ErrorToken; kind = z.Next() {
			token := z.Token()
			switch kind {
			case html.TextToken:
			case html.StartTagToken:
				attributes, known := allowed[token.Data]
				if !known {
					t.Fatalf("element %s in %q", token.Data, out)
				}
				for _, a := range token.Attr {
					if !strings.Contains(" "+attributes+" ", " "+a.Key+" ") || a.Key == "href" && !strings.HasPrefix(a.Val, "#L") {
						t.Fatalf("attribute %s=%q of %s in %q", a.Key, a.Val, token.Data, out)
					}
				}
				open = append(open, token.Data)
			case html.EndTagToken:
				if len(open) == 0 || open[len(open)-1] != token.Data {
					t.Fatalf("%s ends inside of %v in %q", token.Data, open, out)
				}
				open = open[:len(open)-1]
			default:
				t.Fatalf("%v in %q", token, out)
			}
		}
		if len(open) > 0 {
			t.Fatalf("%v are left open in %q", open, out)
		}
	})
}
