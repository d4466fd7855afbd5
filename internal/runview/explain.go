package runview

import (
	"fmt"
	"io"
	"strings"

	"refline/internal/gitlabci"
	"refline/internal/termview"
)

// Workflow writes why there is no pipeline of a ref, and the rules of the workflow.
func Workflow(w io.Writer, where string, res *gitlabci.Result) {
	if res.Pipeline == nil {
		fmt.Fprintf(w, "no pipeline for %s: %s\n", where, res.WhyNone())
	}
	if len(res.Workflow) > 0 {
		fmt.Fprintln(w, "workflow")
		printRules(w, res.Workflow)
		fmt.Fprintln(w)
	}
}

// Explanation writes why a job is in the pipeline of a ref or not, and with keys where
// each of its keys comes from.
func Explanation(w io.Writer, where string, x gitlabci.Explanation, keys bool) {
	switch {
	case x.In:
		fmt.Fprintf(w, "%s is in the pipeline of %s, when: %s\n", x.Job, where, x.When)
	case x.Allowed: // and there is no pipeline
		fmt.Fprintf(w, "%s does not run: no pipeline is created for %s; its own rules let it in, when: %s\n", x.Job, where, x.When)
	default:
		fmt.Fprintf(w, "%s is not in the pipeline of %s\n", x.Job, where)
	}
	if len(x.Rules) > 0 {
		fmt.Fprintf(w, "  rules (%s)\n", x.Rules[0].Place)
		matched := printRules(w, x.Rules)
		if !matched {
			fmt.Fprintln(w, "       no rule matched → never")
		}
	}
	if x.Only != "" {
		fmt.Fprintf(w, "  %s\n", x.Only)
	}
	if !keys || len(x.Keys) == 0 {
		return
	}
	fmt.Fprintln(w, "  where its keys come from")
	rows := make([][]string, 0, len(x.Keys))
	for _, k := range x.Keys {
		from := k.Place.String()
		if k.Via != "" {
			from = k.Via + ", " + from
		}
		for _, b := range k.Before {
			from += ", over " + b.String()
		}
		rows = append(rows, []string{"    " + k.Key, from})
	}
	termview.Table(w, rows)
}

// printRules shows rules up to the one that matched, and reports whether one did.
func printRules(w io.Writer, rules []gitlabci.RuleTrace) bool {
	var rows [][]string
	matched := false
	for i, r := range rules {
		if !r.Reached {
			rows = append(rows, []string{fmt.Sprintf("  %3d", i+1), clauseTexts(r), "", "not reached"})
			continue
		}
		if len(r.Clauses) == 0 {
			rows = append(rows, []string{fmt.Sprintf("  %3d", i+1), "always", "", yesNo(r.Matched, r.Result)})
		}
		for k, cl := range r.Clauses {
			number, result := "", yesNo(cl.True, "")
			if k == 0 {
				number = fmt.Sprintf("  %3d", i+1)
			}
			if k == len(r.Clauses)-1 && r.Matched {
				result = yesNo(true, r.Result)
			}
			rows = append(rows, []string{number, cl.Kind + ": " + cl.Text, cl.Values, result})
		}
		matched = matched || r.Matched
	}
	termview.Table(w, rows)
	return matched
}

func clauseTexts(r gitlabci.RuleTrace) string {
	texts := make([]string, len(r.Clauses))
	for i, c := range r.Clauses {
		texts[i] = c.Kind + ": " + c.Text
	}
	return strings.Join(texts, ", ")
}

func yesNo(yes bool, result string) string {
	switch {
	case !yes:
		return "no"
	case result == "":
		return "yes"
	default:
		return "yes → " + result
	}
}
