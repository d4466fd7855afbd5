package pythoninputs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Words are what gives values to a command line with these inputs: flags in the order
// of the inputs, then what has its place. The values are checked.
func Words(inputs []Input, given map[string]string) []string {
	var flags, places []string
	separate := false // a flag may take any number of words
	last := lastPlace(inputs, given)
	for n, in := range inputs {
		value, ok := given[in.Name]
		switch {
		case in.Positional && !ok && n < last:
			text, _ := in.DefaultText()
			places = append(places, text)
		case in.Positional && ok:
			places = append(places, in.words(value)...)
		case in.Flag != "" && ok:
			flags = append(flags, in.flagWords(value)...)
			separate = separate || in.Words != 0
		}
	}
	if len(places) > 0 && (separate || slices.ContainsFunc(places, func(w string) bool { return strings.HasPrefix(w, "-") })) {
		flags = append(flags, "--")
	}
	return append(flags, places...)
}

// CheckPlaces names an input that has no place for its value, and why: there is one without a
// value before it, and no default that could be written there. Both are "" otherwise.
func CheckPlaces(inputs []Input, given map[string]string) (name, wrong string) {
	last := lastPlace(inputs, given)
	for n, in := range inputs {
		if _, ok := given[in.Name]; in.Positional && !ok && n < last && !in.Needed() {
			if text, known := in.DefaultText(); !known || text == "" {
				return inputs[last].Name, fmt.Sprintf("input %q needs a value for %q, which comes before it", inputs[last].Name, in.Name)
			}
		}
	}
	return "", ""
}

// lastPlace is the index of the last input with a place and a value, -1 without one.
func lastPlace(inputs []Input, given map[string]string) int {
	last := -1
	for n, in := range inputs {
		if _, ok := given[in.Name]; in.Positional && ok {
			last = n
		}
	}
	return last
}

func (i Input) flagWords(value string) []string {
	switch {
	case i.Switch && value == "true":
		return []string{i.Flag}
	case i.Switch:
		if i.Off == "" {
			return nil
		}
		return []string{i.Off}
	case i.Repeat && i.Type == TypeInteger:
		n, _ := strconv.Atoi(value)
		return slices.Repeat([]string{i.Flag}, min(max(n, 0), maxInputs))
	case i.Repeat:
		var out []string
		for _, w := range i.words(value) {
			out = append(out, i.join(w)...)
		}
		return out
	case i.Words != 0:
		return append([]string{i.Flag}, i.words(value)...)
	}
	return i.join(value)
}

// join writes a flag and its value so that the value may begin with "-".
func (i Input) join(value string) []string {
	switch {
	case strings.HasPrefix(i.Flag, "--"):
		return []string{i.Flag + "=" + value}
	case value == "":
		return []string{i.Flag, value}
	}
	return []string{i.Flag + value}
}

// words are the elements of a list, or the value itself.
func (i Input) words(value string) []string {
	if i.Type != TypeList {
		return []string{value}
	}
	list, _ := i.elements(value)
	return list
}
