package stacktest

import "fmt"

// outsideKey names a resource that exists and is in no stack.
type outsideKey struct{ account, region, kind, name string }

// leave notes a resource that its policy kept when its stack let it go.
func (s *Server) leave(st *stack, r *resource) {
	if kindOf(r.kind).named == "" || r.status == "CREATE_FAILED" {
		return
	}
	if name := text(r.properties[kindOf(r.kind).named]); name != "" {
		s.outside[outsideKey{st.identity.account, st.identity.region, r.kind, name}] = true
	}
}

// existing is the name of a resource that a declaration would make although it
// exists outside of every stack, or "".
func (s *Server) existing(st *stack, d *declaration, properties map[string]any) string {
	named := kindOf(d.kind).named
	if named == "" {
		return ""
	}
	name := text(properties[named])
	if !s.outside[outsideKey{st.identity.account, st.identity.region, d.kind, name}] {
		return ""
	}
	return name
}

// conflict takes in what exists, when the change set asks for that, else it is
// a reason for which the change set fails.
func (c *comparison) conflict(d *declaration, properties map[string]any) {
	name := c.s.existing(c.st, d, properties)
	if name == "" || c.to.imports[d.name] != "" {
		return
	}
	if c.to.importExisting && policy(d.deletion) == "Retain" {
		c.to.imports[d.name] = name
		return
	}
	c.conflicts = append(c.conflicts, EarlyValidation{Resource: d.name, Name: "NAME_CONFLICT_VALIDATION",
		Path:   "/Resources/" + d.name + "/Properties/" + kindOf(d.kind).named,
		Reason: fmt.Sprintf("Resource of type '%s' with identifier '%s' already exists.", d.kind, name)})
}
