package server

import (
	"context"
	"maps"
	"net/url"
	"strings"
	"sync"

	"refline/internal/store"
)

// hosts are those of the registered projects and their forges: outgoing connections may reach
// them wherever they are.
type hosts struct {
	mu    sync.RWMutex
	names map[string]int // how many projects
}

func (h *hosts) has(host string) bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.names[host] > 0
}

func (h *hosts) set(projects []store.Project, hooks []store.Trigger) {
	names := map[string]int{}
	for _, g := range hooks {
		if host := hostOf(g.ForgeURL); host != "" {
			names[host]++
		}
	}
	for _, p := range projects {
		if host := hostOf(p.URL); host != "" {
			names[host]++
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names = names
}

// expect adds the host of a repository that is about to be a project's: once it is,
// the server may look at it at any moment.
func (h *hosts) expect(repository string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	names := maps.Clone(h.names)
	if host := hostOf(repository); host != "" && names != nil {
		names[host]++
		h.names = names
	}
}

// loadHosts reads them again after projects changed.
func (s *Server) loadHosts(ctx context.Context) error {
	projects, err := s.store.Projects(ctx)
	if err != nil {
		return err
	}
	hooks, err := s.store.Triggers(ctx, 0)
	if err == nil {
		s.hosts.set(projects, hooks)
	}
	return err
}

// hostOf is the host of a repository's URL in lower case, "" for a folder.
func hostOf(repository string) string {
	if u, err := url.Parse(repository); err == nil && u.Host != "" {
		return strings.ToLower(u.Hostname())
	}
	before, _, found := strings.Cut(repository, ":")
	if !found || strings.ContainsAny(before, "/\\") {
		return ""
	}
	return strings.ToLower(before[strings.LastIndexByte(before, '@')+1:])
}

// transportOf names how a repository is reached.
func transportOf(repository string) string {
	if scheme, _, found := strings.Cut(repository, "://"); found {
		return scheme
	}
	if hostOf(repository) != "" {
		return "ssh"
	}
	return "file"
}

// hostPortOf is the host and, if it is written, the port of a repository's URL.
func hostPortOf(repository string) string {
	u, err := url.Parse(repository)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}
