package gitlabci

import (
	"net/url"
	"path"
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
	SHA, BeforeSHA string
	Branch, Tag    string // one of them is empty
	TagMessage     string
	Message        string
	Author         string // "Name <mail>"
	Committed      time.Time
	DefaultBranch  string
	Protected      bool
	Remote         string // the repository's URL without credentials, or empty
	Folder         string // name of the project's folder, where there is no remote
	ConfigPath     string
	Trigger        pipeline.Trigger
	PipelineID     int64
	Created        time.Time
	UserName       string // who starts the pipeline
	UserEmail      string
	MergeRequest   *MergeRequest // with EventMergeRequest
	// Parent is set in a child pipeline.
	Parent bool
}

// MergeRequest is the little that a pipeline may ask about one.
type MergeRequest struct {
	IID                        int64
	SourceBranch, TargetBranch string
	SourceSHA, BaseSHA         string
	Title, Labels              string
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

// text sets what people wrote: a $ in it is no variable.
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

// project derives the project and server from the remote's URL; a repository
// without one is "local/FOLDER" on localhost.
func (b *varBuilder) project(f Facts) {
	host, full, scheme := splitRemote(f.Remote)
	if full == "" {
		full = "local/" + f.Folder
	}
	name, space := path.Base(full), path.Dir(full)
	root, _, _ := strings.Cut(full, "/")
	server := scheme + "://" + host
	b.set("CI_PROJECT_ID", "1") // only a server has another
	b.set("CI_PROJECT_NAME", name)
	b.set("CI_PROJECT_TITLE", name)
	b.set("CI_PROJECT_PATH", full)
	b.set("CI_PROJECT_PATH_SLUG", pipeline.Slug(full))
	b.set("CI_PROJECT_NAMESPACE", space)
	b.set("CI_PROJECT_NAMESPACE_SLUG", pipeline.Slug(space))
	b.set("CI_PROJECT_ROOT_NAMESPACE", root)
	b.set("CI_PROJECT_URL", server+"/"+full)
	b.set("CI_PROJECT_VISIBILITY", "private")
	b.set("CI_REPOSITORY_URL", server+"/"+full+".git")
	b.set("CI_SERVER", "yes")
	hostName, port := splitHost(host)
	b.set("CI_SERVER_HOST", hostName)
	b.set("CI_SERVER_FQDN", host)
	b.set("CI_SERVER_NAME", "GitLab")
	b.set("CI_SERVER_PROTOCOL", scheme)
	switch {
	case port != "":
	case scheme == "http":
		port = "80"
	default:
		port = "443"
	}
	b.set("CI_SERVER_PORT", port)
	b.set("CI_SERVER_URL", server)
	b.set("CI_API_V4_URL", server+"/api/v4")
	b.set("CI_API_GRAPHQL_URL", server+"/api/graphql")
	b.set("CI_SERVER_VERSION", gitlabVersion)
	v := strings.Split(gitlabVersion, ".")
	b.set("CI_SERVER_VERSION_MAJOR", v[0])
	b.set("CI_SERVER_VERSION_MINOR", v[1])
	b.set("CI_SERVER_VERSION_PATCH", v[2])
	b.set("CI_TEMPLATE_REGISTRY_HOST", "registry.gitlab.com")
	b.set("CI_PIPELINE_URL", server+"/"+full+"/-/pipelines/"+strconv.FormatInt(f.PipelineID, 10))
}

// gitlabVersion is the version of GitLab whose dialect this package compiles.
const gitlabVersion = "19.4.0"

// splitHost takes host:port apart; an IPv6 address keeps its brackets, as it
// stands in URLs.
func splitHost(host string) (name, port string) {
	u := url.URL{Host: host}
	name = u.Hostname()
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	return name, u.Port()
}

// splitRemote takes a remote's URL, also in the form user@host:path, apart.
func splitRemote(remote string) (host, project, scheme string) {
	host, scheme = "localhost", "https"
	if remote == "" {
		return host, "", scheme
	}
	if u, err := url.Parse(remote); err == nil && u.Host != "" {
		host, project = u.Host, u.Path
		switch u.Scheme {
		case "http":
			scheme = "http"
		case "https":
		default:
			host, _ = splitHost(u.Host) // the port of ssh is not the web's
		}
	} else if before, after, ok := cutPath(remote); ok && !strings.Contains(before, "/") {
		host, project = before[strings.LastIndexByte(before, '@')+1:], after
	} else {
		project = "local/" + path.Base(strings.TrimRight(remote, "/"))
	}
	project = strings.TrimSuffix(strings.Trim(project, "/"), ".git")
	if project != "" && !strings.Contains(project, "/") {
		project = "local/" + project
	}
	return host, project, scheme
}

// cutPath cuts user@host:path at its colon, which is not one of an IPv6 address.
func cutPath(remote string) (host, path string, ok bool) {
	if before, after, ok := strings.Cut(remote, "]:"); ok {
		return before + "]", after, true
	}
	return strings.Cut(remote, ":")
}

func (b *varBuilder) mergeRequest(f Facts) {
	mr := f.MergeRequest
	b.set("CI_MERGE_REQUEST_ID", strconv.FormatInt(mr.IID, 10))
	b.set("CI_MERGE_REQUEST_IID", strconv.FormatInt(mr.IID, 10))
	b.set("CI_MERGE_REQUEST_REF_PATH", "refs/merge-requests/"+strconv.FormatInt(mr.IID, 10)+"/head")
	b.set("CI_MERGE_REQUEST_EVENT_TYPE", "detached")
	b.set("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", mr.SourceBranch)
	b.set("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", mr.TargetBranch)
	b.some("CI_MERGE_REQUEST_DIFF_BASE_SHA", mr.BaseSHA)
	b.text("CI_MERGE_REQUEST_TITLE", mr.Title)
	b.text("CI_MERGE_REQUEST_LABELS", mr.Labels)
	b.set("CI_MERGE_REQUEST_DRAFT", strconv.FormatBool(isDraft(mr.Title)))
	if host, project, scheme := splitRemote(f.Remote); project != "" {
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
