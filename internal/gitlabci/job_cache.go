package gitlabci

import (
	"net/url"
	"strings"

	"refline/internal/pipeline"
)

// readCaches decodes cache: one map, or a list of at most four.
func (r reader) readCaches(n *node, path string) []pipeline.Cache {
	const most = 4
	if n.kind == mapNode && len(n.keys) == 0 {
		return nil
	}
	var caches []pipeline.Cache
	add := func(item *node) bool {
		if item.kind != mapNode {
			r.wrong(item, path, "a map or a list of maps")
			return false
		}
		caches = append(caches, r.readCache(item, path))
		return true
	}
	if n.kind != seqNode {
		add(n)
	} else if r.nested(n, path, noLimit, add) && len(n.items) > most { // GitLab counts before it joins the lists
		r.errorf(n, "limit", path, "may have at most %d caches, not %d", most, len(n.items))
	}
	return caches
}

func (r reader) readCache(n *node, path string) pipeline.Cache {
	const mostFallbacks = 5
	r.mapping(n, path, "key", "paths", "untracked", "when", "policy", "unprotect", "fallback_keys")
	c := pipeline.Cache{
		Key:          r.cacheKey(n.get("key"), path+":key"),
		FallbackKeys: r.list(n.get("fallback_keys"), path+":fallback_keys"),
		Paths:        r.list(n.get("paths"), path+":paths"),
		When:         pipeline.When(r.choice(n.get("when"), path+":when", "on_success", "on_failure", "always")),
		Policy:       r.text(n.get("policy"), path+":policy"),
	}
	c.Untracked, _ = r.flag(n.get("untracked"), path+":untracked")
	c.Unprotect, _ = r.flag(n.get("unprotect"), path+":unprotect")
	if paths := n.get("paths"); paths != nil && absent(paths) {
		r.editor(paths, path+":paths", "is empty and ignored")
	}
	if len(c.FallbackKeys) > mostFallbacks {
		r.errorf(n.get("fallback_keys"), "limit", path+":fallback_keys", "may have at most %d keys", mostFallbacks)
	}
	if p := c.Policy; p != "" && !strings.Contains(p, "pull") && !strings.Contains(p, "push") && !strings.Contains(p, "$") {
		if r.errorf(n.get("policy"), "value", path+":policy", "must be pull-push, pull, push or a variable, not %s", quote(p)) {
			r.f.hint(didYouMean(p, []string{"pull-push", "pull", "push"}))
		}
	}
	return c
}

// cacheKey decodes a string, or the files whose content makes the key.
func (r reader) cacheKey(n *node, path string) pipeline.CacheKey {
	switch {
	case absent(n):
		return pipeline.CacheKey{Text: "default"}
	case n.kind == stringNode:
		return pipeline.CacheKey{Text: r.keyText(n, path)}
	case n.kind != mapNode:
		r.wrong(n, path, "a string or a map")
		return pipeline.CacheKey{Text: "default"}
	}
	r.mapping(n, path, "files", "files_commits", "prefix")
	r.together(n, path, "files", "files_commits")
	var key pipeline.CacheKey
	files, where := n.get("files"), path+":files"
	if files == nil {
		if files, where = n.get("files_commits"), path+":files_commits"; files != nil {
			key.FilesCommit = true
		}
	}
	if absent(files) {
		r.errorf(n, "value", path, "must have files or files_commits")
	} else {
		key.Files = r.list(files, where)
		if count := len(files.items); files.kind == seqNode && (count < 1 || count > 2) {
			r.errorf(files, "limit", where, "must name 1 or 2 files, not %d", count)
		}
	}
	if prefix := n.get("prefix"); !absent(prefix) {
		key.Prefix = r.keyText(prefix, path+":prefix")
	}
	return key
}

// keyText reads a key, which must be a name and not a path.
func (r reader) keyText(n *node, path string) string {
	text := r.text(n, path)
	name := text
	if u, err := url.QueryUnescape(text); err == nil {
		name = u
	}
	switch {
	case strings.Contains(name, "/"):
		r.errorf(n, "value", path, "must not contain /")
	case name == "." || name == "..":
		r.errorf(n, "value", path, "must not be %s", quote(name))
	}
	return text
}
