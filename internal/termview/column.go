package termview

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"

	"github.com/mattn/go-runewidth"

	"refline/internal/errs"
)

// Seconds is a duration for people: 0.4 s, 12.3 s, 4 min 05 s.
func Seconds(s float64) string {
	switch {
	case s < 0.1:
		return fmt.Sprintf("%.2f s", s)
	case s < 100:
		return fmt.Sprintf("%.1f s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", int(s)/60, int(s)%60)
	default:
		return fmt.Sprintf("%d h %02d min", int(s)/3600, int(s)/60%60)
	}
}

// ByteSize is a size for people: 12 B, 3.4 kB, 1.2 MB.
func ByteSize(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	f, i := float64(n), 0
	for f >= 1000 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

// Cells is how many columns of a terminal a text takes: a letter of many
// scripts and an emoji take two.
func Cells(s string) int { return runewidth.StringWidth(s) }

// Pad fills a text up to a width in columns.
func Pad(s string, width int) string {
	if n := Cells(s); n < width {
		return s + strings.Repeat(" ", width-n)
	}
	return s
}

// Cut shortens a text to a width in columns.
func Cut(s string, width int) string { return runewidth.Truncate(s, width, "…") }

// Plain makes text of people or jobs fit for one line of a terminal: escape
// sequences are dropped, and control characters become visible.
func Plain(s string) string {
	if strings.IndexFunc(s, hidden) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range stripANSI(s) {
		if hidden(r) {
			fmt.Fprintf(&b, "\\x%02x", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hidden are the control characters, and those that turn a line around.
func hidden(r rune) bool {
	return unicode.IsControl(r) || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// Align pads cells so that columns line up. Each cell is made plain.
func Align(rows [][]string) []string {
	var widths []int
	for _, r := range rows {
		for i, c := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			r[i] = Plain(c)
			widths[i] = max(widths[i], Cells(r[i]))
		}
	}
	out := make([]string, 0, len(rows))
	for _, r := range rows {
		var b strings.Builder
		for i, c := range r {
			if i == len(r)-1 {
				b.WriteString(c)
				break
			}
			b.WriteString(Pad(c, widths[i]+2))
		}
		out = append(out, strings.TrimRight(b.String(), " "))
	}
	return out
}

// maxNames is how many names a message has.
const maxNames = 5

// Names lists names for a message, the first few of many.
func Names(names []string) string {
	some := make([]string, 0, maxNames)
	for _, name := range names[:min(len(names), maxNames)] {
		some = append(some, Plain(name))
	}
	text := strings.Join(some, ", ")
	if more := len(names) - maxNames; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// Table writes rows in columns that line up.
func Table(w io.Writer, rows [][]string) {
	for _, line := range Align(rows) {
		fmt.Fprintln(w, line)
	}
}

// ParseBytes reads a size as people write it: 512MiB, 2 GB, 1.5 GiB, 1000.
func ParseBytes(text string) (int64, error) {
	trimmed := strings.TrimSpace(text)
	number := strings.TrimRight(trimmed, "bBiIkKmMgGtT ")
	unit := strings.ToLower(strings.TrimSpace(trimmed[len(number):]))
	size, known := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
		"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(n >= 0) || n*size > 1<<60 {
		return 0, errs.E(errs.Invalid, "%q is not a size such as 512MiB or 2GB", text)
	}
	return int64(n * size), nil
}
