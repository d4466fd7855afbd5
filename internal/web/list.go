package web

import (
	"html/template"
)

// listData is what the template "list" shows: facts, then tables.
type listData struct {
	Heading string
	Look    string // of the mark before the heading; "" for none
	Says    template.HTML
	Facts   []listFact
	Tables  []table
	Actions []action
	Form    *runForm
}

// listFact is a line of the facts of a thing.
type listFact struct {
	Name  string
	Value cell
}

// table is a list of things. Empty says what would be there, and the command that makes
// the first.
type table struct {
	ID, Title string
	Columns   []string
	Rows      [][]cell
	Empty     [2]string
	More      string // path of the next page
	MoreText  string
}

// cell is one value, as text or as made HTML.
type cell struct {
	Look string // of a mark before it
	Text string
	HTML template.HTML
	Path string // that it leads to
	Sub  string // below it
	Code bool
	Act  *action
}

// action is a button that posts.
type action struct {
	Path, Label string
	Fields      [][2]string
	Plain       bool
}

func plain(s string) cell      { return cell{Text: s} }
func code(s string) cell       { return cell{Text: s, Code: true} }
func link(s, path string) cell { return cell{Text: s, Path: path} }

// facts leaves out those without a value.
func facts(list ...listFact) []listFact {
	var out []listFact
	for _, f := range list {
		if f.Value.Text != "" || f.Value.HTML != "" {
			out = append(out, f)
		}
	}
	return out
}
