package gitlabci

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// parseDuration reads a duration as people write it: "1h 30m", "3 hours",
// "90 minutes 12 sec", "1 week and 2 days", "1:30:00", "3600" (seconds). A day
// has 24 hours, a week 7 days, a month 30 days and a year 365.25 days. The sum
// must be more than nothing. The rules are those of GitLab's ChronicDuration.
func parseDuration(text string) (time.Duration, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if strings.Contains(text, ":") {
		return parseClock(text)
	}
	var total float64
	amount, have, bare := 0.0, false, false
	for _, word := range durationWords(text) {
		if n, err := strconv.ParseFloat(word, 64); err == nil && isDurationNumber(word) {
			if bare { // "5 6 minutes": the 5 stands for seconds
				total += amount
			}
			amount, have, bare = n, true, true
			continue
		}
		word = strings.Trim(word, ",")
		switch n, number := durationNumber(word); {
		case word == "" || word == "and" || word == "with" || word == "plus":
			continue
		case number:
			amount, have, bare = n, true, true
			continue
		}
		unit := durationUnit(word)
		if unit == 0 || !bare && have {
			return 0, false
		}
		if !have {
			return 0, false
		}
		total += amount * unit
		bare = false
	}
	if bare {
		total += amount
	}
	return seconds(total)
}

// parseClock reads "1:30" (minutes and seconds) up to years:months:days:….
func parseClock(text string) (time.Duration, bool) {
	parts := strings.Split(strings.ReplaceAll(text, " ", ""), ":")
	units := []float64{1, 60, 3600, 86400, 30 * 86400, 31557600}
	if len(parts) > len(units) {
		return 0, false
	}
	var total float64
	for i, p := range parts {
		n, err := strconv.ParseFloat(p, 64)
		if err != nil || !isDurationNumber(p) {
			return 0, false
		}
		total += n * units[len(parts)-1-i]
	}
	return seconds(total)
}

func seconds(total float64) (time.Duration, bool) {
	if total <= 0 || total > math.MaxInt64/float64(time.Second) {
		return 0, false
	}
	return time.Duration(total * float64(time.Second)), true
}

// durationWords splits at spaces and between digits and letters.
func durationWords(text string) []string {
	var words []string
	for field := range strings.FieldsSeq(text) {
		start := 0
		for i := 1; i <= len(field); i++ {
			if i == len(field) || isDurationDigit(field[i]) != isDurationDigit(field[i-1]) {
				words = append(words, field[start:i])
				start = i
			}
		}
	}
	return words
}

func isDurationDigit(c byte) bool { return c >= '0' && c <= '9' || c == '.' }

func isDurationNumber(word string) bool {
	return strings.Trim(word, "0123456789.") == "" && word != ""
}

func durationUnit(word string) float64 {
	switch word {
	case "s", "sec", "secs", "second", "seconds":
		return 1
	case "m", "min", "mins", "minute", "minutes":
		return 60
	case "h", "hr", "hrs", "hour", "hours":
		return 3600
	case "d", "dy", "day", "days":
		return 86400
	case "w", "wk", "wks", "week", "weeks":
		return 7 * 86400
	case "mo", "mos", "month", "months":
		return 30 * 86400
	case "y", "yr", "yrs", "year", "years":
		return 31557600
	default:
		return 0
	}
}

func durationNumber(word string) (float64, bool) {
	switch word {
	case "a", "an", "one":
		return 1, true
	case "two":
		return 2, true
	case "three":
		return 3, true
	case "four":
		return 4, true
	case "five":
		return 5, true
	case "six":
		return 6, true
	case "seven":
		return 7, true
	case "eight":
		return 8, true
	case "nine":
		return 9, true
	case "ten":
		return 10, true
	case "twelve":
		return 12, true
	default:
		return 0, false
	}
}
