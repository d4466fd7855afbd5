package browsertest

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"refline/internal/api"
)

// A day of a data engineer, by keyboard alone and at 360 px: sign in by the link, open a
// flow, fill in its inputs, run it, see it end, read the failing line of another run in its
// log, retry, and find out why a job does not start.
func TestDayByKeyboard(t *testing.T) {
	b, w := story(t)
	b.look(360, "dark")
	press := func(keys string) { b.t.Helper(); b.do(fmt.Sprintf("press %q", keys), chromedp.KeyEvent(keys)) }
	// to moves the focus forward until it is on an element.
	to := func(selector string) {
		b.t.Helper()
		for range 150 {
			if value[bool](b, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
				return
			}
			press(kb.Tab)
		}
		b.t.Fatalf("Tab does not lead to %s; the page:\n%s", selector, b.text())
	}
	loaded := func(what, path string) {
		b.t.Helper()
		b.until(what, fmt.Sprintf(`%s.test(location.pathname) && document.documentElement.hasAttribute('data-ready')`, path))
	}

	link, err := w.client.SignInLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b.open(link.Path)
	to("main button")
	press(kb.Enter)
	loaded("the overview", `/^\/$/`)

	press("gf") // at once: the second key has to follow soon
	loaded("the flows", `/^\/flows$/`)
	to(`a[href$="/flows/typed"]`)
	press(kb.Enter)
	loaded("the flow", `/flows\/typed$/`)
	to(`[name="in.day"]`)
	press("2026-11-22")
	to(`[name="in.full"]`)
	press(" ")
	b.see("#run-command", "--input day=2026-11-22 --input full=true")
	to(`#run .main`)
	press(kb.Enter)
	d := b.started()
	b.see(".says", "Passed in") // without loading the page again
	if d.Inputs["day"] != "2026-11-22" || d.Inputs["full"] != "true" {
		t.Errorf("inputs of the run: %v", d.Inputs)
	}

	failed := w.startRun(t, "fail")
	if err := w.rest(failed.ID); err != nil {
		t.Fatal(err)
	}
	b.open(fmt.Sprintf("/runs/%d", failed.ID))
	press("l")
	loaded("the log", `/jobs\/load_events$/`)
	b.until("the ruler has the error", `document.querySelector('#log-ruler .bad')`)
	press("e")
	b.until("the failing line is marked", `document.querySelector('.ln.on')?.textContent.includes('UniqueViolation')`)
	to(`.crumbs a[href^="/runs/"]`)
	press(kb.Enter)
	loaded("the run", `/^\/runs\/\d+$/`)
	press("r")
	if err := w.until(failed.ID, func(r api.Run) bool { return jobOf(r, "load_events").Attempt == 2 && r.Status.Done() }); err != nil {
		t.Fatal(err)
	}

	b.open(fmt.Sprintf("/runs/%d", w.runs["queued"]))
	b.see("main", "gpu") // the tag that no runner has
	if wide := value[int](b, `document.documentElement.scrollWidth`); wide > 360 {
		t.Errorf("the page is %d px wide", wide)
	}
}
