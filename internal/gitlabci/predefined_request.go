package gitlabci

import (
	"strconv"
	"strings"
)

func (b *varBuilder) mergeRequest(f Facts) {
	mr := f.MergeRequest
	iid := strconv.FormatInt(mr.IID, 10)
	b.set("CI_MERGE_REQUEST_ID", iid)
	b.set("CI_MERGE_REQUEST_IID", iid)
	b.set("CI_MERGE_REQUEST_REF_PATH", "refs/merge-requests/"+iid+"/head")
	b.set("CI_MERGE_REQUEST_EVENT_TYPE", "detached")
	b.set("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", mr.SourceBranch)
	b.set("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", mr.TargetBranch)
	// Both are empty unless the target is merged into the source for the pipeline.
	b.set("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", "")
	b.set("CI_MERGE_REQUEST_TARGET_BRANCH_SHA", "")
	// As for CI_COMMIT_REF_PROTECTED, the default branch is the protected one.
	b.set("CI_MERGE_REQUEST_SOURCE_BRANCH_PROTECTED", strconv.FormatBool(f.isDefault(mr.SourceBranch)))
	b.set("CI_MERGE_REQUEST_TARGET_BRANCH_PROTECTED", strconv.FormatBool(f.isDefault(mr.TargetBranch)))
	if mr.BaseSHA != "" {
		b.set("CI_MERGE_REQUEST_DIFF_ID", iid)
		b.set("CI_MERGE_REQUEST_DIFF_BASE_SHA", mr.BaseSHA)
	}
	b.set("CI_MERGE_REQUEST_DESCRIPTION", "")
	b.set("CI_MERGE_REQUEST_DESCRIPTION_IS_TRUNCATED", "false")
	b.set("CI_MERGE_REQUEST_SQUASH_ON_MERGE", "false")
	b.text("CI_MERGE_REQUEST_TITLE", mr.Title)
	b.text("CI_MERGE_REQUEST_LABELS", mr.Labels)
	b.set("CI_MERGE_REQUEST_DRAFT", strconv.FormatBool(isDraft(mr.Title)))
	for _, whose := range []string{"CI_MERGE_REQUEST_", "CI_MERGE_REQUEST_SOURCE_"} {
		b.set(whose+"PROJECT_ID", projectID)
	}
	if host, project, scheme := splitRemote(f.Remote); project != "" {
		b.set("CI_OPEN_MERGE_REQUESTS", project+"!"+iid)
		for _, whose := range []string{"CI_MERGE_REQUEST_", "CI_MERGE_REQUEST_SOURCE_"} {
			b.set(whose+"PROJECT_PATH", project)
			b.set(whose+"PROJECT_URL", scheme+"://"+host+"/"+project)
		}
	}
}

// isDraft reports whether the title of a merge request says that it is one.
func isDraft(title string) bool {
	title = strings.ToLower(strings.TrimSpace(title))
	for _, mark := range []string{"draft:", "[draft]", "(draft)"} {
		if strings.HasPrefix(title, mark) {
			return true
		}
	}
	return false
}

func (f Facts) isDefault(branch string) bool { return branch != "" && branch == f.DefaultBranch }
