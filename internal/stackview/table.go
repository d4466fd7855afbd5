package stackview

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"refline/internal/stack"
	"refline/internal/stack/planfile"
	"refline/internal/termview"
)

// table lines up rows of cells. print writes it without the blanks at the ends
// of lines.
type table struct {
	tab  *tabwriter.Writer
	text strings.Builder
}

func newTable() *table {
	t := &table{}
	t.tab = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.tab, strings.Join(cells, "\t")) }

func (t *table) print(w io.Writer) error {
	if err := t.tab.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(t.text.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func symbol(s stack.Status) string {
	switch {
	case s.InProgress():
		return "…"
	case s.Bad():
		return "✗"
	default:
		return "✓"
	}
}

func duration(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return termview.Seconds(d.Seconds())
}

func timestamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// reason is an explanation at the end of a line, "" if there is none.
func reason(text string) string {
	if text == "" {
		return ""
	}
	return "  " + planfile.Plain(text)
}

// Count gives "1 plan" or "3 plans".
func Count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
