package forge

import (
	"cmp"
	"strconv"
	"strings"
)

// Request is a merge request, or a pull request on GitHub.
type Request struct {
	GitHub  bool   // else GitLab
	URL     string // of the server, or of GitHub's API
	Project string // group/project
	Number  int64
}

// RequestOfCI is the merge request that a job of GitLab CI or GitHub Actions is
// for, by its variables. A branch's pipeline belongs to the branch's first open
// merge request. ok is false if there is none.
func RequestOfCI(getenv func(string) string) (r Request, ok bool) {
	number := ""
	if repository := getenv("GITHUB_REPOSITORY"); repository != "" {
		r = Request{GitHub: true, URL: cmp.Or(getenv("GITHUB_API_URL"), "https://api.github.com"), Project: repository}
		number, _, _ = strings.Cut(strings.TrimPrefix(getenv("GITHUB_REF"), "refs/pull/"), "/")
	} else {
		r = Request{URL: cmp.Or(getenv("REFLINE_GITLAB_URL"), getenv("CI_SERVER_URL")),
			Project: cmp.Or(getenv("CI_MERGE_REQUEST_PROJECT_PATH"), getenv("CI_PROJECT_PATH"))}
		number = getenv("CI_MERGE_REQUEST_IID")
		first, _, _ := strings.Cut(getenv("CI_OPEN_MERGE_REQUESTS"), ",")
		if project, iid, found := strings.Cut(first, "!"); found && number == "" {
			r.Project, number = project, iid
		}
	}
	var err error
	r.Number, err = strconv.ParseInt(number, 10, 64)
	return r, err == nil
}
