package gitlabci

import (
	"strings"
	"time"

	"refline/internal/pipeline"
)

// readRelease decodes release:.
func (r reader) readRelease(n *node) *pipeline.Release {
	if !r.mapping(n, "release", "tag_name", "tag_message", "name", "description", "ref", "released_at", "milestones", "assets") {
		return nil
	}
	rel := &pipeline.Release{
		TagName:     r.filled(n, n.get("tag_name"), "release:tag_name"),
		TagMessage:  r.text(n.get("tag_message"), "release:tag_message"),
		Name:        r.text(n.get("name"), "release:name"),
		Description: r.filled(n, n.get("description"), "release:description"),
		Ref:         r.text(n.get("ref"), "release:ref"),
		Milestones:  r.texts(n.get("milestones"), "release:milestones"),
		ReleasedAt:  r.text(n.get("released_at"), "release:released_at"),
	}
	if m := n.get("milestones"); !absent(m) && m.kind == stringNode {
		r.editor(m, "release:milestones", "should be a list; the editor's schema refuses a string")
	}
	if at := rel.ReleasedAt; at != "" && at[0] != '$' {
		if _, err := time.Parse(time.RFC3339, at); err != nil {
			if r.errorf(n.get("released_at"), "value", "release:released_at", "must be a time, not %s", quote(at)) {
				r.f.hint("as 2026-11-22T09:30:00Z")
			}
		}
	}
	if rel.Ref != "" && !isRef(rel.Ref) {
		r.errorf(n.get("ref"), "value", "release:ref", "must be the name of a branch or tag, or a commit, not %s", quote(rel.Ref))
	}
	if assets := n.get("assets"); !absent(assets) && r.mapping(assets, "release:assets", "links") {
		r.releaseLinks(assets)
		rel.Assets = plainMap(assets)
	}
	return rel
}

// isRef reports whether git could have a branch or tag of this name.
func isRef(name string) bool {
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return name[0] != '-' && name != "@" && !strings.HasSuffix(name, ".") && !strings.Contains(name, "..") &&
		!strings.Contains(name, "@{") && !strings.ContainsFunc(name, func(c rune) bool {
		return c <= ' ' || c == 0x7f || strings.ContainsRune(`~^:?*[\\`, c)
	})
}

func (r reader) releaseLinks(assets *node) {
	const path = "release:assets:links"
	links := assets.get("links")
	if absent(links) {
		r.errorf(orParent(links, assets), "value", path, "is missing")
		return
	}
	if links.kind != seqNode {
		r.wrong(links, path, "a list of maps")
		return
	}
	for _, link := range links.items {
		if r.mapping(link, path, "name", "url", "filepath", "link_type") {
			r.filled(link, link.get("name"), path+":name")
			r.filled(link, link.get("url"), path+":url")
			r.text(link.get("filepath"), path+":filepath")
			r.open(link.get("link_type"), path+":link_type", "kind of link", "runbook", "package", "image", "other")
		}
	}
}
