package web

import (
	"net/url"
	"path"
	"strconv"
	"strings"
)

// The addresses of pages, without the base path: templates write it before them.

func runPath(id int64) string { return "/runs/" + strconv.FormatInt(id, 10) }

// jobPath is the log of a job.
func jobPath(run int64, job string) string { return runPath(run) + "/jobs/" + url.PathEscape(job) }

// projectPath is the page of a project, whose name keeps its slashes.
func projectPath(name string) string {
	parts := strings.Split(name, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return "/p/" + strings.Join(parts, "/")
}

func flowPath(project, flow string) string {
	return projectPath(project) + "/-/flows/" + url.PathEscape(flow)
}

func environmentPath(project, name string) string {
	return projectPath(project) + "/-/environments/" + url.PathEscape(name)
}

// searchPath is the list of runs for a query.
func searchPath(query string) string { return "/runs?" + url.Values{"q": {query}}.Encode() }

// LocalPath returns a path of this site, "/" for anything else.
func LocalPath(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || !strings.HasPrefix(u.Path, "/") ||
		strings.HasPrefix(next, "//") || strings.HasPrefix(path.Clean(u.Path), "//") || strings.ContainsAny(next, "\\\r\n") {
		return "/"
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).RequestURI()
}
