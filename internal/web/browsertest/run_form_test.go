package browsertest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"refline/internal/api"
)

const typedFlow = "/p/data/warehouse/-/flows/typed"

// set gives fields of the form values, as typing does.
func (b *tab) set(values map[string]string) {
	b.t.Helper()
	for name, v := range values {
		good := value[bool](b, fmt.Sprintf(`(() => {
			const e = document.getElementById('run').elements[%q]
			if (e.type === 'checkbox') e.checked = %q === 'true'; else e.value = %q
			e.dispatchEvent(new Event('input', { bubbles: true }))
			return true
		})()`, name, v, v))
		if !good {
			b.t.Fatalf("no field %s", name)
		}
	}
}

// started is the run whose page the form leads to.
func (b *tab) started() api.RunDetail {
	b.t.Helper()
	b.until("the run's page", `/^\/runs\/\d+$/.test(location.pathname) && document.documentElement.hasAttribute('data-ready')`)
	id, err := strconv.ParseInt(strings.TrimPrefix(value[string](b, `location.pathname`), "/runs/"), 10, 64)
	if err != nil {
		b.t.Fatal(err)
	}
	d, err := b.w.client.RunDetail(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return d
}

// A value that the API refuses is named beside its field, and what was typed stays. Then
// the form runs the flow: values are sent as they were typed, those that are the default
// are not sent. Then the form is filled in from that run.
func TestRunFromForm(t *testing.T) {
	b, _ := story(t)
	b.open(typedFlow)
	if got := value[string](b, `['yesterday', '2026-11-22'].map(v => (document.getElementById('run').elements['in.day'].value = v, document.getElementById('run').checkValidity())).join()`); got != "false,true" {
		t.Errorf("the browser checks the expression: %s", got)
	}
	b.set(map[string]string{"in.day": "yesterday", "in.limit": "7", "in.full": "true", "in.note <i>": " it's  mine ", "variables": "MODE= a b"})
	want := `refline flow run typed --project data/warehouse --input day=yesterday --input limit=7 --input full=true --input 'note <i>= it'\''s  mine ' --var 'MODE= a b'`
	if got := value[string](b, `document.getElementById('run-command').textContent`); got != want {
		t.Errorf("the command is\n%s, want\n%s", got, want)
	}
	value[bool](b, `(document.getElementById('run').noValidate = true, document.querySelector('#run .main').click(), true)`)
	b.see(".wrong", `input "day" does not match`)
	b.until("the wrong field has the focus", `document.activeElement.name === 'in.day' && document.activeElement.getAttribute('aria-invalid') === 'true'`)
	if got := value[string](b, `[...document.querySelectorAll('#run [name^="in."]')].map(e => e.type === 'checkbox' ? e.checked : e.value).join('|')`); got != `yesterday|us|7|true|["orders","events"]| it's  mine ` {
		t.Errorf("the form has %s, want what was typed", got)
	}
	if got := value[string](b, `document.getElementById('run-command').textContent`); got != want {
		t.Errorf("the command of the answer is\n%s, want\n%s", got, want)
	}
	b.set(map[string]string{"in.day": "2026-11-22"})
	b.do("run it", chromedp.Click(chromedp.CSS("#run .main")))
	d := b.started()
	if diff := cmp.Diff(map[string]any{"day": "2026-11-22", "limit": "7", "full": "true", "note <i>": " it's  mine ", "region": "us"}, d.Inputs); diff != "" {
		t.Errorf("inputs of the run (-want +got)\n%s", diff)
	}
	if d.Variables["MODE"] != " a b" {
		t.Errorf("variables %q", d.Variables)
	}
	b.open(fmt.Sprintf("%s?from=%d", typedFlow, d.Run.ID))
	if got := value[string](b, `[...document.querySelectorAll('#run [name^="in."]')].map(e => e.type === 'checkbox' ? e.checked : e.value).join('|')`); got != `2026-11-22|us|7|true|["orders","events"]| it's  mine ` {
		t.Errorf("the form that is filled in from the run has %s", got)
	}
	b.set(map[string]string{"in.full": "false", "in.limit": "8"})
	b.do("run it again", chromedp.Click(chromedp.CSS("#run .main")))
	if again := b.started(); again.Inputs["limit"] != "8" || again.Inputs["full"] != nil || again.Inputs["day"] != "2026-11-22" {
		t.Errorf("inputs of the second run: %v", again.Inputs)
	}
}

// The form shows the inputs at a branch, a tag or a commit, and says where a ref is not.
func TestFormOfRef(t *testing.T) {
	b, _ := story(t)
	show := func(ref string) {
		b.t.Helper()
		b.open(typedFlow)
		b.set(map[string]string{"ref": ref})
		b.do("show the inputs of "+ref, chromedp.Click(chromedp.CSS("#run .row .btn")))
	}
	show("no-such-ref")
	b.see("#ref-error", `"no-such-ref"`)
	show("v1.0")
	b.see("#run-form ~ span, .over span", "inputs at tag v1.0")
	b.see("#run-command", "refline flow run typed --project data/warehouse --tag v1.0")
	b.set(map[string]string{"in.day": "2026-11-23"})
	b.do("run it", chromedp.Click(chromedp.CSS("#run .main")))
	if d := b.started(); d.Run.Ref != "v1.0" || d.Source.RefKind != "tag" {
		t.Errorf("it ran at %s %s", d.Source.RefKind, d.Run.Ref)
	} else {
		show(d.Run.Commit)
		b.see(".over span", "inputs at commit "+d.Run.Commit[:7])
	}
}

// Inputs that a script does not declare are given as lines; a line that is not one is
// named, and what was typed stays.
func TestFormOfLines(t *testing.T) {
	b, _ := story(t)
	b.open("/p/data/warehouse/-/flows/greet")
	b.set(map[string]string{"others": "no such line"})
	b.do("run it", chromedp.Click(chromedp.CSS("#run .main")))
	b.see(".problem", `"no such line" is not an input`)
	if got := value[string](b, `document.getElementById('others').value`); got != "no such line" {
		t.Errorf("the form has %q, want what was typed", got)
	}
	b.set(map[string]string{"others": "who= Ada \nday=2026-11-22"})
	b.do("run it", chromedp.Click(chromedp.CSS("#run .main")))
	if diff := cmp.Diff(map[string]any{"who": " Ada ", "day": "2026-11-22"}, b.started().Inputs); diff != "" {
		t.Errorf("inputs of the run (-want +got)\n%s", diff)
	}
}
