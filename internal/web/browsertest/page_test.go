package browsertest

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// pageCase is a page that is opened at all widths, dark and light.
type pageCase struct {
	name string
	path func(*world) string
	says []string // that the page has to say
}

func at(path string) func(*world) string { return func(*world) string { return path } }

// ofRun is the page of a run, or what is below it.
func ofRun(mode string, below ...string) func(*world) string {
	return func(w *world) string { return fmt.Sprintf("/runs/%d%s", w.runs[mode], strings.Join(below, "")) }
}

// pageCases are the pages. Add a row for each page.
func pageCases() []pageCase {
	return []pageCase{
		{"overview", at("/"), []string{"Waits for a person", "Red", "load_events", "daily_sales", "Running and queued", "Last 24 hours"}},
		{"runs", at("/runs"), []string{"daily_sales", "failed", "Trigger"}},
		{"runs-failed", at("/runs?q=status:failed"), []string{"for status:failed", "failed"}},
		{"flows", at("/flows"), []string{"daily_sales"}},
		{"flow", func(w *world) string { return flowPage(w) }, []string{"Run it", "clone depth", "Schedules", "Europe/Berlin", "Last runs"}},
		{"flow-typed", at("/p/data/warehouse/-/flows/typed"), []string{"Day to load; <b>UTC</b>", "default 100", "the flow has us", "refline flow run typed"}},
		{"flow-script", at("/p/data/warehouse/-/flows/copy_orders"), []string{"rows", "default 10", "mode"}},
		{"projects", at("/projects"), []string{"Repository"}},
		{"project", at("/p/data/warehouse"), []string{"daily_sales", "Branches", "feature/cart", "Last runs", "Check the repository"}},
		{"environments", at("/environments"), []string{"Environments", "staging"}},
		{"environment", at("/p/data/warehouse/-/environments/staging"), []string{"Deployments", "marts", "staging.example.com"}},
		{"project-variables", at("/p/data/warehouse/-/variables"), []string{"API_TOKEN", "masked", "Deploy keys", "ssh-ed25519", "Set a variable"}},
		{"project-change", at("/p/data/warehouse/-/variables?change=API_TOKEN&environment=*"), []string{"Change API_TOKEN", "leave it empty to keep the value"}},
		{"project-hook", at("/p/data/warehouse/-/hook"), []string{"Settings > Webhooks", "Last deliveries", "Change the webhook"}},
		{"project-lint", at("/p/data/warehouse/-/lint?ref=main&file=broken.yml"), []string{"broken.yml:5:3", "<script>alert(1)</script>", "biuld", "3 errors"}},
		{"project-settings", at("/p/data/warehouse/-/settings"), []string{"Change the project", "Change how long runs are kept", "Notifications", "runs kept"}},
		{"server-variables", at("/settings/variables"), []string{"No variables", "No deploy keys"}},
		{"runners", at("/runners"), []string{"Runtimes", "Slots", "local", "python", "warehouse", "Runner tokens", "gpu-box"}},
		{"runner", at("/runners/local"), []string{"online", "jobs of all refs", "Drain"}},
		{"runtime", at("/runtimes/python"), []string{"python:3.13", "Flows that use it", "History"}},
		{"settings", at("/settings"), []string{"API tokens", "Signed-in browsers", "Notifications", "hooks.example.com", "nightly"}},
		{"run-failed", ofRun("fail"), []string{"Failed after", "load_events", "ended with exit 1", "UniqueViolation", "Rows loaded", "2 tables", "Who did what", "marts and publish docs did not run"}},
		{"run-manual", ofRun("pass"), []string{"Waits for a person", "Start publish docs", "contract", "may fail"}},
		{"run-running", ofRun("long"), []string{"Running for", "load_events", "Cancel"}},
		{"run-queued", ofRun("queued"), []string{"gpu"}},
		{"run-hostile", ofRun("hostile"), []string{"<script>alert(1)</script>", "exit 1"}},
		{"run-plan", ofRun("landing"), []string{"Review landing-dev", "Plans of stacks", "0 added"}},
		{"plan", ofRun("landing", "/plans/landing-dev"), []string{"Waits for a person to review it", "LandingBucket", "replaced; the old one is kept", "BucketName", "includes/s3landingbucket.libsonnet:10:7", "opened by name", "Approve and start deploy-dev"}},
		{"plan-hostile", ofRun("hostile", "/plans/%3Cb%20onfocus=alert%281%29%3E"), []string{"Refused: 1 rule is broken", "</td><script>alert(1)</script>"}},
		{"compare", func(w *world) string { return fmt.Sprintf("/runs/compare?a=%d&b=%d", w.runs["pass"], w.runs["fail"]) }, []string{"1 job fails in the second that did not in the first", "$MODE", "load_events", "copy", "Rows loaded"}},
		{"compare-hostile", func(w *world) string {
			return fmt.Sprintf("/runs/compare?a=%d&b=%d", w.runs["hostile"], w.runs["queued"])
		}, []string{`"><img src=x onerror=alert(1)>`, "not in it", "<script>alert(1)</script>"}},
		{"artifacts", ofRun("landing", "/jobs/plan/artifacts"), []string{"landing-dev.plan.json", "out/", "Download all", "As tar.zst"}},
		{"artifacts-hostile", ofRun("landing", "/jobs/plan/artifacts?folder=out"), []string{"<img src=x onerror=alert(1)>.txt", "link to /etc/passwd", "charts/", "download"}},
		{"artifact-text", ofRun("landing", "/jobs/plan/artifacts/view?path=out%2Fpage.html"), []string{"parent.document.title", "Open alone"}},
		{"artifact-markdown", ofRun("landing", "/jobs/plan/artifacts/view?path=out%2Freadme.md"), []string{"Loaded", "Source"}},
		{"artifact-image", ofRun("landing", "/jobs/plan/artifacts/view?path=out%2Fcharts%2Frows.svg"), []string{"rows.svg", "Download"}},
		{"log", func(w *world) string { return w.log("fail", "load_events") }, []string{"load_events", "UniqueViolation", "exit 1", "Download"}},
		{"log-search", func(w *world) string { return w.log("fail", "load_events") + "?q=uniqueviolation" }, []string{"1 line", "DETAIL"}},
		{"log-errors", func(w *world) string { return w.log("fail", "load_events") + "?marks=1" }, []string{"UniqueViolation", "reports an error"}},
		{"log-hostile", func(w *world) string { return w.log("hostile", `"><img src=x onerror=alert(1)>`) }, []string{"<script>alert(1)</script> </pre></main> javascript:alert(1)", "click"}},
		{"log-queued", func(w *world) string { return w.log("queued", "train") }, []string{"queued"}},
		{"not-found", at("/nothing-here"), []string{"Not found", "there is nothing at this address"}},
	}
}

// Limits of what is sent and shown; see docs/page.md.
const (
	maxPage   = 14 << 10 // gzipped
	maxStyle  = 8 << 10
	maxScript = 12 << 10
	maxNodes  = 1500
)

func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("the pages are opened in a browser")
	}
	if chromium() == "" {
		t.Skip("SKIPPED: Chromium is not installed, so no page was opened; scripts/setup installs it")
	}
	w := startWorld(t)
	axe := axeScript(t)
	for _, c := range pageCases() {
		t.Run(c.name, func(t *testing.T) {
			b := newTab(t, w)
			b.signIn()
			b.complaints()
			b.open(c.path(w))
			for _, text := range c.says {
				b.see("main", text)
			}
			checkSize(t, b, w, c.path(w))
			for _, width := range []int64{320, 360, 1280, 1920} {
				for _, scheme := range []string{"light", "dark"} {
					b.look(width, scheme)
					checkLayout(b, width)
					if axe != "" && (width == 320 || width == 1280) {
						checkAccess(b, axe, fmt.Sprintf("%d px, %s", width, scheme))
					}
					b.picture(fmt.Sprintf("%s-%d-%s", c.name, width, scheme))
				}
			}
			for _, text := range b.complaints() {
				if c.name == "not-found" && strings.Contains(text, "404") {
					continue // the answer is one, as it should be
				}
				t.Errorf("the browser complains: %s", text)
			}
		})
	}
}

// checkLayout finds what makes the page wider than the window, and targets too small to
// be hit.
func checkLayout(b *tab, width int64) {
	b.t.Helper()
	wide := value[[]string](b, `(() => {
		if (document.documentElement.scrollWidth <= innerWidth) return []
		const out = []
		for (const e of document.querySelectorAll('main *, header *, footer *')) {
			const r = e.getBoundingClientRect()
			if (r.right > innerWidth + 1 && !e.closest('.scroll, pre') && getComputedStyle(e).position !== 'absolute') out.push(e.nodeName + '.' + e.getAttribute('class') + ' ends at ' + Math.round(r.right) + ': ' + e.textContent.trim().slice(0, 60))
		}
		return out.slice(0, 5).concat('page is ' + document.documentElement.scrollWidth + ' wide')
	})()`)
	if len(wide) > 0 {
		b.t.Errorf("at %d px the page is wider than the window: %s", width, strings.Join(wide, "; "))
	}
	small := value[[]string](b, `[...document.querySelectorAll('button, .btn, input, select, summary')].filter(e => {
		const r = e.getBoundingClientRect()
		return r.width > 0 && r.height > 0 && (r.height < 24 || r.width < 16) && !(e.matches('input[type=checkbox]') && e.closest('label, td'))
	}).map(e => e.outerHTML.slice(0, 80))`)
	if len(small) > 0 {
		b.t.Errorf("at %d px there are targets smaller than 24 px: %s", width, strings.Join(small, "; "))
	}
}

var assetLink = regexp.MustCompile(`/assets/page\.[0-9a-f]+\.(?:css|js)`)

// checkSize holds a page to what may be sent, and asks for its files as a browser does.
func checkSize(t *testing.T, b *tab, w *world, path string) {
	t.Helper()
	cookie := value[string](b, `document.cookie`)
	session := b.session()
	fetch := func(path string) (int, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", cookie+"; "+session)
		req.Header.Set("Accept", "text/html")
		req.Header.Set("Accept-Encoding", "gzip")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Header.Get("Content-Encoding") != "gzip" {
			return len(body), body
		}
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return len(body), plain
	}
	size, html := fetch(path)
	if size > maxPage {
		t.Errorf("%s has %d bytes gzipped, at most %d", path, size, maxPage)
	}
	if strings.Contains(string(html), canary) {
		t.Errorf("%s shows a secret", path)
	}
	if strings.Contains(string(html), " style=") || strings.Contains(string(html), "<style") || strings.Contains(string(html), " onclick=") {
		t.Errorf("%s has inline styles or handlers, which the policy refuses", path)
	}
	for _, link := range assetLink.FindAllString(string(html), -1) {
		size, body := fetch(link)
		limit := maxStyle
		if strings.HasSuffix(link, ".js") {
			limit = maxScript
		}
		if size > limit || len(body) < 1000 {
			t.Errorf("%s has %d bytes gzipped, at most %d", link, size, limit)
		}
	}
	if n := value[int](b, `document.querySelectorAll('*').length - document.querySelectorAll('.log *').length`); n > maxNodes {
		t.Errorf("%s has %d nodes, at most %d", path, n, maxNodes)
	}
}

// flowPage is the page of the flow of the first run.
func flowPage(w *world) string {
	list, err := w.client.Flows(context.Background(), "", "daily_sales", false)
	if err != nil || len(list) == 0 {
		return "/no-flow"
	}
	return "/p/" + list[0].Project + "/-/flows/" + list[0].Name
}
