package browsertest

import (
	"fmt"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"refline/internal/api"
)

// story starts a tab that is signed in, or skips.
func story(t *testing.T) (*tab, *world) {
	t.Helper()
	if testing.Short() || chromium() == "" {
		t.Skip("SKIPPED: Chromium is not installed or -short is given, so the stories of the page were left out")
	}
	w := startWorld(t)
	b := newTab(t, w)
	b.look(1280, "light")
	b.signIn()
	return b, w
}

// startRun starts a run for one test.
func (w *world) startRun(t *testing.T, mode string) api.Run {
	t.Helper()
	r, err := w.client.StartRun(t.Context(), api.RunInput{Project: "data/warehouse", RefKind: "branch", Ref: "feature/cart", Variables: map[string]string{"MODE": mode}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// startPlan starts a run that plans a stack, and waits until its plan waits for a person.
func (w *world) startPlan(t *testing.T) api.Run {
	t.Helper()
	r, err := w.client.StartRun(t.Context(), api.RunInput{Project: "data/warehouse", Flow: "landing", Variables: w.planVariables()})
	if err == nil {
		err = w.rest(r.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A run that is watched ends on the page without a reload. Focus and typed text stay.
func TestRunIsLive(t *testing.T) {
	b, w := story(t)
	r := w.startRun(t, "long")
	if err := w.until(r.ID, func(r api.Run) bool { return jobOf(r, "load_events").Status == "running" }); err != nil {
		t.Fatal(err)
	}
	b.open(fmt.Sprintf("/runs/%d", r.ID))
	b.see(".says", "Running for")
	b.do("type", chromedp.SendKeys(chromedp.CSS(".find input"), "ref:ma"))
	value[bool](b, `(window.same = document.querySelector('h1'), true)`)
	if err := w.client.CancelRun(t.Context(), r.ID, ""); err != nil {
		t.Fatal(err)
	}
	b.see(".says", "Canceled after")
	if got := value[string](b, `document.activeElement.value + '|' + (window.same === document.querySelector('h1')) + '|' + document.title.split(':')[0]`); got != "ref:ma|true|canceled" {
		t.Errorf("focus, element and title after the change: %s", got)
	}
}

// A page that is opened in the background connects when it is shown, and then shows what
// changed before: the stream does not send that. Regression: it stayed as it was.
func TestChangeBeforeTheStream(t *testing.T) {
	b, w := story(t)
	r := w.startRun(t, "long")
	if err := w.until(r.ID, func(r api.Run) bool { return jobOf(r, "load_events").Status == "running" }); err != nil {
		t.Fatal(err)
	}
	hide := `Object.defineProperty(document, 'hidden', { get: () => !window.shown })`
	b.do("a tab in the background", command(page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: hide}))
	b.open(fmt.Sprintf("/runs/%d", r.ID))
	b.see(".says", "Running for")
	if err := w.client.CancelRun(t.Context(), r.ID, ""); err != nil {
		t.Fatal(err)
	}
	if err := w.rest(r.ID); err != nil {
		t.Fatal(err)
	}
	value[bool](b, `(window.shown = true, document.dispatchEvent(new Event('visibilitychange')))`)
	b.see(".says", "Canceled after")
}

// By keyboard alone: to the run before, to the list of runs, to the search.
func TestKeyboard(t *testing.T) {
	b, w := story(t)
	key := func(keys string) { b.do("press "+keys, chromedp.KeyEvent(keys)) }
	b.open(fmt.Sprintf("/runs/%d", w.runs["fail"]))
	key("?")
	b.until("the help is open", `document.getElementById('keys').open`)
	key("\x1b")
	b.until("the help is closed", `!document.getElementById('keys').open`)
	key("[")
	b.until("the run before", fmt.Sprintf(`location.pathname === '/runs/%d' && document.documentElement.hasAttribute('data-ready')`, w.runs["pass"]))
	key("g")
	key("r")
	b.until("the list of runs", `location.pathname === '/runs' && document.documentElement.hasAttribute('data-ready')`)
	key("/")
	b.until("the search has the focus", `document.activeElement.name === 'q'`)
}

// By keyboard alone: from a run that failed to what differs from the run before.
func TestCompareByKeyboard(t *testing.T) {
	b, w := story(t)
	b.open(fmt.Sprintf("/runs/%d", w.runs["fail"]))
	b.see("#run-head", fmt.Sprintf("The run before it was good: run %d", w.runs["pass"]))
	for range 60 {
		if value[bool](b, `document.activeElement.matches('#run-head .acts a[href*="/compare?"]')`) {
			break
		}
		b.do("tab", chromedp.KeyEvent("\t"))
	}
	b.do("open it", chromedp.KeyEvent("\r"))
	b.until("the comparison", fmt.Sprintf(`location.search === '?a=%d&b=%d' && document.documentElement.hasAttribute('data-ready')`, w.runs["pass"], w.runs["fail"]))
	b.see("tr.worse", "load_events")
	b.see("tr.differs", "fail")
}

// Without script: open a failed run, read its lines, retry it; who did it is kept.
func TestWithoutScript(t *testing.T) {
	b, w := story(t)
	r := w.startRun(t, "fail")
	if err := w.rest(r.ID); err != nil {
		t.Fatal(err)
	}
	b.do("switch script off", command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	b.do("open the run", chromedp.Navigate(fmt.Sprintf("%s/runs/%d", w.url, r.ID)))
	b.do("retry", chromedp.WaitReady(chromedp.CSS("#run-why pre")), chromedp.Click(chromedp.CSS(`#run-head form[action$="/retry"] button`)))
	if err := w.until(r.ID, func(r api.Run) bool { return jobOf(r, "load_events").Attempt == 2 && r.Status.Done() }); err != nil {
		t.Fatal(err)
	}
	d, err := w.client.RunDetail(t.Context(), r.ID)
	if err != nil || len(d.Acts) == 0 || d.Acts[0].Action != "run.retry" {
		t.Errorf("who did what: %+v, %v", d.Acts, err)
	}
}
