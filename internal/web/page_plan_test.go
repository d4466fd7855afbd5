package web

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"refline/internal/api"
	"refline/internal/pipeline"
	"refline/internal/stack/planfile"
)

// planAPI answers as a server with a run whose job waits to deploy a plan.
type planAPI struct {
	t      *testing.T
	file   planfile.Plan
	plans  []api.Plan
	played [][]string // digests
}

func newPlanAPI(t *testing.T, changes ...planfile.Change) *planAPI {
	t.Helper()
	a := &planAPI{t: t, file: planfile.Plan{Version: planfile.Version, StackName: "landing-dev", Changes: changes}}
	if err := a.file.Seal(); err != nil {
		t.Fatal(err)
	}
	a.plans = []api.Plan{{Run: 7, Job: "plan", StackName: "landing-dev", Digest: a.file.Digest, Commit: "c0ffee", DeployJobs: []string{"deploy"}}}
	return a
}

func (a *planAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var out any
	switch {
	case strings.HasSuffix(r.URL.Path, "/play"):
		var in struct{ Digests []string }
		_ = json.NewDecoder(r.Body).Decode(&in)
		a.played = append(a.played, in.Digests)
		w.WriteHeader(http.StatusNoContent)
		return
	case strings.Contains(r.URL.Path, "/plans/"):
		out = a.file
	case strings.HasSuffix(r.URL.Path, "/plans"):
		out = a.plans
	case strings.HasSuffix(r.URL.Path, "/caller"):
		out = api.Caller{Kind: "owner", Name: "owner", Scopes: []string{"admin"}}
	case strings.HasSuffix(r.URL.Path, "/waiting"):
		out = api.Waiting{}
	default:
		out = api.Run{ID: 7, Number: 7, Project: "zone", Commit: "c0ffee", Jobs: []api.Job{{Name: "plan", Status: pipeline.StatusSuccess}, {Name: "deploy", Status: pipeline.StatusManual}}}
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		a.t.Error(err)
	}
}

func bucket(id string) planfile.Change {
	return planfile.Change{Effect: planfile.EffectReplace, LogicalID: id, Type: "AWS::S3::Bucket", Stateful: true, Data: planfile.DataLost}
}

// A job starts only with the digest and the commit that were reviewed, and with a tick
// for each resource that may lose its data.
func TestPlayPlan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(form url.Values)
		status int
		says   string
	}{
		"as reviewed":     {func(url.Values) {}, http.StatusSeeOther, ""},
		"no digest":       {func(f url.Values) { f.Del("digest") }, http.StatusBadRequest, "the form names no plan or no job"},
		"no job":          {func(f url.Values) { f.Del("job") }, http.StatusBadRequest, "the form names no plan or no job"},
		"another digest":  {func(f url.Values) { f.Set("digest", "sha256:0123") }, http.StatusConflict, "the plan of landing-dev is another by now: sha256:0123 was reviewed"},
		"one more digest": {func(f url.Values) { f.Add("digest", "sha256:0123") }, http.StatusConflict, "the plan sha256:0123 that was reviewed too is another by now"},
		"another commit":  {func(f url.Values) { f.Set("commit", "decade") }, http.StatusConflict, "of another commit"},
		"no tick":         {func(f url.Values) { f.Del("data") }, http.StatusBadRequest, "Bucket holds data and is removed or replaced; tick it"},
		"another tick":    {func(f url.Values) { f.Set("data", "Vpc") }, http.StatusBadRequest, "Bucket holds data"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newPlanAPI(t, bucket("Bucket"))
			form := url.Values{"digest": {a.file.Digest}, "commit": {"c0ffee"}, "job": {"deploy"}, "data": {"Bucket"}}
			c.change(form)
			r := httptest.NewRequest("POST", "/runs/7/plans/landing-dev/play", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			w := httptest.NewRecorder()
			serve(t, a.ServeHTTP).ServeHTTP(w, r)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("%d, want %d with %q: %s", w.Code, c.status, c.says, w.Body)
			}
			if good := c.status == http.StatusSeeOther; good != (len(a.played) == 1 && slices.Equal(a.played[0], []string{a.file.Digest})) {
				t.Errorf("played with %v", a.played)
			}
		})
	}
}

// What is lost comes first, and a plan that is void or refused has no button.
func TestPlanPage(t *testing.T) {
	t.Parallel()
	added := planfile.Change{Effect: planfile.EffectAdd, LogicalID: "Added"}
	removed := planfile.Change{Effect: planfile.EffectRemove, LogicalID: "Removed"}
	for name, c := range map[string]struct {
		change func(*api.Plan)
		says   []string
		button bool
	}{
		"waits":      {func(*api.Plan) {}, []string{"Waits for a person", "1 resource that holds data"}, true},
		"void":       {func(p *api.Plan) { p.Void, p.ReplacedBy = "run 9 planned it again", 9 }, []string{"Void: run 9 planned it again.", "The plan of run 9", "<title>void: "}, false},
		"refused":    {func(p *api.Plan) { p.Refusals = []string{"no"} }, []string{"Refused: 1 rule is broken", "<title>refused: "}, false},
		"empty":      {func(p *api.Plan) { p.Empty = true }, []string{"Nothing would change.", "There is nothing to approve."}, false},
		"unreadable": {func(p *api.Plan) { p.Problem = "it was changed" }, []string{"It cannot be read as a plan: it was changed", "Run plan again"}, false},
		"elsewhere":  {func(p *api.Plan) { p.DeployJobs = nil }, []string{"refline stack deploy does"}, false},
		"two stacks": {func(p *api.Plan) { p.DeployJobs = []string{"deploy"} }, []string{"Approve and start deploy"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newPlanAPI(t, added, bucket("Bucket"), removed)
			c.change(&a.plans[0])
			got := get(t, serve(t, a.ServeHTTP), "/runs/7/plans/landing-dev")
			body := got.Body.String()
			for _, text := range c.says {
				if !strings.Contains(body, text) {
					t.Errorf("%d without %q: %s", got.Code, text, body)
				}
			}
			if strings.Contains(body, `name="job"`) != c.button {
				t.Errorf("a button: %v, want %v", !c.button, c.button)
			}
			if at := []int{strings.Index(body, "Removed"), strings.Index(body, "<b>Bucket"), strings.Index(body, "Added")}; c.button && !slices.IsSorted(at) {
				t.Errorf("the order of changes: %v", at)
			}
		})
	}
}

// Values are compared in their middle; those that share little are whole.
func TestCompareValues(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		before, after *string
		unknown       bool
		was, is       string
	}{
		{text("landing-a"), text("landing-b"), false, "landing-<del>a</del>", "landing-<ins>b</ins>"},
		{text("landing"), text("landing-b"), false, "landing", "landing<ins>-b</ins>"},
		{text("true"), text("false"), false, "<del>true</del>", "<ins>false</ins>"},
		{nil, text("<b>"), false, `<i class="soft">none</i>`, "<ins>&lt;b&gt;</ins>"},
		{text("x"), nil, true, "<del>x</del>", `<i class="soft">known after the deployment</i>`},
		{text(""), text("x\ny"), false, `<i class="soft">&#34;&#34;</i>`, "<ins>x\ny</ins>"},
		{text("aaaaaa"), text("aaa"), false, "aaa<del>aaa</del>", "aaa"},
	} {
		was, is := compareValues(planfile.PropertyChange{Before: c.before, After: c.after, Unknown: c.unknown})
		if string(was) != c.was || string(is) != c.is {
			t.Errorf("%v → %v: %s → %s, want %s → %s", c.before, c.after, was, is, c.was, c.is)
		}
	}
}
