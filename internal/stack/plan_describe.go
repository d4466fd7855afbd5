package stack

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"refline/internal/stack/planfile"

	"refline/internal/diag"
)

// describe fills a plan's changes from a change set and, by their own change
// sets, from the nested stacks in it.
func (s *Session) describe(ctx context.Context, p *planfile.Plan, set ChangeSet, tmpl *Template) error {
	p.Changes = []planfile.Change{}
	if err := s.descend(ctx, p, set, tmpl, nil); err != nil {
		return err
	}
	order := planfile.Effects()
	slices.SortStableFunc(p.Changes, func(a, b planfile.Change) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Effect), slices.Index(order, b.Effect)), strings.Compare(a.ID(), b.ID()))
	})
	if len(p.Changes) == 0 {
		p.Notes = append(p.Notes, s.otherChanges(ctx, p, tmpl))
	}
	return nil
}

func (s *Session) descend(ctx context.Context, p *planfile.Plan, set ChangeSet, tmpl *Template, trail []string) error {
	deployed := s.deployedTemplate(ctx, set)
	for _, rc := range set.Changes {
		var nested *ChangeSet
		if rc.ChangeSet != "" {
			child, err := patiently(ctx, s, func() (ChangeSet, error) { return s.Cloud.ChangeSet(ctx, rc.ChangeSet) })
			if err != nil {
				return fmt.Errorf("nested change set of %s: %w", strings.Join(append(trail, rc.LogicalID), "/"), err)
			}
			nested = &child
			// That a nested stack is looked into makes it a change of its own
			// only when something else of it changes.
			if err := s.descend(ctx, p, child, tmpl, append(slices.Clone(trail), rc.LogicalID)); err != nil {
				return err
			}
		}
		if nested != nil && rc.Action == "Modify" && len(rc.Details) == 0 && len(nested.Changes) == 0 {
			continue
		}
		c := changeOf(rc, tmpl, trail)
		if rc.Action == "Modify" && rc.Replacement == "" {
			if err := bySchema(&c, rc, deployed, tmpl, trail); err != nil {
				return err
			}
			c.Data = dataOf(rc, c.Effect, tmpl, trail)
		}
		p.Changes = append(p.Changes, c)
	}
	return nil
}

func changeOf(rc ResourceChange, tmpl *Template, trail []string) planfile.Change {
	c := planfile.Change{Path: trail, LogicalID: rc.LogicalID, PhysicalID: rc.PhysicalID, Type: rc.Type}
	if rc.DriftStatus != "" && rc.DriftStatus != "IN_SYNC" && rc.DriftStatus != "NOT_CHECKED" {
		c.Drift = rc.DriftStatus
	}
	place := func(below ...string) *diag.Place {
		at := tmpl.Place(trail, rc.LogicalID, below...)
		if at.IsZero() {
			return nil
		}
		return &at
	}
	c.Place = place()
	for _, d := range rc.Details {
		if pc, ok := property(d); ok {
			if c.Place != nil && rc.Action != "Remove" {
				pc.Place = place(strings.Split(pc.Path, "/")...)
			}
			c.Properties = merge(c.Properties, pc)
		}
	}
	switch {
	case rc.Action == "Add", rc.Action == "Import":
		c.Properties = propertiesOf(rc.After, tmpl.resource(trail, rc.LogicalID), place)
	case len(c.Properties) == 0 && rc.Action == "Modify":
		c.Properties = fromContexts(rc.Before, rc.After, place)
	}
	c.Effect = effectOf(rc, c.Properties)
	c.Data = dataOf(rc, c.Effect, tmpl, trail)
	return c
}

// effectOf reads a change's effect. A replacement that hangs on nothing but
// values that AWS does not know yet is a maybe, whatever it claims.
func effectOf(rc ResourceChange, properties []planfile.PropertyChange) planfile.Effect {
	switch rc.Action {
	case "Add":
		return planfile.EffectAdd
	case "Remove":
		return planfile.EffectRemove
	case "Import":
		return planfile.EffectImport
	case "Dynamic":
		return planfile.EffectMaybe
	}
	switch rc.Replacement {
	case "True":
		sure, unsure := false, false
		for _, p := range properties {
			if p.Replaces == "" {
				continue
			}
			if p.Unknown {
				unsure = true
			} else if p.Replaces == "always" {
				sure = true
			}
		}
		if unsure && !sure {
			return planfile.EffectMaybe
		}
		return planfile.EffectReplace
	case "Conditional":
		return planfile.EffectMaybe
	}
	if strings.HasPrefix(rc.PolicyAction, "Replace") {
		return planfile.EffectReplace
	}
	return planfile.EffectChange
}

// dataOf returns what becomes of the data: as the change set says, else by the
// policy that the template gives, else by CloudFormation's default.
func dataOf(rc ResourceChange, e planfile.Effect, tmpl *Template, trail []string) planfile.DataImpact {
	if e != planfile.EffectRemove && e != planfile.EffectReplace && e != planfile.EffectMaybe {
		return ""
	}
	action := rc.PolicyAction
	if action == "" && e != planfile.EffectRemove {
		if policy := tmpl.resource(trail, rc.LogicalID).Get("UpdateReplacePolicy"); policy.IsString() {
			action = policy.Text
		}
	}
	switch {
	case strings.HasSuffix(action, "Retain"), action == "RetainExceptOnCreate":
		return planfile.DataKept
	case strings.HasSuffix(action, "Snapshot"):
		return planfile.DataSnapshot
	default:
		return planfile.DataLost
	}
}

// property turns a detail into a change of a value. A detail that only repeats
// why (a parameter's reference beside the value itself) has no value and is
// merged by its path.
func property(d ChangeDetail) (planfile.PropertyChange, bool) {
	path := strings.TrimPrefix(d.Path, "/")
	if path == "" {
		path = d.Attribute
		if d.Name != "" {
			path += "/" + d.Name
		}
	}
	if path == "" {
		return planfile.PropertyChange{}, false
	}
	pc := planfile.PropertyChange{Path: path, Cause: causeOf(d)}
	switch d.RequiresRecreation {
	case "Always":
		pc.Replaces = "always"
		if d.Evaluation == "Dynamic" {
			pc.Unknown = true
		}
	case "Conditionally":
		pc.Replaces = "maybe"
	}
	pc.Before, pc.After = given(d.Before, d.AttributeChange, "Add"), given(d.After, d.AttributeChange, "Remove")
	if strings.Contains(d.After, planfile.KnownAfter) {
		pc.Unknown = true
	}
	return pc, true
}

// given is a value, or nil when there is none on that side.
func given(value, change, absent string) *string {
	if value == "" && (change == "" || change == absent || change == "SyncWithActual") {
		return nil
	}
	return &value
}

func causeOf(d ChangeDetail) string {
	switch d.ChangeSource {
	case "ParameterReference":
		return "parameter " + d.CausingEntity
	case "ResourceReference", "ResourceAttribute":
		return d.CausingEntity
	case "Automatic":
		return "the nested stack itself"
	}
	return ""
}

// merge adds a change, or what it knows to the one of the same path.
func merge(list []planfile.PropertyChange, pc planfile.PropertyChange) []planfile.PropertyChange {
	i := slices.IndexFunc(list, func(x planfile.PropertyChange) bool { return x.Path == pc.Path })
	if i < 0 {
		return append(list, pc)
	}
	have := &list[i]
	if have.Before == nil {
		have.Before = pc.Before
	}
	if have.After == nil {
		have.After = pc.After
	}
	if have.Cause == "" {
		have.Cause = pc.Cause
	}
	// A static evaluation knows better than a dynamic one beside it.
	switch {
	case have.Replaces == "":
		have.Replaces, have.Unknown = pc.Replaces, have.Unknown || pc.Unknown
	case pc.Replaces == "always" && !pc.Unknown:
		have.Replaces, have.Unknown = "always", false
	}
	return list
}

// fromContexts compares a resource before and after, for services that give no
// details of it.
func fromContexts(before, after string, place func(...string) *diag.Place) []planfile.PropertyChange {
	var a, b any
	if json.Unmarshal([]byte(before), &a) != nil || json.Unmarshal([]byte(after), &b) != nil {
		return nil
	}
	var out []planfile.PropertyChange
	compare(a, b, nil, func(path []string, x, y *string) {
		out = append(out, planfile.PropertyChange{Path: strings.Join(path, "/"), Before: x, After: y,
			Unknown: y != nil && strings.Contains(*y, planfile.KnownAfter), Place: place(path...)})
	})
	return out
}
