package diag

import "strings"

// maxName is the length up to which a name is compared with others.
const maxName = 100

// Nearest returns the name that was probably meant by a wrong one, "" if none is
// similar: at most a third of its letters differ.
func Nearest(wrong string, names []string) string {
	if len(wrong) > maxName {
		return ""
	}
	best, least := "", min(max(1, len(wrong)/3)+1, len(wrong))
	for _, name := range names {
		if name == wrong {
			continue
		}
		if d := EditDistance(strings.ToLower(wrong), strings.ToLower(name), least-1); d < least {
			best, least = name, d
		}
	}
	return best
}

// EditDistance counts insertions, deletions, replacements and swaps of neighbours
// between a and b (optimal string alignment), in bytes. Above limit the result is
// limit+1 or more.
func EditDistance(a, b string, limit int) int {
	if d := len(a) - len(b); d > limit || -d > limit {
		return limit + 1
	}
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
