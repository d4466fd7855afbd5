package stack

import "cmp"

// CIOrigin is what GitLab CI or GitHub Actions say of the commit of a job; ok is
// false outside of both.
func CIOrigin(getenv func(string) string) (o Origin, ok bool) {
	for _, o := range []Origin{
		{Commit: getenv("CI_COMMIT_SHA"), Ref: getenv("CI_COMMIT_TAG"), Tag: true},
		{Commit: getenv("CI_COMMIT_SHA"), Ref: getenv("CI_COMMIT_BRANCH")},
		{Commit: getenv("CI_COMMIT_SHA"), Ref: getenv("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME"), Request: true},
	} {
		if o.Ref != "" {
			o.Author = cmp.Or(getenv("CI_COMMIT_AUTHOR"), getenv("GITLAB_USER_LOGIN"))
			o.Pipeline = cmp.Or(getenv("CI_PIPELINE_URL"), getenv("CI_PIPELINE_ID"))
			return o, true
		}
	}
	if getenv("GITHUB_SHA") == "" {
		return Origin{}, false
	}
	o = Origin{Commit: getenv("GITHUB_SHA"), Ref: cmp.Or(getenv("GITHUB_HEAD_REF"), getenv("GITHUB_REF_NAME")),
		Tag: getenv("GITHUB_REF_TYPE") == "tag", Request: getenv("GITHUB_HEAD_REF") != "", Author: getenv("GITHUB_ACTOR")}
	if run := getenv("GITHUB_RUN_ID"); run != "" {
		o.Pipeline = getenv("GITHUB_SERVER_URL") + "/" + getenv("GITHUB_REPOSITORY") + "/actions/runs/" + run
	}
	return o, true
}
