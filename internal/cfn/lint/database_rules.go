package lint

import (
	"slices"
	"strings"

	"refline/internal/cfn"
)

func replicaMode(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	engine := n.Get("Engine")
	if !n.Has("ReplicaMode") || !engine.IsString() {
		return
	}
	if name := strings.ToLower(engine.Text); !strings.HasPrefix(name, "oracle") && !strings.HasPrefix(name, "db2") && !strings.HasPrefix(name, "custom-oracle") {
		wrong(b, at.key(n.Fields[fieldIndex(n, "ReplicaMode")]).path, "ReplicaMode is ignored for the engine "+engine.Text, "", out)
	}
}

// databaseClass compares a database's values as they are written: engines are
// compared without regard to case, and functions are not followed.
func databaseClass(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	if n.Kind != cfn.Map {
		return
	}
	if engine := n.Get("Engine"); engine.IsString() {
		if lower := strings.ToLower(engine.Text); lower != engine.Text {
			c := &cfn.Node{Kind: cfn.Map, Pos: n.Pos, Fields: slices.Clone(n.Fields)}
			c.Fields[fieldIndex(n, "Engine")].Value = text2node(lower, engine.Pos)
			n = c
		}
	}
	if b.id == "E3025" || b.id == "E3062" {
		withoutFunctions(e, b, sc, at, n, out)
		return
	}
	var own problems
	e.schemaRule(b, sc, at, n, &own)
	for _, p := range own.list {
		p.message = databaseMessage(b.id, n, p.message)
		out.add(p)
	}
}

// databaseMessage names what is wrong, where the schema of a rule only says that
// something is.
func databaseMessage(rule string, n *cfn.Node, message string) string {
	if !n.Get("Engine").IsString() {
		return message
	}
	engine := n.Get("Engine").Text
	switch rule {
	case "E3682":
		var keys []string
		for _, name := range []string{"AllocatedStorage", "CopyTagsToSnapshot", "DeletionProtection", "EnableIAMDatabaseAuthentication", "MasterUserPassword"} {
			if n.Has(name) {
				keys = append(keys, name)
			}
		}
		if len(keys) > 0 {
			return "an instance of the engine " + engine + " must not set " + quoted(keys) + ": its cluster sets them"
		}
	case "W3691":
		if version := n.Get("EngineVersion"); version != nil && single(version) {
			return "version " + textOf(version) + " of the engine " + engine + " is deprecated: new instances cannot use it"
		}
	}
	return message
}

func withoutFunctions(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	e.schemaRule(b, sc.with(func(c *scope) { c.functions = 0 }), at, n, out)
}

// tableAttributes checks that a table defines the attributes that its keys use,
// and no others (E3039).
func tableAttributes(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, v := range e.cases(sc, n) {
		defined, ok1 := attributeSet(v.value.Get("AttributeDefinitions"))
		used, ok2 := attributeSet(v.value.Get("KeySchema"))
		for _, index := range []string{"GlobalSecondaryIndexes", "LocalSecondaryIndexes"} {
			list := v.value.Get(index)
			if list == nil {
				continue
			}
			for _, item := range list.Items {
				more, ok := attributeSet(item.Get("KeySchema"))
				ok2 = ok2 && ok
				used = append(used, more...)
			}
			ok2 = ok2 && list.Kind == cfn.List
		}
		slices.Sort(defined)
		slices.Sort(used)
		defined, used = slices.Compact(defined), slices.Compact(used)
		if ok1 && ok2 && !slices.Equal(defined, used) {
			wrong(b, at.path, "the table defines the attributes "+quoted(defined)+", its keys use "+quoted(used), "", out)
		}
	}
}

// attributeSet gives the names in a list of attributes; ok is false when they
// are not all written out.
func attributeSet(n *cfn.Node) (names []string, ok bool) {
	if n == nil {
		return nil, true
	}
	if n.Kind != cfn.List {
		return nil, false
	}
	for _, item := range n.Items {
		name := item.Get("AttributeName")
		if !name.IsString() {
			return nil, false
		}
		names = append(names, name.Text)
	}
	return names, true
}
