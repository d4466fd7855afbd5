package gitlabci

import (
	"path"
	"strings"

	"refline/internal/pipeline"
)

// label names a source for places and findings: as the user would, relative to
// the project that is compiled.
func (s Source) label() string {
	switch s.Kind {
	case SourceRemote, SourceComponent:
		return s.Path
	case SourceTemplate:
		return "template:" + s.Path
	}
	if s.Project == "" {
		return s.Path
	}
	if s.Ref == "" {
		return s.Project + ":" + s.Path
	}
	return s.Project + "@" + shortRef(s.Ref) + ":" + s.Path
}

// shortRef cuts a commit to what people need of it.
func shortRef(ref string) string {
	const enough = 12
	if len(ref) == 40 && strings.Trim(ref, "0123456789abcdef") == "" {
		return ref[:enough]
	}
	return ref
}

// phrase names a source within a sentence.
func (s Source) phrase() string {
	switch s.Kind {
	case SourceRemote:
		return "the remote file \"" + s.Path + "\""
	case SourceTemplate:
		return "the template \"" + s.Path + "\""
	case SourceComponent:
		return "the component \"" + s.Path + "\""
	}
	text := "the file \"" + s.Path + "\""
	if s.Project != "" {
		text += " of project \"" + s.Project + "\""
	}
	if s.Ref != "" {
		text += " at \"" + shortRef(s.Ref) + "\""
	}
	return text
}

// configure says what gives access to sources of this kind.
func (s Source) configure() string {
	switch {
	case s.Kind == SourceTemplate:
		return "check the name and the network, or name a copy of GitLab's lib/gitlab/ci/templates: --templates FOLDER-OR-URL, REFLINE_TEMPLATES"
	case s.Kind == SourceComponent:
		return "name where components are: --components URL-OR-FOLDER, REFLINE_COMPONENTS; a token: REFLINE_GIT_TOKEN"
	case s.Kind == SourceRemote:
		return "check the address and the network"
	case s.Project != "":
		return "name where other projects are: --projects URL-OR-FOLDER, REFLINE_PROJECTS; a token: REFLINE_GIT_TOKEN"
	}
	return ""
}

// neighbour is the source that include:local names from within s: of the same
// project at the same commit. Files that are in no project have none.
func (s Source) neighbour(file string) (Source, bool) {
	if s.Kind == SourceRemote || s.Kind == SourceTemplate || s.Kind == SourceComponent && s.Project == "" {
		return Source{}, false
	}
	return Source{Kind: SourceLocal, Project: s.Project, Ref: s.Ref, Path: strings.TrimLeft(file, "/")}, true
}

// isYAMLName reports whether GitLab takes a file of this name as configuration.
func isYAMLName(name string) bool {
	base := strings.ToLower(path.Base(name))
	return len(base) > len(".yml") && strings.HasSuffix(base, ".yml") || len(base) > len(".yaml") && strings.HasSuffix(base, ".yaml")
}

func isURL(s string) bool {
	return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://")
}

// redactor blanks the values of masked variables, and passwords in addresses.
type redactor struct{ secrets *strings.Replacer }

func newRedactor(variables map[string]pipeline.Variable) redactor {
	var pairs []string
	for _, v := range variables {
		if v.Masked && v.Value != "" {
			pairs = append(pairs, v.Value, "[MASKED]")
		}
	}
	if pairs == nil {
		return redactor{}
	}
	return redactor{secrets: strings.NewReplacer(pairs...)}
}

func (r redactor) text(s string) string {
	if r.secrets != nil {
		s = r.secrets.Replace(s)
	}
	for from := 0; ; {
		i := strings.Index(s[from:], "://")
		if i < 0 {
			return s
		}
		from += i + len("://")
		end := len(s)
		if j := strings.IndexAny(s[from:], "/?# \""); j >= 0 {
			end = from + j
		}
		if at := strings.LastIndexByte(s[from:end], '@'); at >= 0 {
			s = s[:from] + s[from+at+1:]
		}
	}
}

func (r redactor) source(s Source) Source {
	s.Path, s.Project, s.Ref = r.text(s.Path), r.text(s.Project), r.text(s.Ref)
	return s
}
