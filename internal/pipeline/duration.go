package pipeline

import (
	"math"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
)

// ParseDuration parses a duration in the format of timeout, start_in, expire_in
// and auto_stop_in: "1h 30m", "3 hours 20 min", "2 weeks and 1.5 days",
// "1:30:00", "90" (seconds). Only "never" is 0. A month has 30 days, a year
// 365.25. Errors are Invalid.
func ParseDuration(text string) (time.Duration, error) {
	words := durationWords(strings.ToLower(text))
	if len(words) == 1 && words[0] == "never" {
		return 0, nil
	}
	if len(words) == 1 && strings.Contains(words[0], ":") {
		return clockDuration(text, words[0])
	}
	seconds := 0.0
	for i := 0; i < len(words); i++ {
		number, err := strconv.ParseFloat(words[i], 64)
		if err != nil || words[i][0] > '9' { // ParseFloat accepts "inf" and "nan"
			return 0, notDuration(text)
		}
		unit := 1.0
		if i+1 < len(words) {
			i++
			if unit = secondsIn(words[i]); unit == 0 {
				return 0, notDuration(text)
			}
		}
		seconds += number * unit
	}
	return durationOf(text, seconds)
}

// durationWords splits text into numbers and words, without "and", "with", "plus".
func durationWords(text string) []string {
	var words []string
	numeric := func(c byte) bool { return '0' <= c && c <= '9' || c == '.' || c == ':' }
	for field := range strings.FieldsSeq(strings.ReplaceAll(text, ",", " ")) {
		for start, i := 0, 1; i <= len(field); i++ {
			if i < len(field) && numeric(field[i]) == numeric(field[start]) {
				continue
			}
			switch word := field[start:i]; word {
			case "and", "with", "plus":
			default:
				words = append(words, word)
			}
			start = i
		}
	}
	return words
}

// secondsIn returns the seconds of a unit; 0 if there is no such unit.
func secondsIn(unit string) float64 {
	const minute, hour, day = 60, 3600, 86400
	switch unit {
	case "s", "sec", "secs", "second", "seconds":
		return 1
	case "m", "min", "mins", "minute", "minutes":
		return minute
	case "h", "hr", "hrs", "hour", "hours":
		return hour
	case "d", "dy", "day", "days":
		return day
	case "w", "wk", "wks", "week", "weeks":
		return 7 * day
	case "mo", "mos", "mon", "mons", "month", "months":
		return 30 * day
	case "y", "yr", "yrs", "year", "years":
		return 365.25 * day
	default:
		return 0
	}
}

// clockDuration parses m:s, h:m:s and d:h:m:s.
func clockDuration(text, clock string) (time.Duration, error) {
	parts := strings.Split(clock, ":")
	units := [...]float64{86400, 3600, 60, 1}
	if len(parts) > len(units) {
		return 0, notDuration(text)
	}
	seconds := 0.0
	for i, part := range parts {
		number, err := strconv.ParseFloat(part, 64)
		if err != nil {
			return 0, notDuration(text)
		}
		seconds += number * units[len(units)-len(parts)+i]
	}
	return durationOf(text, seconds)
}

func durationOf(text string, seconds float64) (time.Duration, error) {
	switch {
	case seconds*float64(time.Second) >= math.MaxInt64:
		return 0, errs.E(errs.Invalid, "duration %q is too long", text)
	case seconds < 1e-9:
		return 0, notDuration(text)
	}
	return time.Duration(math.Round(seconds * float64(time.Second))), nil
}

func notDuration(text string) error {
	return errs.E(errs.Invalid, "%q is not a duration; write 90 seconds, 1h 30m, 2 days or 3 weeks", text)
}
