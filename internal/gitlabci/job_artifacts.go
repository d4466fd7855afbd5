package gitlabci

import (
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

var artifactKeywords = []string{
	"access", "exclude", "expire_in", "expose_as", "name", "paths", "public", "reports", "untracked", "when",
}

// reportKinds are the reports that GitLab knows. Refline reads dotenv and keeps
// the others as files, so a kind of a newer GitLab is a warning: see readReports.
var reportKinds = []string{
	"accessibility", "annotations", "api_fuzzing", "browser_performance", "cluster_image_scanning",
	"codequality", "container_scanning", "coverage_fuzzing", "coverage_report", "cyclonedx", "dast",
	"dependency_scanning", "dotenv", "junit", "license_scanning", "load_performance", "lsif", "metrics",
	"performance", "repository_xray", "requirements", "requirements_v2", "sast", "secret_detection",
	"terraform", "sarif", "scip",
}

// readArtifacts decodes artifacts:.
func (r reader) readArtifacts(n *node, path string) *pipeline.Artifacts {
	if !r.mapping(n, path, artifactKeywords...) {
		return nil
	}
	a := &pipeline.Artifacts{
		Name:     r.text(n.get("name"), path+":name"),
		Paths:    r.list(n.get("paths"), path+":paths"),
		Exclude:  r.list(n.get("exclude"), path+":exclude"),
		When:     pipeline.When(r.choice(n.get("when"), path+":when", "on_success", "on_failure", "always")),
		ExposeAs: r.text(n.get("expose_as"), path+":expose_as"),
		Access:   r.choice(n.get("access"), path+":access", "none", "developer", "maintainer", "all"),
		ExpireIn: r.expiry(n.get("expire_in"), path+":expire_in"),
	}
	a.Untracked, _ = r.flag(n.get("untracked"), path+":untracked")
	if public, ok := r.flag(n.get("public"), path+":public"); ok {
		a.Public = &public
	}
	r.together(n, path, "access", "public")
	for _, key := range []string{"paths", "exclude"} {
		if list := n.get(key); list != nil && list.kind == seqNode && len(list.items) == 0 {
			r.editor(list, path+":"+key, "is an empty list")
		}
	}
	r.exposeAs(n, path, a)
	reports := n.get("reports")
	a.Reports = r.readReports(reports, path+":reports")
	if a.Reports["coverage_report"] != nil {
		a.CoverageFormat = r.coverageFormat(reports.get("coverage_report"), path+":reports:coverage_report")
	}
	return a
}

// exposeAs checks artifacts:expose_as, which shows files on a merge request.
func (r reader) exposeAs(n *node, path string, a *pipeline.Artifacts) {
	name := n.get("expose_as")
	if absent(name) {
		return
	}
	valid := a.ExposeAs != "" && isIdentifierByte(a.ExposeAs[0])
	for i := range len(a.ExposeAs) {
		valid = valid && (isIdentifierByte(a.ExposeAs[i]) || a.ExposeAs[i] == '-' || a.ExposeAs[i] == ' ')
	}
	switch {
	case name.kind != stringNode:
	case !valid:
		r.errorf(name, "value", path+":expose_as", "may only have letters, digits, -, _ and spaces")
	case len(a.ExposeAs) > 100:
		r.errorf(name, "limit", path+":expose_as", "may have at most 100 characters")
	case len(a.Paths) == 0 && (r.partial == nil || n.get("paths") != nil):
		r.errorf(name, "value", path+":expose_as", "needs paths")
	case slices.ContainsFunc(a.Paths, func(p string) bool { return strings.Contains(p, "*") }):
		r.errorf(n.get("paths"), "value", path+":paths", "must not contain * when expose_as is used")
	}
}

func isIdentifierByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// expiry checks a duration that may be "never" and returns it as written.
func (r reader) expiry(n *node, path string) string {
	if absent(n) {
		return ""
	}
	if n.kind == stringNode && strings.EqualFold(n.text, "never") {
		return n.text
	}
	r.duration(n, path, 0, "")
	return n.text
}

// readReports decodes artifacts:reports.
func (r reader) readReports(n *node, path string) map[string][]string {
	if absent(n) || n.kind != mapNode {
		if !absent(n) {
			r.wrong(n, path, "a map")
		}
		return nil
	}
	r.mapping(r.newReports(n, path), path, reportKinds...)
	reports := make(map[string][]string, len(n.keys))
	for i := range n.keys {
		kind, value := n.keys[i].name, n.keys[i].value
		where := path + ":" + kind
		switch {
		case kind == "coverage_report":
			if !absent(value) {
				reports[kind] = r.coverageReport(value, where)
			}
		case absent(value):
			r.editor(value, where, "is empty and ignored")
		default:
			reports[kind] = r.texts(value, where)
			if value.kind == seqNode && singleReport(kind) {
				r.editor(value, where, "should be one string; the editor's schema refuses a list")
			}
			if kind == "performance" {
				r.editor(value, where, "is an older name; use browser_performance")
			}
		}
	}
	return reports
}

// newReports warns of report kinds that may be those of a newer GitLab and
// returns n without them. A kind that resembles a known one is a typing error.
func (r reader) newReports(n *node, path string) *node {
	known := *n
	known.keys = nil
	for _, f := range n.keys {
		if slices.Contains(reportKinds, f.name) || diag.Nearest(f.name, reportKinds) != "" {
			known.keys = append(known.keys, f)
			continue
		}
		key := *f.value
		key.at = f.at
		r.unknownValue(&key, path, f.name, "report", nil)
	}
	return &known
}

func singleReport(kind string) bool {
	return kind == "accessibility" || kind == "annotations" || kind == "browser_performance"
}

func (r reader) coverageReport(n *node, path string) []string {
	if !r.mapping(n, path, "coverage_format", "path") {
		return nil
	}
	return []string{r.filled(n, n.get("path"), path+":path")}
}

func (r reader) coverageFormat(n *node, path string) string {
	if n.get("coverage_format") == nil {
		r.errorf(n, "value", path+":coverage_format", "is missing")
	}
	return r.choice(n.get("coverage_format"), path+":coverage_format", "cobertura", "jacoco")
}
