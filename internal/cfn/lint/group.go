package lint

import (
	"strconv"
	"strings"

	"refline/internal/cfn"
	"refline/internal/diag"
)

// mostCallers is how many callers of a library's line a finding names.
const mostCallers = 3

// grouped makes one finding of those that one line of a Jsonnet library causes
// in many places of the template. Each names the lines that called the library.
func (e *engine) grouped(list diag.List) diag.List {
	type key struct {
		place         diag.Place
		rule, message string
	}
	at := map[key]int{}
	count := map[int]int{}
	var out diag.List
	for _, f := range list {
		k := key{f.Place, f.Rule, f.Message}
		i, known := at[k]
		if !known {
			i = len(out)
			at[k] = i
			out = append(out, f)
		}
		count[i]++
		if caller, ok := e.caller(f); ok && len(out[i].Related) < mostCallers && !relatedTo(out[i], caller) {
			out[i].Related = append(out[i].Related, diag.Related{Place: caller, Message: "called here"})
		}
	}
	for i, n := range count {
		if n > 1 {
			out[i].Message += " (" + strconv.Itoa(n) + " places)"
		}
	}
	return out
}

// caller is the line that called the library which wrote a finding's value: that
// of the nearest value around it that another file wrote.
func (e *engine) caller(f diag.Finding) (diag.Place, bool) {
	path := cfn.Path(strings.Split(f.Subject, "/"))
	for n := len(path) - 1; n > 0; n-- {
		if at := e.template.Place(path[:n]); at.File != "" && at.File != f.File {
			return at, true
		}
	}
	return diag.Place{}, false
}

func relatedTo(f diag.Finding, at diag.Place) bool {
	for _, r := range f.Related {
		if r.Place == at {
			return true
		}
	}
	return false
}
