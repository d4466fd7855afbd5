package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// maxCommon is how long a value is at most that people write by chance.
const maxCommon = 24

// LooksCommon says why a value looks like ordinary text, such as a word or a
// number; "" if it does not. Such a value is masked all the same, wherever it is
// printed, and each masked place then shows what it is. The strings of JSON are
// not checked: most such files hold some that are not secrets.
func LooksCommon(value []byte) string {
	value = bytes.TrimSpace(value)
	letters, capitals, digits, points := 0, 0, 0, 0
	for i, r := range string(value) {
		switch {
		case r >= 'A' && r <= 'Z':
			letters++
			if i > 0 {
				capitals++
			}
		case r >= 'a' && r <= 'z' || r >= utf8.RuneSelf:
			letters++
		case r >= '0' && r <= '9':
			digits++
		case bytes.ContainsRune([]byte("-_./: "), r):
			points++
		}
	}
	switch all := utf8.RuneCount(value); {
	case all > maxCommon || all == 0:
		return ""
	case digits+points == all:
		return "it is a number, which ordinary output contains"
	case letters+points == all && (capitals == 0 || capitals+1 >= letters):
		return "it looks like ordinary text"
	}
	return ""
}

// ShortStrings names the strings of a value in JSON that are too short to be
// masked: .database.password, .keys[2]. They are in order.
func ShortStrings(value []byte) []string {
	value = bytes.TrimSpace(value)
	if len(value) == 0 || value[0] != '{' && value[0] != '[' {
		return nil
	}
	var tree any
	if json.Unmarshal(value, &tree) != nil {
		return nil
	}
	var short []string
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case string:
			if len(v) > 0 && len(v) < MinSecret {
				short = append(short, path)
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		case map[string]any:
			for k, e := range v {
				walk(path+"."+k, e)
			}
		}
	}
	walk("", tree)
	slices.Sort(short)
	return short
}
