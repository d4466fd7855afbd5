package stacktest

// readImports reads the resources that a change set takes in.
func (cs *changeSet) readImports(c call) error {
	for _, r := range c.records("ResourcesToImport") {
		id := r.Get("LogicalResourceId")
		d := cs.template.resources[id]
		switch {
		case cs.kind != "IMPORT":
			return invalid("ResourcesToImport can only be specified for change sets of type IMPORT")
		case d == nil:
			return invalid("Resources [%s] is missing from template", id)
		case d.kind != r.Get("ResourceType"):
			return invalid("Resource type %s of resource [%s] does not match the template", r.Get("ResourceType"), id)
		case d.deletion == "":
			return invalid("Resources [%s] to import must have DeletionPolicy attribute specified in the template.", id)
		}
		key := r.Get("ResourceIdentifier.entry.1.key")
		if k := kindOf(d.kind); k.named != "" && k.physical == "" && key != k.named {
			return invalid("Invalid resource identifier [%s] of [%s]; it is %s", key, id, k.named)
		}
		cs.imports[id] = r.Get("ResourceIdentifier.entry.1.value")
	}
	if cs.kind == "IMPORT" && len(cs.imports) == 0 {
		return invalid("At least one resource to import must be specified")
	}
	return nil
}

// besidesImports are the resources that an import would change beside what it
// takes in, which the service refuses.
func (cs *changeSet) besidesImports() []string {
	var out []string
	for _, c := range cs.changes {
		if cs.kind == "IMPORT" && c.action != "Import" {
			out = append(out, c.logical)
		}
	}
	return out
}
