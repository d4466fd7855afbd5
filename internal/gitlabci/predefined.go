package gitlabci

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"refline/internal/pipeline"
)

// Facts are what git and the machine know of a pipeline: enough to fill the
// predefined variables that do not depend on a job. Zero fields are unknown and
// their variables unset, as on GitLab.
type Facts struct {
	SHA string `json:"sha,omitempty"`
	// BeforeSHA is the commit that the branch had before the push. In a child
	// pipeline it is that of the parent's pipeline, empty when it has none.
	BeforeSHA     string           `json:"before_sha,omitempty"`
	Branch        string           `json:"branch,omitempty"` // this or Tag is empty
	Tag           string           `json:"tag,omitempty"`
	TagMessage    string           `json:"tag_message,omitempty"`
	Message       string           `json:"message,omitempty"`
	Author        string           `json:"author,omitempty"` // "Name <mail>"
	Committed     time.Time        `json:"committed,omitzero"`
	DefaultBranch string           `json:"default_branch,omitempty"`
	Protected     bool             `json:"protected,omitempty"`
	Remote        string           `json:"remote,omitempty"`   // the repository's URL without credentials, or empty
	Registry      string           `json:"registry,omitempty"` // host of the container registry, empty for that of Remote's server as far as it is known
	Folder        string           `json:"folder,omitempty"`   // name of the project's folder, used without a remote
	ConfigPath    string           `json:"config_path,omitempty"`
	Trigger       pipeline.Trigger `json:"trigger,omitempty"`
	PipelineID    int64            `json:"pipeline_id,omitempty"`
	Created       time.Time        `json:"created,omitzero"`
	UserName      string           `json:"user_name,omitempty"` // who starts the pipeline
	UserEmail     string           `json:"user_email,omitempty"`
	MergeRequest  *MergeRequest    `json:"merge_request,omitempty"` // with TriggerMergeRequest
	// Parent is set in a child pipeline.
	Parent bool `json:"parent,omitempty"`
}

// MergeRequest is the little that a pipeline may ask about one.
type MergeRequest struct {
	IID          int64  `json:"iid,omitempty"`
	SourceBranch string `json:"source_branch,omitempty"`
	TargetBranch string `json:"target_branch,omitempty"`
	SourceSHA    string `json:"source_sha,omitempty"`
	BaseSHA      string `json:"base_sha,omitempty"`
	Title        string `json:"title,omitempty"`
	Labels       string `json:"labels,omitempty"`
}

// Predefined gives the pipeline's own variables, in a stable order. See
// "Predefined CI/CD variables reference" in GitLab's documentation.
func Predefined(f Facts) []pipeline.Variable {
	var b varBuilder
	b.set("CI", "true")
	b.set("GITLAB_CI", "true")
	b.set("REFLINE", "true")
	b.commit(f)
	b.project(f)
	b.set("CI_PIPELINE_ID", strconv.FormatInt(f.PipelineID, 10))
	b.set("CI_PIPELINE_IID", strconv.FormatInt(f.PipelineID, 10))
	b.set("CI_PIPELINE_SOURCE", string(f.Trigger))
	if f.Trigger == pipeline.TriggerToken {
		b.set("CI_PIPELINE_TRIGGERED", "true")
	}
	b.time("CI_PIPELINE_CREATED_AT", f.Created)
	b.set("CI_CONFIG_PATH", f.ConfigPath)
	b.text("GITLAB_USER_NAME", f.UserName)
	b.text("GITLAB_USER_EMAIL", f.UserEmail)
	if name, _, ok := strings.Cut(f.UserEmail, "@"); ok {
		b.set("GITLAB_USER_LOGIN", name)
	}
	b.set("GITLAB_FEATURES", "")
	if f.MergeRequest != nil {
		b.mergeRequest(f)
	}
	return b.vars
}

type varBuilder struct{ vars []pipeline.Variable }

func (b *varBuilder) set(name, value string) {
	b.vars = append(b.vars, pipeline.Variable{Name: name, Value: value})
}

// text sets text by people: a $ in it does not refer to a variable.
func (b *varBuilder) text(name, value string) {
	if value != "" {
		b.vars = append(b.vars, pipeline.Variable{Name: name, Value: value, Raw: true})
	}
}

func (b *varBuilder) some(name, value string) {
	if value != "" {
		b.set(name, value)
	}
}

func (b *varBuilder) time(name string, t time.Time) {
	if !t.IsZero() {
		b.set(name, t.Format(time.RFC3339))
	}
}

const noSHA = "0000000000000000000000000000000000000000"

func (b *varBuilder) commit(f Facts) {
	sha := f.SHA
	if sha == "" {
		sha = noSHA // a repository without a commit
	}
	b.set("CI_COMMIT_SHA", sha)
	b.set("CI_COMMIT_SHORT_SHA", sha[:min(8, len(sha))])
	before := f.BeforeSHA
	if before == "" {
		before = noSHA
	}
	b.set("CI_COMMIT_BEFORE_SHA", before)
	ref := f.Branch
	switch {
	case f.Tag != "":
		ref = f.Tag
		b.set("CI_COMMIT_TAG", f.Tag)
		b.text("CI_COMMIT_TAG_MESSAGE", f.TagMessage)
	case f.MergeRequest != nil:
		ref = f.MergeRequest.SourceBranch
	case f.Branch != "":
		b.set("CI_COMMIT_BRANCH", f.Branch)
	}
	b.set("CI_COMMIT_REF_NAME", ref)
	b.set("CI_COMMIT_REF_SLUG", pipeline.Slug(ref))
	b.set("CI_COMMIT_REF_PROTECTED", strconv.FormatBool(f.Protected))
	b.some("CI_DEFAULT_BRANCH", f.DefaultBranch)
	b.some("CI_DEFAULT_BRANCH_SLUG", pipeline.Slug(f.DefaultBranch))
	message := truncated(f.Message)
	b.text("CI_COMMIT_MESSAGE", message)
	b.set("CI_COMMIT_MESSAGE_IS_TRUNCATED", strconv.FormatBool(len(message) < len(f.Message)))
	title, description, _ := strings.Cut(message, "\n")
	if utf8.RuneCountInString(title) < 100 {
		description = strings.TrimLeft(description, "\n")
	} else {
		description = message
	}
	b.text("CI_COMMIT_TITLE", title)
	b.vars = append(b.vars, pipeline.Variable{Name: "CI_COMMIT_DESCRIPTION", Value: description, Raw: true}) // empty for a title alone
	b.text("CI_COMMIT_AUTHOR", f.Author)
	b.time("CI_COMMIT_TIMESTAMP", f.Committed)
}

// truncated is as much of a commit's message as GitLab puts into a variable; a
// longer one is no program's environment.
func truncated(message string) string {
	const most = 100 << 10
	if len(message) <= most {
		return message
	}
	return strings.ToValidUTF8(message[:most], "")
}

// Target is the branch that a merge request is for.
func (f Facts) Target() string {
	if f.MergeRequest != nil && f.MergeRequest.TargetBranch != "" {
		return f.MergeRequest.TargetBranch
	}
	return f.DefaultBranch
}

// As returns the facts of the same commit for another trigger. A merge request is
// number 1, from Branch into DefaultBranch. Only a push to a branch has a
// BeforeSHA.
func (f Facts) As(trigger pipeline.Trigger) Facts {
	f.Trigger, f.MergeRequest = trigger, nil
	if trigger != pipeline.TriggerPush || f.Tag != "" {
		f.BeforeSHA = ""
	}
	if trigger == pipeline.TriggerMergeRequest {
		title, _, _ := strings.Cut(f.Message, "\n")
		f.MergeRequest = &MergeRequest{IID: 1, Title: title, SourceBranch: f.Branch, TargetBranch: f.DefaultBranch, SourceSHA: f.SHA}
	}
	return f
}
