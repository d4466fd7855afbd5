package web

import (
	"html/template"
	"slices"
)

// listData is what the template "list" shows: facts, then tables.
type listData struct {
	Heading string
	Look    string // of the mark before the heading; "" for none
	Says    template.HTML
	Facts   []fact
	Tables  []table
	Actions []action
	Form    *runForm

	Crumbs []Cell // pages above this one
	Tabs   []tab  // pages of the same thing
	Notice *notice
	Steps  []string // what is left to do at a forge, in order
	Forms  []*form
}

// fact is a line of the facts of a thing.
type fact struct {
	Name string
	Cell
}

// table is a list of things. Empty says what would be there, and the command that makes
// the first.
type table struct {
	ID, Title string
	Columns   []string
	Rows      [][]Cell
	Empty     [2]string
	More      string // path of the next page
	MoreText  string
	Note      string  // below the title
	Forms     []*form // below the rows
}

// Cards reports whether rows are cards on a narrow screen: what can be done with a row
// must not be out of sight at its end.
func (t table) Cards() bool { return slices.Contains(t.Columns, "") }

// Cell is one value, as text or as made HTML.
type Cell struct {
	Look string // of a mark before it
	Text string
	HTML template.HTML
	Path string // that it leads to
	Sub  string // below it
	Code bool
	Act  *action
	Fold *fold
}

// action is a button that posts.
type action struct {
	Path, Label string
	Fields      [][2]string
	Plain       bool
	Sure        string // question that it asks first; "" for none
	Yes         string // the button that does it then
}

// fold is what shows when it is opened.
type fold struct {
	Label   string
	Open    bool
	Code    string
	Text    string
	Link    string // address outside of this server
	Command string
}

// tab is one of several pages of a thing.
type tab struct {
	Name, Path string
	Current    bool
}

// notice says what came of what was asked for.
type notice struct {
	Text    string
	Once    string // that is shown this once
	More    string
	Command string
}

// Blank reports whether there is nothing to show.
func (c Cell) Blank() bool { return c == Cell{} }

func plain(s string) Cell      { return Cell{Text: s} }
func code(s string) Cell       { return Cell{Text: s, Code: true} }
func link(s, path string) Cell { return Cell{Text: s, Path: path} }

// facts leaves out those without a value.
func facts(list ...fact) []fact {
	var out []fact
	for _, f := range list {
		if f.Text != "" || f.HTML != "" {
			out = append(out, f)
		}
	}
	return out
}
