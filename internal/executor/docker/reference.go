package docker

import "strings"

// hub is the registry of an image whose name has none.
const hub = "docker.io"

// reference is the name of an image in its parts. The engine decides whether the
// name is valid.
type reference struct {
	registry string // host[:port]
	path     string // without registry, tag and digest: library/alpine, group/app
	short    string // as written, without tag and digest
}

func parseReference(name string) reference {
	short, _, _ := strings.Cut(name, "@")
	if i := strings.LastIndexByte(short, ':'); i > strings.LastIndexByte(short, '/') {
		short = short[:i]
	}
	ref := reference{registry: hub, path: short, short: short}
	first, rest, ok := strings.Cut(short, "/")
	switch {
	case ok && (strings.ContainsAny(first, ".:") || first == "localhost"):
		ref.registry, ref.path = first, rest
	case !ok:
		ref.path = "library/" + short
	}
	if ref.registry == "index.docker.io" {
		ref.registry = hub
	}
	return ref
}
