package pythoninputs

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Check reports what is wrong with a value of the input; "" if nothing is. Of an
// expression that Go does not know nothing is said: the script checks it.
func (i Input) Check(value string) string {
	if i.Optional && (value == "" || value == "null") {
		return ""
	}
	if len(i.Options) > 0 && !slices.Contains(i.Options, value) {
		return fmt.Sprintf("%q is not one of %s", value, strings.Join(i.Options, ", "))
	}
	switch i.Type {
	case TypeInteger:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return fmt.Sprintf("%q is not a whole number", value)
		}
		if i.Repeat && (n < 0 || n > maxInputs) {
			return fmt.Sprintf("%d is not between 0 and %d", n, maxInputs)
		}
		return i.bounds(float64(n))
	case TypeNumber:
		n, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(n) || math.IsInf(n, 0) {
			return fmt.Sprintf("%q is not a number", value)
		}
		return i.bounds(n)
	case TypeBoolean:
		if value != "true" && value != "false" {
			return fmt.Sprintf("%q is not true or false", value)
		}
	case TypeDate:
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			return fmt.Sprintf("%q is not a date such as 2026-11-22", value)
		}
	case TypeDatetime:
		return checkTime(value)
	case TypeList:
		if list, ok := i.elements(value); !ok {
			return fmt.Sprintf(`%q is not a list such as ["a", "b"]`, value)
		} else if i.Words > 0 && len(list) != i.Words {
			return fmt.Sprintf("%q has not %d elements", value, i.Words)
		}
	case TypeJSON:
		if !json.Valid([]byte(value)) {
			return fmt.Sprintf("%q is not JSON", value)
		}
	}
	if i.Regex != "" {
		if re, err := regexp.Compile(i.Regex); err == nil && !re.MatchString(value) {
			return fmt.Sprintf("%q does not match %s", value, i.Regex)
		}
	}
	return ""
}

func checkTime(value string) string {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if _, err := time.Parse(layout, value); err == nil {
			return ""
		}
	}
	return fmt.Sprintf("%q is not a time such as 2026-11-22T06:00:00+01:00", value)
}

func (i Input) bounds(n float64) string {
	switch {
	case i.Min != nil && (n < *i.Min || i.MinOpen && n == *i.Min):
		return fmt.Sprintf("%v is less than %v allows", n, bound(">", *i.Min, i.MinOpen))
	case i.Max != nil && (n > *i.Max || i.MaxOpen && n == *i.Max):
		return fmt.Sprintf("%v is more than %v allows", n, bound("<", *i.Max, i.MaxOpen))
	}
	return ""
}

func bound(sign string, n float64, open bool) string {
	if !open {
		sign += "="
	}
	return sign + " " + strconv.FormatFloat(n, 'g', -1, 64)
}

// Needed reports whether there is no run without a value.
func (i Input) Needed() bool { return !i.HasDefault }

// elements reads a list. What a command line takes several times may also be given as
// one element.
func (i Input) elements(value string) (list []string, ok bool) {
	var raw []json.RawMessage
	if json.Unmarshal([]byte(value), &raw) != nil {
		return []string{value}, i.Command() && !strings.HasPrefix(value, "[")
	}
	for _, r := range raw {
		var text string
		if json.Unmarshal(r, &text) != nil {
			text = string(r)
		}
		list = append(list, text)
	}
	return list, true
}

// Find returns the flow of that name or function; without a name the one that is
// certainly meant.
func (s *Script) Find(name string) (Flow, bool) {
	if name == "" {
		name = s.Chosen
	}
	for _, f := range s.Flows {
		if name != "" && f.Function == name {
			return f, true
		}
	}
	for _, f := range s.Flows {
		if name != "" && f.Name == name {
			return f, true
		}
	}
	return Flow{}, false
}

// Names are the functions of the flows.
func (s *Script) Names() []string {
	names := make([]string, len(s.Flows))
	for i, f := range s.Flows {
		names[i] = f.Function
	}
	return names
}

// DefaultText is the default as an input is given, if it is a literal: None is not a text.
func (i Input) DefaultText() (string, bool) {
	if !i.HasDefault || len(i.Default) == 0 {
		return "", false
	}
	var text string
	if json.Unmarshal(i.Default, &text) == nil { // null too
		return text, true
	}
	return string(i.Default), true
}
