package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

func TestMain(m *testing.M) {
	if kind := os.Getenv(planner); kind != "" {
		if err := writePlan(kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if theBrowser != nil {
		theBrowser()
	}
	if theWorld != nil {
		theWorld.close()
	}
	os.Exit(code)
}

var (
	browserOnce sync.Once
	theBrowser  func()          // ends it
	browserCtx  context.Context // tabs are made of it
	errBrowser  error
)

// wait bounds every step; a busy computer is slow.
const wait = 90 * time.Second

func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// tab is a page of the browser. What it complains about is kept.
type tab struct {
	t     *testing.T
	w     *world
	ctx   context.Context
	mu    sync.Mutex
	wrong []string
}

// newTab opens a tab. Tests skip without a browser.
func newTab(t *testing.T, w *world) *tab {
	t.Helper()
	browserOnce.Do(func() {
		options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium()), chromedp.NoSandbox,
			chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("lang", "en-GB"), chromedp.Env("TZ=Europe/Berlin"), chromedp.WSURLReadTimeout(wait))
		alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
		var end context.CancelFunc
		browserCtx, end = chromedp.NewContext(alloc)
		theBrowser = func() { end(); stop() }
		errBrowser = chromedp.Do(browserCtx)
	})
	if errBrowser != nil {
		t.Fatalf("chromium does not start: %v", errBrowser)
	}
	ctx, cancel := chromedp.NewContext(browserCtx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	b := &tab{t: t, w: w, ctx: ctx}
	// Without a time limit: the tab lives as long as the context of its first call.
	if err := chromedp.Do(ctx, command(log.Enable, cdp.Empty{})); err != nil {
		t.Fatal(err)
	}
	if err := chromedp.Listen(ctx, b.listen); err != nil {
		t.Fatal(err)
	}
	return b
}

// listen keeps errors of scripts, of the console and reports of the policy.
func (b *tab) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += ": " + e.ExceptionDetails.Exception.Description
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			text = "console:"
			for _, a := range e.Args {
				text += " " + string(a.Value)
			}
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Source == log.EntrySourceSecurity {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	}
	if text == "" || strings.Contains(text, "(Unauthorized)") {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wrong = append(b.wrong, text)
}

// step is something that a tab does.
type step = chromedp.Action[chromedp.Void]

// command is a command of the protocol as a step.
func command[P, R any](c cdp.Command[P, R], p P) step {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, p)
		return err
	})
}

// complaints returns what went wrong since the last call.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	list := b.wrong
	b.wrong = nil
	return list
}

// do takes steps within the time for one.
func (b *tab) do(what string, steps ...step) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatalf("%s: %v; the page:\n%s", what, err, b.text())
	}
}

// text is what the page says, for messages of failed tests.
func (b *tab) text() string {
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	text, _ := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	return text
}

// open goes to a path, and waits until the script has run.
func (b *tab) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.w.url+path), chromedp.WaitReady(chromedp.CSS("html[data-ready]")))
}

// signIn signs in by a link, as the owner does.
func (b *tab) signIn() {
	b.t.Helper()
	link, err := b.w.client.SignInLink(b.ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	b.open(link.Path)
	b.do("sign in", chromedp.Click(chromedp.CSS("main button")))
	b.see("h1", "Overview")
}

// see waits until an element has a text.
func (b *tab) see(selector, text string) {
	b.t.Helper()
	b.until(fmt.Sprintf("%s has %q", selector, text), fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.textContent.includes(%q))`, selector, text))
}

// until waits until an expression is true.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	deadline := time.Now().Add(wait)
	for {
		ctx, cancel := context.WithTimeout(b.ctx, wait)
		good, err := chromedp.Run(ctx, chromedp.Evaluate[bool](`Boolean(`+expression+`)`))
		cancel()
		if good {
			return
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("not so after %s: %s (%v); the page:\n%s", wait, what, err, b.text())
		}
		time.Sleep(50 * time.Millisecond) // the page may be loading
	}
}

// value evaluates an expression.
func value[T any](b *tab, expression string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, wait)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, options...))
	if err != nil {
		b.t.Fatalf("%s: %v; the page:\n%s", expression[:min(len(expression), 300)], err, b.text())
	}
	return v
}

// look sets the size of the window and the colours.
func (b *tab) look(width int64, scheme string) {
	b.t.Helper()
	b.do(fmt.Sprintf("%d px, %s", width, scheme),
		command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: 900, DeviceScaleFactor: 1}),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}}))
}

// picture keeps a picture of the whole page, if a folder is given.
func (b *tab) picture(name string) {
	b.t.Helper()
	dir := os.Getenv("REFLINE_SCREENSHOTS")
	if dir == "" {
		return
	}
	b.do("picture", chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		whole := true
		image, err := cdp.Call(ctx, t, page.CaptureScreenshot, page.CaptureScreenshotParams{CaptureBeyondViewport: &whole})
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name+".png"), image.Data, 0o600)
	}))
}
