package diag

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
)

// The fields of GitLab's Code Quality report.
type (
	qualityIssue struct {
		Description string          `json:"description"`
		Check       string          `json:"check_name"`
		Fingerprint string          `json:"fingerprint"`
		Severity    string          `json:"severity"`
		Location    qualityLocation `json:"location"`
	}
	qualityLocation struct {
		Path  string       `json:"path"`
		Lines qualityLines `json:"lines"`
	}
	qualityLines struct {
		Begin int `json:"begin"`
	}
)

// codeQuality returns GitLab's report. A fingerprint does not contain the line, so
// that a finding stays the same when lines move; equal findings are numbered.
func codeQuality(l List) []qualityIssue {
	out := make([]qualityIssue, 0, len(l))
	seen := map[string]int{}
	for _, f := range l {
		key := strings.Join([]string{uri(f.File), f.Rule, f.Subject, f.Message}, "\x00")
		seen[key]++
		sum := sha256.Sum256([]byte(key + "\x00" + strconv.Itoa(seen[key])))
		severity := "info"
		switch f.Level {
		case Error:
			severity = "major"
		case Warning:
			severity = "minor"
		}
		check := f.Rule
		if check == "" {
			check = "refline"
		}
		out = append(out, qualityIssue{
			Description: message(f), Check: check, Fingerprint: hex.EncodeToString(sum[:16]), Severity: severity,
			Location: qualityLocation{uri(f.File), qualityLines{max(f.Line, 1)}},
		})
	}
	return out
}
