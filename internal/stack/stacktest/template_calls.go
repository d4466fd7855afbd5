package stacktest

import (
	"slices"
	"strings"
)

func (s *Server) getTemplate(c call) ([]elem, error) {
	var t *template
	switch name := c.Get("ChangeSetName"); {
	case name != "":
		if c.Get("StackName") == "" && !strings.HasPrefix(name, "arn:") {
			return nil, invalid("StackName is a required parameter.")
		}
		cs, err := s.named(c)
		if err != nil {
			return nil, err
		}
		t = cs.template
	case c.Get("StackName") == "":
		return nil, invalid("StackName is required if ChangeSetName is not specified.")
	default:
		st := s.find(c.identity, c.Get("StackName"))
		if st == nil {
			return nil, invalid("Stack with id %s does not exist", c.Get("StackName"))
		}
		t = st.template
	}
	body := ""
	if t != nil {
		body = t.body
		if c.Get("TemplateStage") == "Processed" && t.processed != "" {
			body = t.processed
		}
	}
	return []elem{el("TemplateBody", body), texts("StagesAvailable", []string{"Original", "Processed"})}, nil
}

func (s *Server) validateTemplate(c call) ([]elem, error) {
	t, err := s.source(c, nil)
	if err != nil {
		return nil, err
	}
	caps := t.requirements()
	return append([]elem{opt("Description", t.description),
		members("Parameters", sortedKeys(t.parameters), func(name string) []elem {
			p := t.parameters[name]
			out := []elem{el("ParameterKey", name), yes("NoEcho", p.noEcho), opt("Description", p.description)}
			if p.hasDefault {
				out = append(out, el("DefaultValue", p.standard))
			}
			return out
		})}, caps...), nil
}

// requirements are the capabilities that a template needs, and why.
func (t *template) requirements() []elem {
	var capabilities, because []string
	for _, name := range sortedKeys(t.resources) {
		d := t.resources[name]
		if wants := needsIAM(d.kind, d.properties); wants != "" {
			capabilities, because = append(capabilities, wants), append(because, d.kind)
		}
	}
	if slices.Contains(capabilities, "CAPABILITY_NAMED_IAM") {
		capabilities = []string{"CAPABILITY_NAMED_IAM"}
	}
	var out []elem
	if len(because) > 0 {
		out = append(out, texts("Capabilities", unique(capabilities)),
			el("CapabilitiesReason", "The following resource(s) require capabilities: ["+strings.Join(unique(because), ", ")+"]"))
	}
	if len(t.transforms) > 0 {
		out = append(out, texts("DeclaredTransforms", t.transforms))
	}
	return out
}

func (s *Server) getTemplateSummary(c call) ([]elem, error) {
	var t *template
	if name := c.Get("StackName"); name != "" {
		st := s.find(c.identity, name)
		switch {
		case st == nil:
			return nil, invalid("Stack with id %s does not exist", name)
		case st.status == "REVIEW_IN_PROGRESS":
			return nil, invalid("GetTemplateSummary cannot be called on REVIEW_IN_PROGRESS stacks.")
		}
		t = st.template
	} else {
		var err error
		if t, err = s.source(c, nil); err != nil {
			return nil, err
		}
	}
	byKind := map[string][]string{}
	var kinds []string
	for _, name := range sortedKeys(t.resources) {
		kind := t.resources[name].kind
		byKind[kind] = append(byKind[kind], name)
		kinds = append(kinds, kind)
	}
	return append([]elem{opt("Description", t.description), opt("Metadata", t.metadata), el("Version", "2010-09-09"),
		members("Parameters", sortedKeys(t.parameters), func(name string) []elem {
			p := t.parameters[name]
			out := []elem{el("ParameterKey", name), el("ParameterType", p.kind), yes("NoEcho", p.noEcho), opt("Description", p.description)}
			if p.hasDefault {
				out = append(out, el("DefaultValue", p.standard))
			}
			return out
		}),
		texts("ResourceTypes", unique(kinds)),
		members("ResourceIdentifierSummaries", sortedKeys(byKind), func(kind string) []elem {
			out := []elem{el("ResourceType", kind), texts("LogicalResourceIds", byKind[kind])}
			if k := kindOf(kind); k.named != "" && k.physical == "" {
				out = append(out, texts("ResourceIdentifiers", []string{k.named}))
			}
			return out
		})}, t.requirements()...), nil
}
