package gitlabci

import (
	"slices"
	"strings"
	"time"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// defaultStage is the stage of a job that names none.
const defaultStage = "test"

// parsedJob is a job as written, checked and decoded. Its rules are evaluated later,
// for each of its instances.
type parsedJob struct {
	name string
	at   diag.Place // of its name
	node *node      // with the defaults applied
	r    reader

	job       pipeline.Job // everything that does not depend on rules
	variables []pipeline.Variable
	inherit   *inheritVariables

	hasRules bool
	rules    []rule
	only     *policy // nil when absent
	except   *policy

	hasNeeds bool
	needs    []needSpec
	parallel parallelSpec
	bridge   bool

	instances []*instance
	merged    []pipeline.Variable // see variablesOf
	hasMerged bool
}

// readJob decodes the job of a top-level key. It returns nil when the key is not a
// job.
func (c *compiler) readJob(f *field) *parsedJob {
	w := &parsedJob{name: f.name, at: f.at, r: c.reader(f.name)}
	n := f.value
	if !c.checkName(f) {
		return nil
	}
	if !c.isJob(f) {
		keyword := c.notAJob(f)
		if keyword == "" {
			return nil
		}
		w.bridge = keyword == "trigger"
	} else {
		w.bridge = n.get("script") == nil && n.get("run") == nil
	}
	inherits, variables := w.r.readInherit(n)
	w.inherit = variables
	w.node = n
	keywords := bridgeKeywords
	if !w.bridge {
		keywords = jobKeywords
		w.node = c.defaults.apply(n, inherits)
	} else {
		w.node = c.defaults.only("interruptible").apply(n, inherits)
	}
	w.job = pipeline.Job{
		Name: f.name, Base: f.name, Stage: defaultStage, When: pipeline.WhenOnSuccess,
		Origin: f.at,
	}
	for i := range w.node.keys {
		c.readKeyword(w, &w.node.keys[i], keywords)
	}
	c.checkJob(w)
	return w
}

// isJob reports whether a top-level key is a job with something to do.
func (c *compiler) isJob(f *field) bool {
	n := f.value
	return n.kind == mapNode && (n.get("script") != nil || n.get("run") != nil || n.get("trigger") != nil ||
		n.get("needs") != nil && needsPipeline(n.get("needs")))
}

// checkName checks the name of a job.
func (c *compiler) checkName(f *field) bool {
	fault := func(rule, format string, args ...any) {
		c.f.errorf(f.at, f.name, rule, format, args...)
		c.f.underline(f.name)
	}
	switch {
	case f.name == "":
		fault("name", "a job must have a name")
	case len(f.name) > 255:
		fault("name", "the name of a job may have at most 255 characters, this one has %d", len(f.name))
	default:
		return true
	}
	return false
}

// notAJob reports a mistyped keyword, or a job without anything to do. For a job it
// returns the keyword that is probably missing, so that the others can be read.
func (c *compiler) notAJob(f *field) (missing string) {
	n := f.value
	if n.unresolved() {
		return ""
	}
	if n.kind != mapNode {
		c.f.errorf(f.at, "", "unknown-keyword", "%s is not a keyword, and a job must be a map, not %s", quote(f.name), describe(n))
		c.f.underline(f.name)
		c.f.hint(didYouMean(f.name, rootKeywords))
		return ""
	}
	if !c.complete { // the script may be in the missing file
		if diag.Nearest(f.name, rootKeywords) != "" {
			return ""
		}
		return "script"
	}
	c.f.errorf(f.at, f.name, "missing-script", "job %s has no script, run or trigger", quote(f.name))
	c.f.underline(f.name)
	for i := range n.keys {
		if slices.Contains(jobKeywords, n.keys[i].name) {
			continue
		}
		if near := diag.Nearest(n.keys[i].name, []string{"script", "trigger"}); near != "" {
			return near // readKeyword reports the typing error
		}
	}
	if near := diag.Nearest(f.name, rootKeywords); near != "" {
		c.f.hint("did you mean the keyword " + quote(near) + "?")
		return ""
	}
	c.f.hint("give it a script, or a name that begins with a dot if others extend it")
	return "script"
}

// readKeyword decodes one keyword of a job.
func (c *compiler) readKeyword(w *parsedJob, f *field, keywords []string) {
	r, n := w.r, f.value
	if !slices.Contains(keywords, f.name) {
		// checkJob reports script beside trigger.
		if f.name == "trigger" || r.partial.unknownName(f.name) || r.again(f.at, "unknown-keyword", f.name) {
			return
		}
		kind := "a job"
		if w.bridge {
			kind = "a trigger job"
		}
		c.f.errorf(f.at, w.name, "unknown-keyword", "%s is not a keyword of %s", quote(f.name), kind)
		c.f.underline(f.name)
		c.f.hint(didYouMean(f.name, keywords))
		return
	}
	if absent(n) {
		c.emptyKeyword(w, f)
		return
	}
	switch f.name {
	case "script":
		w.job.Script = r.script(n, "script")
		if n.kind == seqNode && len(n.items) == 0 || n.kind == stringNode && strings.TrimSpace(n.text) == "" {
			r.errorf(n, "missing-script", "script", "must not be empty")
		}
	case "stage":
		w.job.Stage = r.text(n, "stage")
	case "when":
		r.readWhen(w, n)
	case "start_in":
		w.job.StartIn = pipeline.Duration(r.duration(n, "start_in", 7*24*time.Hour, "1 week"))
	case "allow_failure":
		r.readAllowFailure(w, n)
	case "dependencies":
		list := r.list(n, "dependencies")
		w.job.Dependencies = &list
	case "rules":
		w.hasRules = true
		w.rules = c.readRules(r, n, "rules", false)
	case "only":
		w.only = c.readPolicy(r, n, "only")
	case "except":
		w.except = c.readPolicy(r, n, "except")
	case "variables":
		w.variables = r.readVariables(n, "variables", "value", "expand")
	case "needs":
		w.hasNeeds = true
		w.needs = r.readNeeds(n, "needs")
	case "parallel":
		w.parallel = r.readParallel(n, w.bridge)
	case "trigger":
		w.job.Downstream = r.readTrigger(n)
	case "environment":
		w.job.Environment = r.readEnvironment(n)
	case "resource_group":
		w.job.ResourceGroup = r.text(n, "resource_group")
	case "manual_confirmation":
		w.job.ManualConfirmation = r.text(n, "manual_confirmation")
	case "coverage":
		w.job.Coverage = r.readCoverage(n)
	case "release":
		w.job.Release = r.readRelease(n)
	case "secrets":
		w.job.Secrets = r.readSecrets(n)
	case "run":
		w.job.Run = r.readRun(n)
	case "pages", "publish":
		r.readPages(&w.job, f)
	case "dast_configuration": // no effect on a run
		if r.mapping(n, f.name, "site_profile", "scanner_profile") {
			r.text(n.get("site_profile"), "dast_configuration:site_profile")
			r.text(n.get("scanner_profile"), "dast_configuration:scanner_profile")
		}
	case "inherit", "extends", "inputs": // read elsewhere
	default:
		r.decodeShared(&w.job, f.name, n, f.name)
	}
}

// decodeShared decodes a keyword that default: may have too. path names it in
// findings.
func (r reader) decodeShared(job *pipeline.Job, keyword string, n *node, path string) {
	if absent(n) {
		return
	}
	switch keyword {
	case "before_script":
		job.BeforeScript = r.script(n, path)
	case "after_script":
		job.AfterScript = r.script(n, path)
	case "hooks":
		if r.mapping(n, path, "pre_get_sources_script") {
			job.PreGetSources = r.script(n.get("pre_get_sources_script"), path+":pre_get_sources_script")
		}
	case "image":
		job.Image = r.readImage(n, path)
	case "services":
		job.Services = r.readServices(n, path)
	case "cache":
		job.Caches = r.readCaches(n, path)
	case "artifacts":
		job.Artifacts = r.readArtifacts(n, path)
	case "retry":
		job.Retry = r.readRetry(n, path)
	case "timeout":
		job.Timeout = pipeline.Duration(r.duration(n, path, 30*24*time.Hour, "1 month"))
	case "tags":
		job.Tags = r.readTags(n, path)
	case "interruptible":
		job.Interruptible, _ = r.flag(n, path)
	case "id_tokens":
		job.IDTokens = r.readIDTokens(n, path)
	case "identity":
		job.Identity = r.choice(n, path, "google_cloud")
	}
}

// emptyKeyword handles a keyword without a value. GitLab treats it as absent; the
// schema of editors refuses most.
func (c *compiler) emptyKeyword(w *parsedJob, f *field) {
	switch f.name {
	case "script", "run":
		w.r.errorf(f.value, "missing-script", f.name, "must not be empty")
	case "trigger":
		w.r.errorf(f.value, "value", "trigger", "must not be empty")
	case "rules", "only", "except":
	default:
		w.r.editor(f.value, f.name, "is empty and ignored")
	}
}
