package browsertest

import (
	"slices"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"refline/internal/api"
)

// Without script: a variable is set, its flags are changed, and it is removed after a
// question.
func TestVariableWithoutScript(t *testing.T) {
	b, w := story(t)
	const page = "/p/data/warehouse/-/variables"
	named := func() *api.Variable {
		t.Helper()
		list, err := w.client.Variables(t.Context(), "data/warehouse")
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(list, func(v api.Variable) bool { return v.Name == "STORY" }); i >= 0 {
			return &list[i]
		}
		return nil
	}
	open := func(path string) {
		t.Helper()
		b.do("open "+path, chromedp.Navigate(w.url+path), chromedp.WaitReady(chromedp.CSS("#set-variable")))
	}
	click := func(selector string) { t.Helper(); b.do("click "+selector, chromedp.Click(chromedp.CSS(selector))) }
	b.do("switch script off", command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	open(page)
	click("#set-variable > summary")
	b.do("type", chromedp.SendKeys(chromedp.CSS("#set-variable [name=name]"), "STORY"), chromedp.SendKeys(chromedp.CSS("#set-variable [name=value]"), "a value of the story"))
	click("#set-variable .main")
	b.do("it is set", chromedp.WaitVisible(chromedp.CSS(".notice")))
	if v := named(); v == nil || !v.Masked || v.Protected || v.Bytes != 20 {
		t.Fatalf("after the form: %+v", v)
	}
	open(page + "?change=STORY")
	click("#set-variable [name=protected]")
	click("#set-variable .main")
	b.do("it is changed", chromedp.WaitVisible(chromedp.CSS(".notice")))
	if v := named(); v == nil || !v.Protected || v.Bytes != 20 {
		t.Fatalf("after the change: %+v", v)
	}
	row := `tr:has(input[value="STORY"])`
	click(row + " summary")
	click(row + " .danger")
	b.do("it is removed", chromedp.WaitReady(chromedp.CSS(`main:not(:has(tr input[value="STORY"]))`)))
	if v := named(); v != nil {
		t.Errorf("after the removal: %+v", v)
	}
}

// The account menu is there on a narrow screen, with the way out.
func TestSignOutOnNarrowScreen(t *testing.T) {
	b, _ := story(t)
	for _, width := range []int64{320, 1280} {
		b.look(width, "light")
		b.open("/settings")
		b.do("open the menu", chromedp.Click(chromedp.CSS(".me > summary")), chromedp.WaitVisible(chromedp.CSS(`.me form[action$="/sign-out"] button`)))
		checkLayout(b, width)
		if left := value[int](b, `Math.floor(document.querySelector('.me > div').getBoundingClientRect().left)`); left < 0 {
			t.Errorf("at %d px the menu begins at %d, outside of the window", width, left)
		}
	}
	b.do("sign out", chromedp.Click(chromedp.CSS(`.me form[action$="/sign-out"] button`)))
	b.until("the page to sign in", `location.pathname.endsWith('/sign-in')`)
}

// A hostile project is text: its branches and files, and what is typed, make no elements.
func TestHostileProject(t *testing.T) {
	b, _ := story(t)
	for path, text := range map[string]string{
		"/p/data/warehouse": hostileBranch,
		"/p/data/warehouse/-/lint?file=broken.yml&ref=hostile/%22%3E%3Csvg/onload%3Dalert(1)%3E": hostileBranch,
		"/p/data/warehouse/-/lint?ref=%22%3E%3Cimg+src%3Dx+onerror%3Dalert(1)%3E":                `<img src=x onerror=alert(1)>`,
		"/p/data/warehouse/-/variables": "<script>alert(1)</script>",
	} {
		b.open(path)
		b.see("main", text)
		if n := value[int](b, `document.querySelectorAll('main script, main img, main [onload], main [onerror], main a[href^="javascript:"]').length`); n > 0 {
			t.Errorf("%s made %d elements", path, n)
		}
	}
	for _, text := range b.complaints() {
		t.Errorf("the browser complains: %s", text)
	}
}
