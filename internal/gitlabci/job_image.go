package gitlabci

import (
	"strings"

	"refline/internal/pipeline"
)

// readImage decodes an image: a name, or a map with it.
func (r reader) readImage(n *node, path string) *pipeline.Image {
	image := &pipeline.Image{}
	if n.kind == mapNode {
		r.mapping(n, path, "name", "entrypoint", "pull_policy", "docker", "kubernetes")
	}
	if !r.imageOf(n, path, image) {
		return nil
	}
	return image
}

// imageOf decodes the keywords that image and services share.
func (r reader) imageOf(n *node, path string, image *pipeline.Image) bool {
	switch n.kind {
	case stringNode:
		image.Name = r.filled(n, n, path)
		return true
	case mapNode:
	default:
		r.wrong(n, path, "a string or a map")
		return false
	}
	image.Name = r.filled(n, n.get("name"), path+":name")
	if e := n.get("entrypoint"); !absent(e) {
		image.Entrypoint = r.list(e, path+":entrypoint")
		if len(e.items) == 0 && e.kind == seqNode {
			r.editor(e, path+":entrypoint", "is an empty list")
		}
	}
	image.PullPolicy = r.pullPolicy(n.get("pull_policy"), path+":pull_policy")
	r.executorOptions(n, path, image)
	return true
}

func (r reader) pullPolicy(n *node, path string) []string {
	if absent(n) {
		return nil
	}
	if n.kind == seqNode && len(n.items) == 0 {
		r.errorf(n, "value", path, "must not be empty")
	}
	policies := r.texts(n, path)
	for _, p := range policies {
		switch p {
		case "always", "if-not-present", "never":
		default:
			known := []string{"always", "if-not-present", "never"}
			if r.errorf(n, "value", path, "must be always, if-not-present or never, not %s", quote(p)) {
				r.f.hint(didYouMean(p, known))
			}
		}
	}
	return policies
}

// executorOptions decodes docker: and kubernetes: of an image.
func (r reader) executorOptions(n *node, path string, image *pipeline.Image) {
	for _, executor := range []string{"docker", "kubernetes"} {
		options, where := n.get(executor), path+":"+executor
		if options == nil {
			continue
		}
		if absent(options) {
			r.editor(options, where, "is empty")
			continue
		}
		known := []string{"user"}
		if executor == "docker" {
			known = []string{"platform", "user"}
		}
		if !r.mapping(options, where, known...) {
			continue
		}
		user := options.get("user")
		if executor == "kubernetes" && user != nil && user.kind == intNode {
			image.User = user.text
		} else if user != nil {
			image.User = r.filled(options, user, where+":user")
		}
		if len(image.User) > 255 {
			r.errorf(user, "limit", where+":user", "may have at most 255 characters")
		}
		if platform := options.get("platform"); platform != nil && executor == "docker" {
			image.Platform = r.filled(options, platform, where+":platform")
		}
	}
}

// readServices decodes services: a list of names and maps, with lists of them at any
// depth. As on GitLab, entries without a value are removed.
func (r reader) readServices(n *node, path string) []pipeline.Service {
	if n.kind != seqNode {
		r.wrong(n, path, "a list")
		return nil
	}
	services := make([]pipeline.Service, 0, len(n.items))
	r.nested(n, path, noLimit, func(item *node) bool {
		if item.kind == nullNode {
			r.editor(item, path, "has an entry without a value, which is left out")
			return true
		}
		var s pipeline.Service
		if item.kind == mapNode {
			r.mapping(item, path, "name", "alias", "entrypoint", "command", "variables", "pull_policy", "docker", "kubernetes")
		}
		if !r.imageOf(item, path, &s.Image) {
			return true // the others are checked too
		}
		if item.kind == mapNode {
			r.serviceDetail(item, path, &s)
		}
		services = append(services, s)
		return true
	})
	return services
}

func (r reader) serviceDetail(n *node, path string, s *pipeline.Service) {
	// A runner accepts several aliases in one string, separated by commas or spaces.
	s.Aliases = strings.FieldsFunc(r.text(n.get("alias"), path+":alias"), func(c rune) bool {
		return c == ',' || c == ' '
	})
	if command := n.get("command"); !absent(command) {
		s.Command = r.script(command, path+":command")
		if command.kind == seqNode && len(command.items) == 0 {
			r.editor(command, path+":command", "is an empty list")
		}
	}
	s.Variables = r.readVariables(n.get("variables"), path+":variables")
}
