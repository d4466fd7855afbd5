package schedule

import (
	"math/bits"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
)

// field is one of the five of a cron expression.
type field struct {
	name     string
	min, max int
	names    string // three letters each, from min on; empty for none
}

var fields = [5]field{
	{name: "minute", min: 0, max: 59},
	{name: "hour", min: 0, max: 23},
	{name: "day of month", min: 1, max: 31},
	{name: "month", min: 1, max: 12, names: "janfebmaraprmayjunjulaugsepoctnovdec"},
	{name: "day of week", min: 0, max: 7, names: "sunmontuewedthufrisat"},
}

// ParseCron reads "minute hour day-of-month month day-of-week", or one of
// @hourly, @daily (@midnight), @weekly, @monthly, @yearly (@annually). A field
// is *, a number, a name (jan, mon), a range 1-5, a step */10, 8-18/2 or 5/10
// (from 5 on), or several of these with commas. Day of week 0 and 7 are Sunday.
// Errors are Invalid and name the field.
func ParseCron(text string, zone *time.Location) (*Cron, error) {
	const maxLength = 512
	if len(text) > maxLength {
		return nil, errs.E(errs.Invalid, "a cron expression has at most %d characters, this one %d", maxLength, len(text))
	}
	words := strings.Fields(text)
	if len(words) == 1 && strings.HasPrefix(words[0], "@") {
		expanded, ok := nickname(strings.ToLower(words[0]))
		if !ok {
			return nil, errs.E(errs.Invalid, "%q is not a schedule; use @hourly, @daily, @weekly, @monthly or @yearly", words[0])
		}
		words = strings.Fields(expanded)
	}
	if len(words) != len(fields) {
		return nil, errs.E(errs.Invalid, "cron expression %q has %d fields, want 5: minute, hour, day of month, month, day of week (0 6 * * * is every day at 06:00)", text, len(words))
	}
	var sets [5]uint64
	for i, word := range words {
		set, err := fields[i].parse(strings.ToLower(word))
		if err != nil {
			return nil, errs.E(errs.Invalid, "cron expression %q: %w", text, err)
		}
		sets[i] = set
	}
	c := &Cron{
		text: strings.Join(strings.Fields(text), " "), zone: zone,
		minutes: sets[0], hours: sets[1], days: sets[2], months: sets[3], weekday: (sets[4] | sets[4]>>7) & 0x7f,
		eachDay: isWildcard(words[2]), anyWeek: isWildcard(words[4]),
		elapsed: isWildcard(words[0]) || isWildcard(words[1]),
	}
	if !c.possible() {
		return nil, errs.E(errs.Invalid, "cron expression %q never fires: no month it names has day %s", text, words[2])
	}
	return c, nil
}

func nickname(word string) (string, bool) {
	switch word {
	case "@hourly":
		return "0 * * * *", true
	case "@daily", "@midnight":
		return "0 0 * * *", true
	case "@weekly":
		return "0 0 * * 0", true
	case "@monthly":
		return "0 0 1 * *", true
	case "@yearly", "@annually":
		return "0 0 1 1 *", true
	default:
		return "", false
	}
}

// parse reads a field into a set of bits.
func (f field) parse(word string) (uint64, error) {
	var set uint64
	for part := range strings.SplitSeq(word, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 || n > f.max {
				return 0, errs.E(errs.Invalid, "%s %q: the step is a number from 1 to %d", f.name, part, f.max)
			}
			step = n
		}
		low, high, err := f.span(span, stepped)
		if err != nil {
			return 0, err
		}
		for v := low; v <= high; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func (f field) span(text string, stepped bool) (low, high int, err error) {
	if text == "*" {
		high = f.max
		if f.name == "day of week" {
			high = 6 // 7 is Sunday once more
		}
		return f.min, high, nil
	}
	from, to, ranged := strings.Cut(text, "-")
	if low, err = f.value(from); err != nil {
		return 0, 0, err
	}
	switch {
	case ranged:
		if high, err = f.value(to); err != nil {
			return 0, 0, err
		}
		if f.max == 7 && high == 0 {
			high = 7 // fri-sun
		}
	case stepped:
		high = f.max
	default:
		high = low
	}
	if high < low {
		return 0, 0, errs.E(errs.Invalid, "%s %q: the range ends before it begins", f.name, text)
	}
	return low, high, nil
}

func (f field) value(text string) (int, error) {
	if len(text) == 3 && f.names != "" {
		if at := strings.Index(f.names, text); at >= 0 && at%3 == 0 {
			return f.min + at/3, nil
		}
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < f.min || n > f.max || strings.HasPrefix(text, "+") {
		return 0, errs.E(errs.Invalid, "%s %q is not a value from %d to %d%s", f.name, text, f.min, f.max, f.examples())
	}
	return n, nil
}

func (f field) examples() string {
	if f.names == "" {
		return ""
	}
	return " or a name such as " + f.names[3:6]
}

// possible reports whether some month has one of the days; a restricted day of
// week makes every expression possible unless the day of month is required too.
func (c *Cron) possible() bool {
	if !c.eachDay && !c.anyWeek {
		return true
	}
	longest := [13]int{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}
	first := bits.TrailingZeros64(c.days)
	for month, days := range longest {
		if month > 0 && c.months&(1<<month) != 0 && first <= days {
			return true
		}
	}
	return false
}
