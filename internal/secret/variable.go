package secret

import (
	"bytes"
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"refline/internal/errs"
)

// AnyEnvironment is the scope of a variable for all jobs.
const AnyEnvironment = "*"

// Variable is a named value and the jobs that get it.
type Variable struct {
	Name        string
	Value       Value
	Environment string // scope: an environment's name, * for any characters
	Protected   bool   // for jobs of protected refs only
	Masked      bool   // never printed in logs
	Raw         bool   // $ in the value is not expanded
	File        bool   // the job gets the path of a file that holds the value
	Description string
}

// Job is what decides which variables a job gets.
type Job struct {
	Environment  string // the job's environment, "" when it has none
	ProtectedRef bool
}

// Select returns the variables that a job gets, one of each name, by name.
//
// The rule is GitLab's (app/models/concerns/has_environment_scope.rb):
// variables whose scope matches the job's environment, of a job without
// environment those with scope *; of several with one name the exact scope
// comes first and * last. Between other scopes, where GitLab does not say, the
// one with more characters besides * comes first. Protected variables are left
// out unless the job's ref is protected.
func Select(variables []Variable, job Job) []Variable {
	chosen := make(map[string]Variable)
	for _, v := range variables {
		if v.Protected && !job.ProtectedRef || !matchesScope(v.Environment, job.Environment) {
			continue
		}
		if have, ok := chosen[v.Name]; !ok || compareScopes(v.Environment, have.Environment, job.Environment) > 0 {
			chosen[v.Name] = v
		}
	}
	out := make([]Variable, 0, len(chosen))
	for _, v := range chosen {
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func matchesScope(scope, environment string) bool {
	if environment == "" {
		return scope == AnyEnvironment
	}
	return matchesWildcard(scope, environment)
}

// compareScopes is positive when a fits environment better than b.
func compareScopes(a, b, environment string) int {
	rank := func(scope string) int {
		switch scope {
		case environment:
			return 2
		case AnyEnvironment:
			return 0
		}
		return 1
	}
	literal := func(scope string) int { return len(scope) - strings.Count(scope, "*") }
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(literal(a), literal(b)), strings.Compare(b, a))
}

// matchesWildcard reports whether name is pattern, in which * matches any
// number of any characters.
func matchesWildcard(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	if rest, ok = strings.CutSuffix(rest, last); !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		i := strings.Index(rest, part)
		if i < 0 {
			return false
		}
		rest = rest[i+len(part):]
	}
	return true
}

// ProtectedRefs says which branches and tags are protected: names, with * for
// any characters. The default branch is too, unless Only is set.
type ProtectedRefs struct {
	Branches []string
	Tags     []string
	Only     bool // these, and the default branch only if it is among them
}

// Branch reports whether a branch is protected.
func (p ProtectedRefs) Branch(name string) bool { return matchesAny(p.Branches, name) }

// Tag reports whether a tag is protected.
func (p ProtectedRefs) Tag(name string) bool { return matchesAny(p.Tags, name) }

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matchesWildcard(p, name) })
}

var (
	validName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\A[a-zA-Z0-9_]{1,255}\z`) })
	// GitLab's rule for scopes (lib/gitlab/regex.rb).
	validScope = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\A[a-zA-Z0-9_/\-*.${} ]{1,255}\z`) })
)

// Check returns an errs.Invalid when the name, the scope or the value cannot
// be those of a variable.
func (v Variable) Check() error {
	if !validName().MatchString(v.Name) {
		return errs.E(errs.Invalid, "variable %q: a name has letters, digits and _ only, at most 255", v.Name)
	}
	if !validScope().MatchString(v.Environment) {
		return errs.E(errs.Invalid, "variable %s: invalid environment scope %q; a scope has letters, digits, spaces and - _ / $ { } . *", v.Name, v.Environment)
	}
	if b := v.Value.bytes(); !utf8.Valid(b) || bytes.IndexByte(b, 0) >= 0 {
		return errs.E(errs.Invalid, "variable %s: its value is not text, which is all that an environment can hold; store its base64 and decode it in the job", v.Name)
	}
	return nil
}

// id names a variable in messages.
func (v Variable) id() string {
	if v.Environment == AnyEnvironment {
		return v.Name
	}
	return fmt.Sprintf("%s for environment %s", v.Name, v.Environment)
}
