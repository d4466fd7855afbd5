package browsertest

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"refline/internal/api"
	"refline/internal/stack/planfile"
)

// planner is the variable by which a job of the tests starts this program to write the
// plan of a stack. Its value is the kind of the plan.
const planner = "REFLINE_TEST_PLAN"

// realPlan is a plan that refline stack plan made of examples/cloudformation.
//
//go:embed testdata/landing-dev.plan.json
var realPlan []byte

// writePlan writes the plan of a stack as a job does: for the commit that it runs at.
func writePlan(kind string) error {
	var p planfile.Plan
	if err := json.Unmarshal(realPlan, &p); err != nil {
		return err
	}
	p.Origin.Commit = os.Getenv("CI_COMMIT_SHA")
	if kind == "hostile" {
		bad := `</td><script>alert(1)</script><img src=x onerror=alert(1)>` + "\u202e"
		p.StackName, p.Region, p.Account, p.ChangeSet = "<b onfocus=alert(1)>", bad, bad, "javascript:alert(1)"
		p.Changes[0].LogicalID, p.Changes[0].Type, p.Changes[0].Place.File = bad, bad, "javascript:alert(1)//"+bad
		p.Changes[0].Properties[0].Path, p.Changes[0].Properties[0].Before, p.Changes[0].Properties[0].Cause = bad, &bad, bad
		p.Parameters[0].Key, p.Parameters[0].Value = bad, bad
		p.Allowed, p.Notes = []string{bad}, []string{bad}
		p.Refusals = []planfile.Refusal{{Rule: bad, Message: bad, Hint: bad}}
	}
	if err := p.Seal(); err != nil {
		return err
	}
	text, err := p.Encode()
	if err != nil {
		return err
	}
	return os.WriteFile(kind+planfile.Suffix, text, 0o600)
}

// By keyboard alone: from the run that waits to its plan, past the resource that holds
// data, to the job that deploys it; the digest that was shown is the one approved.
func TestPlayPlanByKeyboard(t *testing.T) {
	b, w := story(t)
	r := w.startPlan(t)
	b.open(fmt.Sprintf("/runs/%d", r.ID))
	b.see("#run-head", "Review landing-dev")
	if got := value[bool](b, `[...document.querySelectorAll('form[action$="/play"]')].length === 0`); !got {
		t.Error("the run has a button that starts the job without a review")
	}
	press := func(keys ...string) {
		b.t.Helper()
		for _, key := range keys {
			b.do("press "+key, chromedp.KeyEvent(key))
		}
	}
	// tabTo goes to an element as a person does, and fails if no tab leads there.
	tabTo := func(selector string) {
		b.t.Helper()
		for range 120 {
			if value[bool](b, fmt.Sprintf(`document.activeElement.matches(%q)`, selector)) {
				return
			}
			press("\t")
		}
		t.Fatalf("no tab leads to %s", selector)
	}
	tabTo(`#run-head a[href*="/plans/"]`)
	press("\r")
	b.until("the page of the plan", `location.pathname.endsWith('/plans/landing-dev') && document.documentElement.hasAttribute('data-ready')`)
	b.see("main", "LandingBucket")
	plans, err := w.client.RunPlans(t.Context(), r.ID)
	if err != nil || len(plans) != 1 {
		t.Fatalf("plans %+v, %v", plans, err)
	}
	b.see(".digest", plans[0].Digest)
	tabTo(`.gate input[name=data]`)
	press(" ")
	tabTo(`.gate button[name=job]`)
	press("\r")
	b.until("the run", fmt.Sprintf(`location.pathname === '/runs/%d'`, r.ID))
	if err := w.until(r.ID, func(r api.Run) bool { return jobOf(r, "deploy-dev").Status == "success" }); err != nil {
		t.Fatal(err)
	}
	if plans, err = w.client.RunPlans(t.Context(), r.ID); err != nil || len(plans[0].Approvals) != 1 || plans[0].Approvals[0].Job != "deploy-dev" {
		t.Errorf("approvals %+v, %v", plans, err)
	}
	b.open(fmt.Sprintf("/runs/%d/plans/landing-dev", r.ID))
	b.see(".says", "Approved by owner for deploy-dev, which is now: passed.")
	b.open("/plans/" + strings.TrimPrefix(plans[0].Digest, "sha256:")[:10])
	b.see("h1", "landing-dev")
}

// Without script: a plan that a later run replaces while it is looked at is not deployed,
// and the page says why.
func TestPlanThatIsVoid(t *testing.T) {
	b, w := story(t)
	first := w.startPlan(t)
	b.do("switch script off", command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	page := fmt.Sprintf("%s/runs/%d/plans/landing-dev", w.url, first.ID)
	b.do("open the plan", chromedp.Navigate(page), chromedp.WaitReady(chromedp.CSS(".gate")))
	second := w.startPlan(t)
	b.do("approve the first", chromedp.Click(chromedp.CSS(".gate input[name=data]")), chromedp.Click(chromedp.CSS(".gate button")))
	b.see(".problem", fmt.Sprintf("run %d planned it again", second.ID))
	b.see(".says", fmt.Sprintf("Void: run %d planned landing-dev again.", second.ID))
	if value[bool](b, `document.querySelector('.gate') !== null`) {
		t.Error("a void plan can be approved")
	}
	got, err := w.client.Run(t.Context(), first.ID)
	if err != nil || jobOf(got, "deploy-dev").Status != "manual" {
		t.Errorf("deploy-dev is %s, %v", jobOf(got, "deploy-dev").Status, err)
	}
}

// A web page that a job kept opens alone: it runs no script, and asks for nothing.
func TestArtifactHasNoRights(t *testing.T) {
	b, w := story(t)
	b.open(fmt.Sprintf("/runs/%d/jobs/plan/artifacts/view?path=out%%2Fpage.html", w.runs["landing"]))
	link := value[string](b, `[...document.querySelectorAll('.acts a')].find(a => a.textContent === 'Open alone').href`)
	b.complaints()
	b.do("open alone", chromedp.Navigate(link))
	b.see("p", "Coverage 81.4 %")
	if got := value[string](b, `document.title + ' ' + origin`); got != "report null" {
		t.Errorf("title and origin of the page: %s, want it without script and without an origin", got)
	}
}
