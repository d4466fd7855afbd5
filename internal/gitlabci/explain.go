package gitlabci

import (
	"fmt"
	"strings"

	"refline/internal/pipeline"
)

// explain says why the rules of a job let it in or not, by the first of its
// instances that they let in, and where its keys come from.
func (c *compiler) explain(w *parsedJob) Explanation {
	e := Explanation{Job: w.name, Place: w.at}
	for i, in := range w.instances {
		if i == 0 || !e.Allowed && in.outcome.in {
			e.Rules, e.Only, e.When = in.outcome.rules, in.outcome.only, in.outcome.when
			if !in.outcome.in {
				e.When = pipeline.WhenNever
			}
		}
		e.Allowed = e.Allowed || in.outcome.in
	}
	e.Keys = make([]KeyOrigin, 0, len(w.node.keys))
	for i := range w.node.keys {
		f := &w.node.keys[i]
		origin := KeyOrigin{Key: f.name, Place: f.at, Via: f.value.via, Before: f.value.before}
		if origin.Place.IsZero() {
			origin.Place = f.value.at
		}
		e.Keys = append(e.Keys, origin)
	}
	return e
}

// Explain finds the explanation of a job by its name, that of a parallel job by
// the name of an instance too; nil when no such job is written.
func (r *Result) Explain(name string) *Explanation {
	base := ""
	for i := range r.Jobs {
		x := &r.Jobs[i]
		if x.Job == name {
			return x
		}
		rest, ok := strings.CutPrefix(name, x.Job)
		if ok && len(x.Job) > len(base) && (strings.HasPrefix(rest, ": [") || strings.HasPrefix(rest, " ") && strings.Contains(rest, "/")) {
			base = x.Job
		}
	}
	if base == "" {
		return nil
	}
	return r.Explain(base)
}

// WhyNone says in one line, with the place, why no pipeline is created; "" when
// one is.
func (r *Result) WhyNone() string {
	if r.NotCreatedAt.IsZero() {
		return r.NotCreated
	}
	return fmt.Sprintf("%s (%s)", r.NotCreated, r.NotCreatedAt)
}

// WhyNot says in one line why the rules of a job keep it out: which one, and
// where it is written; "" when they let it in.
func (x *Explanation) WhyNot() string {
	switch {
	case x.Allowed:
		return ""
	case x.Only != "":
		return fmt.Sprintf("%s (%s)", x.Only, x.Place)
	case len(x.Rules) == 0:
		return "its matrix is empty"
	}
	var tried []string
	for _, rule := range x.Rules {
		if rule.Matched {
			return fmt.Sprintf("its rule at %s matched: %s → %s", rule.Place, rule.conditions(), rule.Result)
		}
		tried = append(tried, rule.conditions())
	}
	const most = 3
	if len(tried) > most {
		tried = append(tried[:most], fmt.Sprintf("and %d more", len(tried)-most))
	}
	return fmt.Sprintf("none of its rules matched (%s): %s", x.Rules[0].Place, strings.Join(tried, "; "))
}

// conditions are the clauses of a rule in one line.
func (t *RuleTrace) conditions() string {
	if len(t.Clauses) == 0 {
		return "always"
	}
	texts := make([]string, len(t.Clauses))
	for i, c := range t.Clauses {
		texts[i] = c.Kind + ": " + shorten(c.Text)
	}
	return strings.Join(texts, ", ")
}
