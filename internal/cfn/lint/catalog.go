package lint

import (
	"slices"

	"refline/internal/diag"
)

// Rule is a rule of cfn-lint and whether it is checked here.
type Rule struct {
	ID    string     `json:"id"`
	Title string     `json:"title"`
	Level diag.Level `json:"-"`
	Done  bool       `json:"done"`
	Why   string     `json:"why,omitempty"` // not done, or how it differs
}

// Rules lists every rule of cfn-lint, by number.
func Rules() ([]Rule, error) {
	book, err := openRulebook()
	if err != nil {
		return nil, err
	}
	not := notDone()
	differs := differs()
	out := make([]Rule, 0, len(book.rows))
	for _, row := range book.rows {
		r := Rule{ID: row.ID, Title: row.Title, Level: levelOf(row.ID), Why: not[row.ID]}
		if r.Done = r.Why == ""; r.Done {
			r.Why = differs[row.ID]
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Rule) int { return compareIDs(a.ID, b.ID) })
	return out, nil
}

// compareIDs puts errors first, then warnings, then notes.
func compareIDs(a, b string) int {
	order := func(id string) int { return slices.Index([]byte("EWI"), id[0]) }
	if x, y := order(a), order(b); x != y {
		return x - y
	}
	if a < b {
		return -1
	}
	return 1
}

// notDone are the rules that are not checked, and why.
func notDone() map[string]string {
	const (
		own      = "it is about cfn-lint itself"
		deploy   = "deployment files are checked where they are read"
		contexts = "it is about a convention for notes in Metadata"
	)
	return map[string]string{
		"E0002": own, "E0003": own, "E1101": own,
		"E0100": deploy, "E0200": deploy,
		"E1103": "reported as E3002, as cfn-lint does", "E3008": "reported by the rule that the item breaks, as cfn-lint does",
		"E2003": "reported as E2001, as cfn-lint does", "E3011": "reported as E3001, as cfn-lint does", "E6004": "reported as E6001, as cfn-lint does",
		"E8002": "E8004 to E8007, E3015 and E6005 find missing conditions",
		"I4010": contexts, "W4011": contexts, "W4012": contexts,
		"W2030": "reported as W1030, at the parameter", "W2031": "reported as W1030, at the parameter", "W3034": "reported as W1030, at the parameter",
	}
}

// differs says how a checked rule differs from cfn-lint's.
func differs() map[string]string {
	return map[string]string{
		"E0001": "loops only; other transforms are not run, so serverless templates are checked as written",
		"E2900": "for stacks of the configuration, whose parameters are known",
		"E3040": "off unless it is included: the service ignores such values, and cfn-lint never reports them",
		"E3024": "keys inside the result of a function are not checked",
		"I3042": "the partition only",
		"E3049": "without a health check port, the traffic port counts",
		"E1052": "in transforms",
		"E1041": "formats of resources only", "E1040": "formats of resources only",
		"W1001": "the branch of Fn::If and the conditions of both resources are considered together",
	}
}
