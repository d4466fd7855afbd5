package gitlabci

import (
	"net/url"
	"path"
	"strconv"
	"strings"

	"refline/internal/pipeline"
)

// projectID is CI_PROJECT_ID: outside of a server there is one project.
const projectID = "1"

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
	b.set("CI_PROJECT_ID", projectID)
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
	b.registry(f, host, full)
}

// registry sets the container registry: the one that is configured, or that of
// gitlab.com. Other servers have theirs at an address of their own choice.
func (b *varBuilder) registry(f Facts, host, project string) {
	registry := f.Registry
	if registry == "" && f.Remote != "" && host == "gitlab.com" {
		registry = "registry.gitlab.com"
	}
	if registry != "" {
		b.set("CI_REGISTRY", registry)
		b.set("CI_REGISTRY_IMAGE", registry+"/"+strings.ToLower(project))
	}
}

// gitlabVersion is the version of GitLab whose dialect this package compiles.
const gitlabVersion = "19.4.0"

// splitHost takes host:port apart; an IPv6 address keeps its brackets, as it
// has in URLs.
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
