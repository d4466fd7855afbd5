package gitlabci

import "refline/internal/pipeline"

// explain tells why a job is in or out, by the first of its instances, and
// where its keys come from.
func (c *compiler) explain(w *parsedJob) Explanation {
	e := Explanation{Job: w.name, Place: w.at}
	for i, in := range w.instances {
		if i == 0 || !e.In && in.outcome.in {
			e.Rules, e.Only, e.When = in.outcome.rules, in.outcome.only, in.outcome.when
			if !in.outcome.in {
				e.When = pipeline.WhenNever
			}
		}
		e.In = e.In || in.outcome.in
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
