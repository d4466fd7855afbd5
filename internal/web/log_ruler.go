package web

import (
	"cmp"
	"slices"
	"strconv"

	"refline/internal/api"
)

// rulerFragment is the ruler beside a log. The script asks for it alone: finding what it
// shows reads the whole log.
const rulerFragment = "log-ruler"

// rulerMark is a line on the ruler.
type rulerMark struct {
	Number int64
	Kind   string // bad, warn or hit
	At     string // how far down, as an attribute of SVG
}

// addRuler finds the errors, warnings and matches of the whole log.
func (c *request) addRuler(d *logPage) error {
	part, err := c.API.LogLines(c.ctx(), d.Run.ID, d.Job.Name, d.Attempt, 0, 1)
	if err != nil {
		return err
	}
	d.Part = part
	marks, err := c.API.LogMarks(c.ctx(), d.Run.ID, d.Job.Name, d.Attempt)
	if err != nil {
		return err
	}
	d.mark("warn", marks.Warnings)
	d.mark("bad", marks.Errors)
	if d.Query != "" {
		hits, err := c.API.SearchLog(c.ctx(), d.Run.ID, d.Job.Name, d.Attempt, d.Query)
		if err != nil {
			return err
		}
		d.mark("hit", hits.Lines)
	}
	return nil
}

func (d *logPage) mark(kind string, lines []api.LogLine) {
	for _, line := range lines {
		at := 100 * float64(line.Number-1) / float64(max(d.Part.Total, line.Number))
		d.Marks = append(d.Marks, rulerMark{line.Number, kind, strconv.FormatFloat(at, 'f', 3, 64) + "%"})
	}
}

// listMarks lists the errors and warnings above the log, for those without the ruler.
func (c *request) listMarks(d *logPage) error {
	if d.Part.Total == 0 {
		return nil
	}
	marks, err := c.API.LogMarks(c.ctx(), d.Run.ID, d.Job.Name, d.Attempt)
	if err != nil {
		return err
	}
	d.Found = count(len(marks.Errors), "line reports an error", "lines report errors") + ", " + count(len(marks.Warnings), "a warning", "warnings")
	if marks.More {
		d.Found = "at least " + d.Found
	}
	lines := slices.Concat(marks.Errors, marks.Warnings)
	slices.SortFunc(lines, func(a, b api.LogLine) int { return cmp.Compare(a.Number, b.Number) })
	d.list(lines, "marks", "1")
	return nil
}
