package gitlabci

import (
	"math"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// scalar is a plain scalar after resolution. refused names the Ruby class that
// Psych would need for it and that GitLab does not permit; symbol says that
// Psych reads a symbol, whose text lacks the leading colon.
type scalar struct {
	kind    kind
	text    string
	num     float64
	truth   bool
	symbol  bool
	refused string
}

// plainScalar resolves an unquoted scalar as Psych 4 and 5 do (YAML 1.1 with
// Ruby's own turns: commas in numbers, no exponent without a sign, base 60).
func plainScalar(s string) scalar {
	if s == "" {
		return scalar{kind: nullNode}
	}
	if strings.Contains(s, "\n") || isWord(s) {
		return wordScalar(s)
	}
	switch c := s[0]; {
	case c == ':' && len(s) > 1:
		return scalar{kind: stringNode, text: symbolText(s), symbol: true}
	case c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.':
		return numberScalar(s)
	}
	return scalar{kind: stringNode, text: s}
}

// isWord reports whether Psych looks at s as text before it tries numbers.
func isWord(s string) bool {
	first, second := rune(-1), rune(-1)
	for i, r := range s {
		if i == 0 {
			first = r
			continue
		}
		second = r
		break
	}
	if isWordRune(first) {
		return true
	}
	return !strings.ContainsRune("0123456789.:-", first) && second >= 0 && isWordRune(second)
}

func isWordRune(r rune) bool {
	if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return true
	}
	if r >= '0' && r <= '9' {
		return false
	}
	return unicode.IsLetter(r) || unicode.IsSpace(r) || strings.ContainsRune(`_!@#$%^&*(){}<>|/\~;=`, r)
}

func wordScalar(s string) scalar {
	if len(s) <= 5 {
		switch strings.ToLower(s) {
		case "~", "null":
			return scalar{kind: nullNode}
		case "yes", "true", "on":
			return scalar{kind: boolNode, text: "true", truth: true}
		case "no", "false", "off":
			return scalar{kind: boolNode, text: "false"}
		}
	}
	return scalar{kind: stringNode, text: s}
}

func symbolText(s string) string {
	if q := s[1]; q == '"' || q == '\'' {
		if end := strings.LastIndexByte(s, q); end > 1 {
			return strings.TrimPrefix(s[2:end], ":")
		}
	}
	return s[1:]
}

type numberPatterns struct {
	time, date, base60, base60Float, float, integer *regexp.Regexp
}

var numbers = sync.OnceValue(func() numberPatterns {
	return numberPatterns{
		time:        regexp.MustCompile(`^-?\d{4}-\d{1,2}-\d{1,2}(?:[Tt]|\s+)\d{1,2}:\d\d:\d\d(?:\.\d*)?(?:\s*(?:Z|[-+]\d{1,2}:?(?:\d\d)?))?$`),
		date:        regexp.MustCompile(`^\d{4}-(?:1[012]|0\d|\d)-(?:[12]\d|3[01]|0\d|\d)$`),
		base60:      regexp.MustCompile(`^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}$`),
		base60Float: regexp.MustCompile(`^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9]){1,2}\.[0-9_]*$`),
		float:       regexp.MustCompile(`^[-+]?(?:[0-9][0-9_,]*)?\.[0-9]*(?:[eE][+-][0-9]+)?$`),
		integer: regexp.MustCompile(`^(?:[-+]?0b[01_,]+|[-+]?0[0-7_,]+` +
			`|[-+]?(?:0|[1-9](?:[0-9]|,[0-9]|_[0-9])*)|[-+]?0x[0-9a-fA-F_,]+)$`),
	}
})

// mayBeNumber is false for most texts that start like a number: versions with a
// word in them, options, paths.
func mayBeNumber(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		case strings.IndexByte(" \t_,.:+-xinTtZIN", c) >= 0:
		default:
			return false
		}
	}
	return true
}

func numberScalar(s string) scalar {
	text := scalar{kind: stringNode, text: s}
	if !mayBeNumber(s) {
		return text
	}
	switch strings.ToLower(s) {
	case ".inf", "+.inf":
		return scalar{kind: floatNode, text: "Infinity", num: math.Inf(1)}
	case "-.inf":
		return scalar{kind: floatNode, text: "-Infinity", num: math.Inf(-1)}
	case ".nan":
		return scalar{kind: floatNode, text: "NaN", num: math.NaN()}
	case ".", "+.", "-.":
		return text
	}
	p := numbers()
	switch {
	case p.time.MatchString(s):
		return scalar{refused: "Time", kind: stringNode, text: s}
	case p.date.MatchString(s):
		return scalar{refused: "Date", kind: stringNode, text: s}
	case p.base60.MatchString(s):
		return base60Scalar(s)
	case p.base60Float.MatchString(s):
		return base60FloatScalar(s)
	case p.float.MatchString(s):
		return floatScalar(s)
	case p.integer.MatchString(s):
		return intScalar(s)
	}
	return text
}

// base60Scalar weighs the parts as Psych does: the first always by 3600, so
// that 1:30 is 5400.
func base60Scalar(s string) scalar {
	sum := new(big.Int)
	for i, part := range strings.Split(s, ":") {
		n, ok := new(big.Int).SetString(strings.ReplaceAll(strings.TrimPrefix(part, "+"), "_", ""), 10)
		if !ok {
			return scalar{kind: stringNode, text: s}
		}
		sum.Add(sum, n.Mul(n, big.NewInt([]int64{3600, 60, 1}[i])))
	}
	return bigScalar(sum)
}

func base60FloatScalar(s string) scalar {
	sum := 0.0
	for i, part := range strings.Split(s, ":") {
		n, err := strconv.ParseFloat(strings.ReplaceAll(strings.TrimSuffix(part, "."), "_", ""), 64)
		if err != nil {
			return scalar{kind: stringNode, text: s}
		}
		sum += n * []float64{3600, 60, 1}[i]
	}
	return scalar{kind: floatNode, text: rubyFloat(sum), num: sum}
}

// digits drops what may stand between the digits of a number.
func digits(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, ",", ""), "_", "")
}

func floatScalar(s string) scalar {
	n, err := strconv.ParseFloat(digits(s), 64)
	if err != nil && !math.IsInf(n, 0) {
		return scalar{kind: stringNode, text: s}
	}
	return scalar{kind: floatNode, text: rubyFloat(n), num: n}
}

func intScalar(s string) scalar {
	n, ok := new(big.Int).SetString(digits(s), 0)
	if !ok {
		return scalar{kind: stringNode, text: s}
	}
	return bigScalar(n)
}

func bigScalar(n *big.Int) scalar {
	f, _ := new(big.Float).SetInt(n).Float64()
	return scalar{kind: intNode, text: n.String(), num: f}
}

// rubyFloat writes f as Ruby's Float#to_s does.
func rubyFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	exp := 0
	if f != 0 {
		s := strconv.FormatFloat(f, 'e', -1, 64)
		exp, _ = strconv.Atoi(s[strings.IndexByte(s, 'e')+1:])
	}
	if exp >= -4 && exp < 16 {
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	}
	s := strconv.FormatFloat(f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	return mantissa + "e" + exponent
}
