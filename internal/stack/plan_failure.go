package stack

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/errs"
)

// explainFailure finds out why a change set failed, down to nested ones, and
// gives an error with a finding for each reason at the line of the source.
func (s *Session) explainFailure(ctx context.Context, stackName string, set ChangeSet, t *Target, tmpl *Template, hide *secrets) error {
	f := &failureReader{session: s, target: t, tmpl: tmpl, hide: hide, seen: map[string]bool{}}
	f.read(ctx, set, nil)
	if len(f.found) == 0 {
		f.found = diag.List{{Place: diag.Place{File: tmpl.File}, Level: diag.Error, Rule: "change-set",
			Message: "AWS could not make the change set and gives no reason"}}
	}
	return fmt.Errorf("plan %s: %w", stackName, f.found.Sort().Err())
}

// explainRefusal puts what AWS said instead of making a change set at the line
// that it speaks of.
func (s *Session) explainRefusal(stackName string, refusal error, t *Target, tmpl *Template, hide *secrets) error {
	f := &failureReader{session: s, target: t, tmpl: tmpl, hide: hide}
	f.reason(ChangeSet{Reason: refusal.Error()}, nil)
	return fmt.Errorf("plan %s: %w", stackName, f.found.Err())
}

type failureReader struct {
	session *Session
	tmpl    *Template
	target  *Target
	hide    *secrets
	seen    map[string]bool
	found   diag.List
}

func (f *failureReader) read(ctx context.Context, set ChangeSet, trail []string) {
	if f.seen[set.ARN] || nothingToChange(set) {
		return
	}
	f.seen[set.ARN] = true
	before := len(f.found)
	failures, err := f.session.Cloud.Failures(ctx, set.ARN)
	if err != nil && !errs.Is(err, errs.NotFound) {
		f.session.Notef("the reasons of early validation cannot be read: %v", err)
	}
	for _, x := range failures {
		f.failure(x, trail)
	}
	children := nestedIn(set)
	for _, child := range children {
		nested, err := f.session.Cloud.ChangeSet(ctx, child.arn)
		if err != nil {
			f.session.Notef("nested change set %s cannot be read: %v", child.arn, err)
			continue
		}
		if nested.Status == failed {
			f.read(ctx, nested, append(slices.Clone(trail), child.logicalID))
		}
	}
	if len(f.found) == before {
		f.reason(set, trail)
	}
}

// failure is one reason of the service's own list.
func (f *failureReader) failure(x Failure, trail []string) {
	message := x.Reason
	if message == "" {
		message = x.Status
	}
	level := diag.Error
	if x.Mode == "WARN" {
		level = diag.Warning
	}
	rule := "change-set"
	if x.Validation != "" {
		rule = x.Validation
	}
	subject := append(slices.Clone(trail), x.LogicalID)
	f.found = append(f.found, diag.Finding{Place: f.place(x, trail), Level: level, Rule: rule,
		Subject: strings.Join(subject, "/"), Message: f.hide.text(strings.TrimSuffix(message, ".")), Hint: hintFor(message)})
}

// place reads the path of a validation: from the template's root or from the
// resource.
func (f *failureReader) place(x Failure, trail []string) diag.Place {
	steps := strings.Split(strings.Trim(x.Path, "/"), "/")
	if len(steps) > 1 && steps[0] == "Resources" {
		x.LogicalID, steps = steps[1], steps[2:]
	}
	if x.Path == "" {
		steps = nil
	}
	if at := f.tmpl.Place(trail, x.LogicalID, steps...); !at.IsZero() {
		return at
	}
	return diag.Place{File: f.tmpl.File}
}

// reason is what the change set itself says. Texts that name a resource are
// put where it is written.
func (f *failureReader) reason(set ChangeSet, trail []string) {
	message := strings.TrimSuffix(set.Reason, ".")
	if message == "" {
		message = "AWS could not make the change set and gives no reason"
	}
	at := diag.Place{File: f.tmpl.File}
	tmpl := f.tmpl
	for _, id := range trail {
		if tmpl != nil {
			tmpl = tmpl.Nested[id]
		}
	}
	subject := trail
	if tmpl != nil {
		at = diag.Place{File: tmpl.File}
		for _, m := range bracketed().FindAllStringSubmatch(message, -1) {
			for _, section := range []string{"Resources", "Parameters", "Outputs"} {
				if tmpl.tree.At(cfn.Path{section, m[1]}) != nil {
					at, subject = tmpl.where(cfn.Path{section, m[1]}), append(slices.Clone(trail), m[1])
				}
			}
		}
	}
	if place, name := f.configured(message); len(trail) == 0 && name != "" {
		at, subject = place, []string{name}
	}
	f.found = append(f.found, diag.Finding{Place: at, Level: diag.Error, Rule: "change-set",
		Subject: strings.Join(subject, "/"), Message: f.hide.text(message), Hint: hintFor(message)})
}

// configured finds what the configuration gave that a message refuses: the value
// of a parameter, a tag, a role, a topic. The name is "" when it is none of them.
func (f *failureReader) configured(message string) (at diag.Place, name string) {
	t, c := f.target, f.session.Config
	for _, m := range bracketed().FindAllStringSubmatch(message, -1) {
		for _, v := range slices.Concat(t.Parameters, t.Common, t.Tags) {
			if v.Key == m[1] && f.tmpl.tree.At(cfn.Path{"Resources", v.Key}) == nil {
				return v.Place, v.Key
			}
		}
	}
	if t.Role != "" && strings.Contains(message, t.Role) {
		return c.settingPlace(t, "role"), "role"
	}
	for i, topic := range t.Notifications {
		if strings.Contains(message, topic) {
			return c.settingPlace(t, "notifications", strconv.Itoa(i)), "notifications"
		}
	}
	if len(t.Capabilities) > 0 && strings.Contains(message, "Requires capabilities") {
		return c.settingPlace(t, "capabilities"), "capabilities"
	}
	return diag.Place{}, ""
}

// bracketed matches the names in AWS's sentences: [Bucket], 'Bucket'.
var bracketed = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[\['"]([A-Za-z0-9]+)[\]'"]`) })

type nestedRef struct{ logicalID, arn string }

// nestedIn lists the change sets below one: those of its changes, else those
// that its reason names.
func nestedIn(set ChangeSet) []nestedRef {
	var out []nestedRef
	for _, c := range set.Changes {
		if c.ChangeSet != "" {
			out = append(out, nestedRef{c.LogicalID, c.ChangeSet})
		}
	}
	for _, arn := range changeSetARN().FindAllString(set.Reason, -1) {
		if arn != set.ARN && !slices.ContainsFunc(out, func(r nestedRef) bool { return r.arn == arn }) {
			out = append(out, nestedRef{"", arn})
		}
	}
	return out
}

var changeSetARN = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`arn:[a-z-]+:cloudformation:[a-z0-9-]+:\d+:changeSet/[A-Za-z0-9-]+/[A-Za-z0-9-]+`)
})

// hintFor knows a way out of common reasons.
func hintFor(message string) string {
	switch {
	case strings.Contains(message, "CAPABILITY_"), strings.Contains(message, "Requires capabilities"):
		return "add it to capabilities: of the stack"
	case strings.Contains(message, "already exists"):
		return "give it another name, delete the one that exists, or take it in: refline stack plan --import-existing"
	}
	return ""
}
