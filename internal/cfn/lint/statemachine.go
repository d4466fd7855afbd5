package lint

import (
	"strconv"
	"strings"

	"refline/internal/cfn"
)

// stateMachine checks the definition of a state machine (E3601), also one that
// is a text of JSON.
func stateMachine(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, key := range []string{"Definition", "DefinitionString"} {
		i := fieldIndex(n, key)
		if i < 0 || key == "DefinitionString" && e.sam {
			continue
		}
		value, here := n.Fields[i].Value, at.key(n.Fields[i])
		if bit, _ := anyFunction(value); bit != 0 {
			continue
		}
		inner := sc.with(func(c *scope) { c.keywords, c.rules = false, &ruleset{id: b.id} })
		if value.IsString() {
			parsed, ok := parseText(value)
			if !ok {
				continue
			}
			value, here.frozen = parsed, true
			inner = inner.with(func(c *scope) { c.functions = 0 })
		}
		if value.Kind != cfn.Map {
			continue
		}
		var own problems
		e.check(inner, here, e.lint.stateMachine(value.Get("QueryLanguage")), value, &own)
		for _, p := range own.known() {
			if !mentionsSubstitution(p.message, n.Get("DefinitionSubstitutions")) {
				out.add(p)
			}
		}
		e.startAt(b, here, value, out)
	}
}

// mentionsSubstitution reports whether a problem is about a text that is
// replaced before the machine is made.
func mentionsSubstitution(message string, substitutions *cfn.Node) bool {
	if substitutions == nil || !strings.HasPrefix(message, `"${`) {
		return false
	}
	name, _, _ := strings.Cut(message[len(`"${`):], "}")
	return substitutions.Has(strings.TrimSpace(name))
}

// startAt checks that a machine, and each one inside it, starts at a state that
// it has.
func (e *engine) startAt(b *binding, at place, n *cfn.Node, out *problems) {
	start, states := n.Get("StartAt"), n.Get("States")
	if !start.IsString() || states == nil || states.Kind != cfn.Map {
		return
	}
	if !states.Has(start.Text) {
		wrong(b, at.key(n.Fields[fieldIndex(n, "StartAt")]).path, show(start)+" is not a state", nearestHint(start.Text, fieldNames(states)), out)
	}
	inside := at.key(n.Fields[fieldIndex(n, "States")])
	for _, s := range states.Fields {
		state := inside.key(s)
		for _, key := range []string{"ItemProcessor", "Iterator"} {
			if i := fieldIndex(s.Value, key); i >= 0 && s.Value.Get("Type").IsString() && s.Value.Get("Type").Text == "Map" {
				e.startAt(b, state.key(s.Value.Fields[i]), s.Value.Fields[i].Value, out)
			}
		}
		branches := s.Value.Get("Branches")
		if branches == nil || branches.Kind != cfn.List {
			continue
		}
		for i, branch := range branches.Items {
			e.startAt(b, state.down("Branches", s.Pos).down(strconv.Itoa(i), branch.Pos), branch, out)
		}
	}
}

// stateMachine is the schema of a definition in one of its two languages.
func (b *rulebook) stateMachine(language *cfn.Node) *schema {
	const entry = "other/step_functions/statemachine"
	if !language.IsString() || language.Text != "JSONata" {
		return b.schema(entry)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, ok := b.schemas[entry+"/JSONata"]; ok {
		return s
	}
	s := permissive
	var raw map[string]any
	if err := b.archive.load(entry, &raw); err == nil {
		inJSONata(raw)
		s = compile(raw)
	}
	b.schemas[entry+"/JSONata"] = s
	return s
}

// inJSONata changes the schema of definitions: expressions replace paths.
func inJSONata(raw map[string]any) {
	definitions, _ := raw["definitions"].(map[string]any)
	set := func(name, key string, v any) {
		d, ok := definitions[name].(map[string]any)
		if !ok {
			return
		}
		if key == "allOf" {
			d[key] = []any{v}
			return
		}
		props, ok := d["properties"].(map[string]any)
		if ok {
			props[key] = v
		}
	}
	read := func(text string) any { v, _ := decode(text); return v }
	set("common", "allOf", read(`{"properties":{"QueryLanguage":{"const":"JSONata"},"InputPath":false,"OutputPath":false,"Parameters":false,"ResultPath":false,"ResultSelector":false}}`))
	set("choice", "allOf", read(`{"properties":{"Choices":{"items":{"properties":{"Comment":{"type":"string"},"Condition":{"type":"string"},`+
		`"Next":{"pattern":"^.{1,128}$","type":"string"},"Assign":{"type":"object"},"Output":{"type":["string","object"]}},`+
		`"additionalProperties":false,"required":["Condition","Next"],"type":"object"}}}}`))
	set("wait", "Seconds", read(`{"maximum":99999999,"minimum":0,"type":["number","string"]}`))
	set("map", "ItemsPath", false)
	set("map", "MaxConcurrencyPath", false)
	for _, name := range []string{"choice", "fail", "map", "parallel", "pass", "task", "wait"} {
		set(name, "Arguments", read(`{"type":["string","object"]}`))
	}
}
