package web

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/stack/planfile"
)

const (
	mostChanges = 50   // of a page
	mostValues  = 80   // properties of a page
	mostValue   = 2000 // characters of a value
)

type changeView struct {
	Effect                  planfile.Effect
	ID, Type, Says, Place   string
	Danger, Data            bool
	Properties              []propertyView
	More                    int // properties that are not shown
	Symbol, Drift, Physical string
}

type propertyView struct {
	Name, Why, Place string
	Was, Is          template.HTML
}

// grave reports that a change removes or replaces something, or may.
func grave(c planfile.Change) bool {
	return c.Effect == planfile.EffectRemove || c.Effect == planfile.EffectReplace || c.Effect == planfile.EffectMaybe
}

// dataHolders are the resources with data that a plan removes or replaces, or may.
func dataHolders(p *planfile.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		if c.Stateful && grave(c) {
			out = append(out, planfile.Plain(c.ID()))
		}
	}
	return out
}

// planChanges fills in what a plan changes: what is lost first. It returns the resources
// whose data is touched.
func (c *request) planChanges(d *planData) []string {
	p := d.File
	if p == nil {
		return nil
	}
	for _, e := range planfile.Effects() {
		if n := p.Count(e); n > 0 || e != planfile.EffectMaybe && e != planfile.EffectImport {
			d.Counts = append(d.Counts, planCount{e, n})
		}
	}
	rank := func(x planfile.Change) int {
		n := 2 * slices.Index(planfile.Effects(), x.Effect)
		if !x.Stateful {
			n++
		}
		return n
	}
	changes := slices.Clone(p.Changes)
	slices.SortStableFunc(changes, func(a, b planfile.Change) int { return rank(a) - rank(b) })
	from := min(c.queryNumber("from"), len(changes))
	rows, next := 0, from
	for _, x := range changes[from:min(len(changes), from+mostChanges)] {
		if rows > 0 && rows+len(x.Properties) > mostValues {
			break
		}
		view := changeOf(x)
		rows += len(view.Properties)
		d.Changes = append(d.Changes, view)
		next++
	}
	if next < len(changes) || from > 0 {
		d.Shown = fmt.Sprintf("%d to %d of %d", from+1, next, len(changes))
	}
	if next < len(changes) {
		d.Next = fmt.Sprintf("%s?from=%d", planPath(d.Plan), next)
	}
	d.Guards = guardsOf(p)
	return dataHolders(p)
}

func changeOf(x planfile.Change) changeView {
	view := changeView{
		Effect: x.Effect, Symbol: x.Effect.Symbol(), ID: planfile.Plain(x.ID()), Type: planfile.Plain(x.Type), Says: planfile.Plain(changeText(x)),
		Place: placeOf(x.Place), Danger: grave(x), Data: x.Stateful && grave(x), Physical: planfile.Plain(x.PhysicalID),
	}
	for _, p := range x.Properties[:min(len(x.Properties), mostValues)] {
		was, is := compareValues(p)
		view.Properties = append(view.Properties, propertyView{Name: p.Name(), Why: planfile.Plain(p.Why()), Place: placeOf(p.Place), Was: was, Is: is})
	}
	view.More = len(x.Properties) - len(view.Properties)
	return view
}

// changeText is the sentence of a change. One that is added says so.
func changeText(x planfile.Change) string {
	text := strings.TrimPrefix(x.Sentence(), "; ")
	if x.Effect == planfile.EffectAdd {
		text = strings.TrimSuffix("added; "+text, "; ")
	}
	return strings.ReplaceAll(strings.ReplaceAll(text, "REPLACED", "replaced"), "REMOVED", "removed")
}

func placeOf(p *diag.Place) string {
	if p == nil {
		return ""
	}
	return planfile.Plain(p.String())
}

// compareValues shows a value before and after, with what differs marked.
func compareValues(p planfile.PropertyChange) (was, is template.HTML) {
	special := func(v *string, unknown bool) template.HTML {
		if v != nil && *v != "" && !strings.Contains(*v, planfile.KnownAfter) && !unknown {
			return ""
		}
		return template.HTML(`<i class="soft">` + template.HTMLEscapeString(planfile.Shown(v, unknown)) + `</i>`)
	}
	was, is = special(p.Before, false), special(p.After, p.Unknown)
	var before, after []rune
	if was == "" {
		before = valueRunes(*p.Before)
	}
	if is == "" {
		after = valueRunes(*p.After)
	}
	head, tail := 0, 0
	if was == "" && is == "" {
		head, tail = common(before, after)
	}
	if was == "" {
		was = marked(before, head, tail, "del")
	}
	if is == "" {
		is = marked(after, head, tail, "ins")
	}
	return was, is
}

func valueRunes(s string) []rune {
	runes := []rune(planfile.PlainLines(s))
	if len(runes) > mostValue {
		runes = append(runes[:mostValue:mostValue], '…')
	}
	return runes
}

// common counts what two texts begin and end with alike. Texts that share little are
// shown as two whole ones.
func common(a, b []rune) (head, tail int) {
	least := min(len(a), len(b))
	for head < least && a[head] == b[head] {
		head++
	}
	for tail < least-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	if head+tail < 3 || 4*(head+tail) < max(len(a), len(b)) {
		return 0, 0
	}
	return head, tail
}

func marked(text []rune, head, tail int, element string) template.HTML {
	escape := func(r []rune) string { return template.HTMLEscapeString(string(r)) }
	middle := escape(text[head : len(text)-tail])
	if middle != "" {
		middle = "<" + element + ">" + middle + "</" + element + ">"
	}
	return template.HTML(escape(text[:head]) + middle + escape(text[len(text)-tail:]))
}

type guardView struct{ Look, Rule, Text, Hint string }

// guardsOf says which rules a plan breaks, which were opened by name, and what is as it
// should be.
func guardsOf(p *planfile.Plan) []guardView {
	var out []guardView
	add := func(look, rule, text, hint string) { out = append(out, guardView{look, rule, text, hint}) }
	for _, r := range p.Refusals {
		add("failed", planfile.Plain(r.Rule), planfile.Plain(r.Message), planfile.Plain(r.Hint))
	}
	for _, id := range p.Allowed {
		add("warned", "stateful", planfile.Plain(id)+" holds data and may be removed or replaced: it was opened by name", "")
	}
	if len(dataHolders(p)) == 0 {
		add("success", "stateful", "no resource that holds data is removed or replaced", "")
	}
	drifted := 0
	for _, c := range p.Changes {
		if c.Drift != "" {
			drifted++
		}
	}
	if drifted > 0 {
		add("warned", "drift", count(drifted, "resource was", "resources were")+" changed outside of the stack", "")
	}
	switch {
	case p.Origin.Dirty:
		add("warned", "commit", "it was planned from files that are not committed", "")
	case p.Origin.Commit == "":
		add("warned", "commit", "it names no commit", "")
	}
	for _, note := range p.Notes {
		add("manual", "note", planfile.Plain(note), "")
	}
	return out
}
