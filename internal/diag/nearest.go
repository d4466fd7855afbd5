package diag

import "strings"

// maxName is the length of the longest name that is compared with others.
const maxName = 100

// Nearest returns the name that a wrong one probably means: the nearest with at
// most a third of its letters different; "" if there is none.
func Nearest(wrong string, names []string) string {
	if len(wrong) > maxName {
		return ""
	}
	best, least := "", min(max(1, len(wrong)/3)+1, len(wrong))
	for _, name := range names {
		if name == wrong || len(name) >= len(wrong)+least || len(wrong) >= len(name)+least {
			continue
		}
		if d := editDistance(strings.ToLower(wrong), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func editDistance(a, b string) int {
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
