package graphview

import (
	"encoding/xml"
	"strconv"
	"strings"
)

// num formats a coordinate with at most one decimal.
func num(f float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
}

// escape makes text safe in XML. Characters that XML does not allow become �.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder never fails
	return b.String()
}

// textWidth estimates the width of text in a sans-serif font; it errs on the wide
// side.
func textWidth(text string, size float64) float64 {
	em := 0.0
	for _, r := range text {
		switch {
		case strings.ContainsRune("iIjl.,:;'|!()[]{} ", r):
			em += 0.36
		case strings.ContainsRune("mwMW@%—", r):
			em += 0.95
		case r >= 'A' && r <= 'Z':
			em += 0.72
		case r >= 0x1100:
			em += 1.05
		default:
			em += 0.61
		}
	}
	return em * size
}

// fit shortens a text that is wider than width in the middle, because the
// instances of a matrix differ at their ends.
func fit(text string, width float64) string {
	if textWidth(text, fontSize) <= width {
		return text
	}
	runes := []rune(text)
	half := len(runes) / 2
	for half > 1 && textWidth(string(runes[:half])+"…"+string(runes[len(runes)-half:]), fontSize) > width {
		half--
	}
	return string(runes[:half]) + "…" + string(runes[len(runes)-half:])
}
