package web

import (
	"cmp"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"refline/internal/api"
	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/stack/planfile"
)

func planPages() []page {
	return []page{
		{pattern: "GET /plans/{digest}", need: "read", show: showPlanByDigest},
		{pattern: "GET /runs/{run}/plans/{stack}", need: "read", show: showPlan},
		{pattern: "POST /runs/{run}/plans/{stack}/play", need: "run", do: playPlan, back: showPlan},
	}
}

// mostPlanFile bounds a plan file that is read; the server refuses larger ones.
const mostPlanFile = 16 << 20

// planPath is the page of a plan of a run, by the stack's name.
func planPath(p api.Plan) string {
	return runPath(p.Run) + "/plans/" + url.PathEscape(p.StackName)
}

type planData struct {
	api.Plan
	File    *planfile.Plan // nil if it cannot be read
	Look    string
	Says    string
	More    []template.HTML
	Run     runLine
	Counts  []planCount
	Changes []changeView
	Guards  []guardView
	Given   []fact // parameters and tags
	About   []fact
	Log     []actRow // who approved it
	Gate    *planGate
	Shown   string
	Next    string // path of the next changes
	FileURL string
}

type planCount struct {
	planfile.Effect
	N int
}

// planGate is the form that starts the jobs which deploy a plan.
type planGate struct {
	Path   string
	Jobs   []string
	Commit string
	Others []planOther // plans that the same job deploys too
	Data   []string    // resources that lose or may lose what they hold
}

type planOther struct {
	api.Plan
	Path string
}

// showPlanByDigest finds a plan by the begin of its digest. The page is the one below
// its run while the plan is the run's last one.
func showPlanByDigest(c *request) (*View, error) {
	list, err := c.API.FindPlans(c.ctx(), c.PathValue("digest"))
	if err != nil {
		return nil, err
	}
	switch {
	case len(list) == 0:
		return nil, errs.E(errs.NotFound, "no plan whose digest begins with %q; a run lists its plans: refline runs plan RUN", c.PathValue("digest"))
	case slices.ContainsFunc(list, func(p api.Plan) bool { return p.Digest != list[0].Digest }):
		return nil, invalid("several plans begin with %q: %s and %s; give more of the digest", c.PathValue("digest"), list[0].Digest, list[len(list)-1].Digest)
	}
	return c.planView(list[0], list)
}

func showPlan(c *request) (*View, error) {
	p, list, err := c.findPlan()
	if err != nil {
		return nil, err
	}
	return c.planView(p, list)
}

// findPlan is the plan of a run that the address names, and all plans of the run.
func (c *request) findPlan() (p api.Plan, list []api.Plan, err error) {
	id, err := c.runID()
	if err != nil {
		return p, nil, err
	}
	if list, err = c.API.RunPlans(c.ctx(), id); err != nil {
		return p, nil, err
	}
	name := c.PathValue("stack")
	at := slices.IndexFunc(list, func(p api.Plan) bool { return p.StackName == name || p.Stack == name })
	if at < 0 {
		return p, nil, errs.E(errs.NotFound, "run %d has no plan of stack %q: its plan job has not ended, or it ran again without one", id, name)
	}
	return list[at], list, nil
}

func (c *request) planView(p api.Plan, list []api.Plan) (*View, error) {
	run, err := c.API.Run(c.ctx(), p.Run)
	if err != nil {
		return nil, err
	}
	who, err := c.caller()
	if err != nil {
		return nil, err
	}
	d := planData{Plan: p, Run: lineOf(run), FileURL: fmt.Sprintf("/api/v1/runs/%d/plans/%s", p.Run, url.PathEscape(p.Digest))}
	if p.Problem == "" {
		if d.File, err = c.planFile(p); err != nil && !errs.Is(err, errs.NotFound) {
			return nil, err
		} else if err != nil { // the artifacts have expired: what is known of it is shown
			d.Problem = err.Error()
		}
	}
	c.planFacts(&d)
	data := c.planChanges(&d)
	d.Look, d.Says = planState(d, run, data)
	if mayRun(who) && d.File != nil && p.Void == "" && !p.Empty && len(p.Refusals) == 0 {
		d.Gate = planGateOf(p, list, run, data)
	}
	return &View{
		Template: "plan", Title: fmt.Sprintf("%s: plan of %s", planWord(d), p.StackName), Look: d.Look, Section: "/runs",
		Command: fmt.Sprintf("refline runs plan %d %s", p.Run, shellWord(p.StackName)), Live: fmt.Sprintf("run=%d", p.Run),
		Fragments: []string{"plan-head", "plan-gate"}, Data: d,
	}, nil
}

// planFile reads the file of a plan, whose digest must be the one that is listed.
func (c *request) planFile(p api.Plan) (*planfile.Plan, error) {
	body, err := c.API.PlanFile(c.ctx(), p.Run, p.Digest)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, mostPlanFile+1))
	if err != nil {
		return nil, errs.E(errs.Unavailable, "read the plan of %s: %w", p.StackName, err)
	}
	file, err := planfile.Decode(p.Path, text)
	if err == nil && file.Digest != p.Digest {
		err = errs.E(errs.Conflict, "the file of the plan of %s has the digest %s, not %s; plan again", p.StackName, planfile.Short(file.Digest), planfile.Short(p.Digest))
	}
	return file, err
}

// planState is a plan's mark and what its first line says.
func planState(d planData, run api.Run, data []string) (look, says string) {
	switch {
	case d.Plan.Problem != "":
		return "failed", "It cannot be read as a plan: " + d.Problem
	case d.Void != "":
		return "canceled", "Void: " + d.Void + "."
	case len(d.Refusals) > 0:
		return "failed", "Refused: " + count(len(d.Refusals), "rule is broken", "rules are broken") + ". It will not be deployed as it is."
	case d.Empty:
		return "success", "Nothing would change."
	case d.Problem != "":
		return "skipped", d.Problem
	case len(d.Approvals) > 0:
		a := d.Approvals[len(d.Approvals)-1]
		status := jobStatus(run, a.Job)
		return lookOf(status, false), fmt.Sprintf("Approved by %s for %s, which is now: %s.", a.Actor, a.Job, lookName(lookOf(status, false)))
	}
	says = "Waits for a person to review it and to start " + cmp.Or(listed(d.DeployJobs, 3), "a job that deploys it") + "."
	if len(d.DeployJobs) == 0 {
		says = "No manual job of the run takes it: refline stack deploy does."
	}
	if len(data) > 0 {
		says += " It removes or replaces " + count(len(data), "resource that holds data", "resources that hold data") + "."
	}
	return "manual", says
}

// planWord is the state in the title of the browser's tab.
func planWord(d planData) string {
	switch {
	case d.Plan.Problem != "":
		return "not readable"
	case d.Void != "":
		return "void"
	case len(d.Refusals) > 0:
		return "refused"
	case d.Empty:
		return "no changes"
	case len(d.Approvals) > 0:
		return "approved"
	}
	return "waits for approval"
}

func jobStatus(run api.Run, name string) pipeline.Status {
	for _, j := range run.Jobs {
		if j.Name == name {
			return j.Status
		}
	}
	return ""
}

// planGateOf is the form of a plan that a job waits to deploy; nil if none waits.
func planGateOf(p api.Plan, list []api.Plan, run api.Run, data []string) *planGate {
	g := &planGate{Path: planPath(p) + "/play", Commit: run.Commit, Data: data}
	for _, job := range p.DeployJobs {
		if s := jobStatus(run, job); s == pipeline.StatusManual || s == pipeline.StatusFailed || s == pipeline.StatusCanceled {
			g.Jobs = append(g.Jobs, job)
		}
	}
	if len(g.Jobs) == 0 {
		return nil
	}
	for _, other := range list {
		shares := slices.ContainsFunc(other.DeployJobs, func(job string) bool { return slices.Contains(g.Jobs, job) })
		if other.Digest != p.Digest && shares && !other.Empty {
			g.Others = append(g.Others, planOther{other, planPath(other)})
		}
	}
	return g
}

// playPlan starts a job with the digests of the plans that were reviewed on the page.
// The form carries them, and the commit: a plan that is another by now is not deployed.
func playPlan(c *request) (string, error) {
	p, list, err := c.findPlan()
	if err != nil {
		return "", err
	}
	run, err := c.API.Run(c.ctx(), p.Run)
	if err != nil {
		return "", err
	}
	digests := c.PostForm["digest"]
	switch {
	case len(digests) == 0 || c.PostFormValue("job") == "":
		return "", invalid("the form names no plan or no job; open the page again")
	case c.PostFormValue("commit") != run.Commit:
		return "", errs.E(errs.Conflict, "the plan that was reviewed is of another commit than the run; review what is below")
	case !slices.Contains(digests, p.Digest):
		return "", errs.E(errs.Conflict, "the plan of %s is another by now: %s was reviewed, but its job ran again and made %s; review what is below", p.StackName, planfile.Short(digests[0]), planfile.Short(p.Digest))
	}
	for _, d := range digests {
		if !slices.ContainsFunc(list, func(p api.Plan) bool { return p.Digest == d }) {
			return "", errs.E(errs.Conflict, "the plan %s that was reviewed too is another by now; review it again", planfile.Short(d))
		}
	}
	file, err := c.planFile(p)
	if err != nil {
		return "", err
	}
	for _, id := range dataHolders(file) {
		if !slices.Contains(c.PostForm["data"], id) {
			return "", invalid("%s holds data and is removed or replaced; tick it if that is meant", id)
		}
	}
	return runPath(p.Run), c.API.PlayJob(c.ctx(), p.Run, c.PostFormValue("job"), digests...)
}

// planFacts fills in where a plan leads and what it is bound to.
func (c *request) planFacts(d *planData) {
	text := func(s string) template.HTML { return template.HTML(template.HTMLEscapeString(s)) }
	if d.Account != "" {
		d.More = append(d.More, text("account "+d.Account), text(d.Region))
	}
	state := "the stack exists"
	if d.New {
		state = "the stack is new"
	}
	if d.File != nil {
		state += ", " + string(d.File.Type)
	}
	d.More = append(d.More, text(state))
	if !d.Created.IsZero() {
		d.More = append(d.More, "planned "+c.Time(d.Created))
	}
	for _, a := range d.Approvals {
		d.Log = append(d.Log, actRow{At: c.Clock(a.At), Text: a.Actor + " approved it for " + a.Job})
	}
	add := func(f fact) {
		if f.Text != "" || f.HTML != "" {
			d.About = append(d.About, f)
		}
	}
	add(fact{"Digest", code(d.Digest)})
	add(fact{"Commit", code(d.Commit)})
	if f := d.File; f != nil {
		add(fact{"Change set", code(f.ChangeSet)})
		template := code(f.Template.File)
		template.Sub = planfile.Short(f.Template.Digest)
		add(fact{"Template", template})
		configuration := code(f.Configuration.File)
		configuration.Sub = planfile.Short(f.Configuration.Digest)
		add(fact{"Configuration", configuration})
		add(fact{"Role", code(f.Role)})
		add(fact{"Capabilities", plain(strings.Join(f.Capabilities, ", "))})
		add(fact{"On failure", plain(f.OnFailure)})
		for _, v := range slices.Concat(f.Parameters, f.Tags)[:min(len(f.Parameters)+len(f.Tags), mostGiven)] {
			d.Given = append(d.Given, fact{planfile.Plain(v.Key), code(cut(planfile.Plain(v.Value), 300))})
		}
	}
	add(fact{"Environment", plain(d.Environment)})
	add(fact{"Made by", Cell{Text: d.Job, Path: jobPath(d.Plan.Run, d.Job)}})
}

const mostGiven = 100 // parameters and tags that are shown

// queryNumber reads a number of the query, 0 if it is not one.
func (c *request) queryNumber(name string) int {
	n, err := strconv.Atoi(c.URL.Query().Get(name))
	if err != nil {
		return 0
	}
	return max(n, 0)
}
