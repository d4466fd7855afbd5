package browsertest

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"refline/internal/api"
)

// log is the address of the log of a job.
func (w *world) log(run, job string) string {
	return fmt.Sprintf("/runs/%d/jobs/%s", w.runs[run], url.PathEscape(job))
}

// A hostile log is text: it makes no elements, links or requests.
func TestHostileLog(t *testing.T) {
	b := logTab(t)
	b.open(b.w.log("hostile", `"><img src=x onerror=alert(1)>`))
	b.see("#log-lines", "<script>alert(1)</script>")
	if n := value[int](b, `document.querySelectorAll('main script, main img, main a[href^="javascript:"]').length`); n > 0 {
		t.Errorf("the log made %d elements", n)
	}
}

// Lines are linked, marked and counted; numbers are not part of the text.
func TestLogLines(t *testing.T) {
	b := logTab(t)
	address := b.w.log("fail", "load_events")
	b.open(address)
	b.see("#log-lines", "copy events: 1,204,331 of 3,150,000 rows")
	number := value[int](b, `+[...document.querySelectorAll('.ln')].find(e => e.textContent.includes('UniqueViolation')).id.slice(1)`)
	if red := value[string](b, fmt.Sprintf(`document.querySelector('#L%d span').className`, number)); red != "f1" {
		t.Errorf("the red line has class %q", red)
	}
	b.open(fmt.Sprintf("%s?x=1#L%d-L%d", address, number, number+1))
	b.until("two lines are marked", fmt.Sprintf(`document.querySelectorAll('.ln.on').length === 2 && document.getElementById('L%d').classList.contains('on')`, number))
	b.open(address + "?q=UNIQUEviolation")
	b.see(".hits", "1 line")
	if href := value[string](b, `document.querySelector('.hits li a').getAttribute('href')`); !strings.HasSuffix(href, fmt.Sprintf("#L%d", number)) {
		t.Errorf("the match leads to %s", href)
	}
	b.open(address + "?from=3")
	b.see(".logmore", "Earlier lines")
	for path, disposition := range map[string]string{"/raw": "null", "/download": fmt.Sprintf("attachment; filename=run-%d-load_events-1.log", b.w.runs["fail"])} {
		got := value[string](b, fmt.Sprintf(`(() => {
			const r = new XMLHttpRequest()
			r.open('GET', %q, false)
			r.send()
			return r.getResponseHeader('content-disposition') + ' ' + r.getResponseHeader('content-type') + ' ' + r.responseText
		})()`, address+path))
		if !strings.HasPrefix(got, disposition+" text/plain; charset=utf-8 ") || !strings.Contains(got, "\x1b[31mpsycopg.errors.UniqueViolation") {
			t.Errorf("%s: %q", path, got)
		}
	}
}

// What a job prints while one reads its log comes to the end.
func TestLogFollows(t *testing.T) {
	b := logTab(t)
	w := b.w
	r, err := w.client.StartRun(context.Background(), api.RunInput{Project: "data/warehouse", RefKind: "branch", Ref: "main", Variables: map[string]string{"MODE": "long"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.client.CancelRun(context.Background(), r.ID, "") })
	if err := w.until(r.ID, func(r api.Run) bool { return jobOf(r, "load_events").Status == "running" }); err != nil {
		t.Fatal(err)
	}
	b.open(fmt.Sprintf("/runs/%d/jobs/load_events", r.ID))
	b.see("#log-lines", "copying")
	if n := value[int](b, `[...document.querySelectorAll('.ln')].filter(e => e.textContent === 'copying').length`); n != 1 {
		t.Errorf("the line is shown %d times", n)
	}
	if err := w.client.CancelRun(context.Background(), r.ID, ""); err != nil {
		t.Fatal(err)
	}
	b.until("the page says that the job is over", `document.getElementById('log-news').textContent === 'The job is over.' && document.title.startsWith('canceled')`)
}

// The ruler shows what the whole log reports; keys go along it and copy the address of a
// line; all of them are in the list of keys. Without script there is a list of lines.
func TestLogKeys(t *testing.T) {
	b := logTab(t)
	key := func(keys string) { b.t.Helper(); b.do("press "+keys, chromedp.KeyEvent(keys)) }
	address := b.w.log("fail", "load_events")
	b.open(address + "?q=rows")
	b.until("the ruler has its lines", `document.querySelector('#log-ruler .bad') && document.querySelector('#log-ruler .hit')`)
	number := func(text string) int {
		t.Helper()
		return value[int](b, fmt.Sprintf(`+[...document.querySelectorAll('.ln')].find(e => e.textContent.includes(%q)).id.slice(1)`, text))
	}
	at := func(line int) {
		t.Helper()
		b.until(fmt.Sprintf("line %d is marked", line), fmt.Sprintf(`location.hash === '#L%d' && document.getElementById('L%d').classList.contains('on')`, line, line))
	}
	red, first := number("UniqueViolation"), number("1,204,331 of 3,150,000 rows") // printed as a command first
	key("e")
	at(red)
	b.see("#log-said", fmt.Sprintf("Line %d, error 1 of ", red))
	key("N")
	at(first + 1)
	key("N")
	at(first)
	key("N")
	b.see("#log-said", "No match before this line.")
	key("e")
	at(red)
	key("y")
	b.see("#log-said", "The link")
	key("?")
	b.until("the keys are listed", `document.getElementById('keys').open`)
	list := value[string](b, `document.getElementById('keys').textContent`)
	for _, text := range []string{"next line with a match", "next line that reports an error", "copy the link", "wrap lines"} {
		if !strings.Contains(list, text) {
			t.Errorf("the list of keys has no %q: %s", text, list)
		}
	}
	key("\x1b")
	b.open(address + "?marks=1")
	b.see(".hits", "UniqueViolation")
}

func logTab(t *testing.T) *tab {
	t.Helper()
	if testing.Short() || chromium() == "" {
		t.Skip("SKIPPED: the log is opened in a browser: Chromium is not installed, or -short is given")
	}
	b := newTab(t, startWorld(t))
	b.signIn()
	return b
}
