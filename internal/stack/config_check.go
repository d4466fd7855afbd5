package stack

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"refline/internal/cfn"
	"refline/internal/diag"
)

// check finds what only the whole shows.
func (r *configReader) check(c *Config) {
	if r.source.Root.Kind != cfn.Map {
		return
	}
	empty := func(key string) bool {
		n := r.source.Root.Get(key)
		return n == nil || n.Kind == cfn.Map && len(n.Fields) == 0
	}
	if empty("stacks") {
		r.errorf(nil, "add stacks: with a template each", "the configuration has no stacks")
	}
	if empty("environments") {
		r.errorf(nil, "add environments: with an account and a region each", "the configuration has no environments")
	}
	for _, d := range c.Stacks {
		r.checkStack(c, d)
	}
	for _, e := range c.Environments {
		r.checkEnvironment(c, e)
	}
	if len(r.found) == 0 {
		r.checkCircles(c)
		r.checkNames(c)
	}
}

func (r *configReader) checkStack(c *Config, d *Definition) {
	at := cfn.Path{"stacks", d.Name}
	if !validName(d.Name) {
		r.errorf(at, "", "%q is not a stack name: a letter, then letters, digits and hyphens", d.Name)
	}
	if d.Template == "" {
		r.errorf(at, "add template: with the path of a Jsonnet, YAML or JSON file", "stack %s has no template", d.Name)
	}
	for i, name := range d.DependsOn {
		r.known("stack", name, c.stackNames(), append(slices.Clone(at), "depends_on", fmt.Sprint(i)))
	}
	for i, name := range d.Environments {
		r.known("environment", name, c.environmentNames(), append(slices.Clone(at), "environments", fmt.Sprint(i)))
	}
	r.checkOutputs(c, d.settings, at)
}

func (r *configReader) checkEnvironment(c *Config, e *Environment) {
	at := cfn.Path{"environments", e.Name}
	if !validName(e.Name) {
		r.errorf(at, "", "%q is not an environment name: a letter, then letters, digits and hyphens", e.Name)
	}
	node := r.source.At(at)
	switch {
	case !node.Has("account"):
		r.errorf(at, "add account: with the twelve digits of its id", "environment %s has no account", e.Name)
	case e.Account != "" && (len(e.Account) != 12 || strings.Trim(e.Account, "0123456789") != ""):
		r.errorf(step(at, "account"), "", "an account's id is twelve digits, not %q", e.Account)
	}
	if !node.Has("region") {
		r.errorf(at, "add region:, as eu-west-1", "environment %s has no region", e.Name)
	}
	if e.Bucket != "" && !bucketName().MatchString(e.Bucket) {
		r.errorf(step(at, "bucket"), "", "%q is not the name of a bucket: lower-case letters, digits, dots and hyphens, 3 to 63", e.Bucket)
	}
	for name, s := range e.Overrides {
		here := append(slices.Clone(at), "stacks", name)
		r.known("stack", name, c.stackNames(), here)
		r.checkOutputs(c, *s, here)
	}
	r.checkOutputs(c, settings{Parameters: e.Parameters, Tags: e.Tags}, at)
}

func (r *configReader) checkOutputs(c *Config, s settings, at cfn.Path) {
	for kind, values := range map[string][]Value{"parameters": s.Parameters, "tags": s.Tags} {
		for _, v := range values {
			if v.Output.Stack != "" {
				r.known("stack", v.Output.Stack, c.stackNames(), append(slices.Clone(at), kind, v.Key, "output"))
			}
		}
	}
}

func (r *configReader) known(what, name string, all []string, at cfn.Path) {
	if slices.Contains(all, name) {
		return
	}
	hint := fmt.Sprintf("%ss are %s", what, strings.Join(all, ", "))
	if near := diag.Nearest(name, all); near != "" {
		hint = fmt.Sprintf("did you mean %q?", near)
	}
	r.errorf(at, hint, "%q is not %s", name, map[string]string{"stack": "a stack", "environment": "an environment"}[what])
}

func (r *configReader) checkCircles(c *Config) {
	for _, e := range c.Environments {
		if circle := c.circle(e); circle != nil {
			r.errorf(cfn.Path{"stacks", circle[0]}, "", "stacks form a cycle in environment %s: %s",
				e.Name, strings.Join(circle, " → "))
			return // the same circle is in the others
		}
	}
}

// circle returns the names along one circle of needs, the first one again at the
// end, or nil.
func (c *Config) circle(e *Environment) []string {
	const visiting, done = 1, 2
	state := map[string]int{}
	var trail []string
	var visit func(name string) []string
	visit = func(name string) []string {
		switch state[name] {
		case done:
			return nil
		case visiting:
			return append(slices.Clone(trail[slices.Index(trail, name):]), name)
		}
		state[name] = visiting
		trail = append(trail, name)
		d, _ := c.Stack(name)
		for _, need := range c.needs(d, e) {
			if found := visit(need); found != nil {
				return found
			}
		}
		trail = trail[:len(trail)-1]
		state[name] = done
		return nil
	}
	for _, d := range c.Stacks {
		if d.in(e) {
			if found := visit(d.Name); found != nil {
				return found
			}
		}
	}
	return nil
}

// checkNames wants names that CloudFormation takes, and no two stacks that
// would be one.
func (r *configReader) checkNames(c *Config) {
	taken := map[string]string{}
	for _, e := range c.Environments {
		for _, d := range c.Stacks {
			if !d.in(e) {
				continue
			}
			at := cfn.Path{"stacks", d.Name}
			if r.source.At(at).Has("stack_name") {
				at = append(at, "stack_name")
			}
			name := c.Target(d, e).StackName
			if !validName(name) || len(name) > 128 {
				r.errorf(at, "placeholders are {stack}, {environment}, {region}, {account}",
					"%q is not a stack's name: a letter, then letters, digits and hyphens, at most 128", name)
				return
			}
			key := e.Account + " " + e.Region + " " + name
			if other, ok := taken[key]; ok {
				r.errorf(at, "put {environment} into stack_name", "%s in %s and %s are both %s in one account and region", d.Name, e.Name, other, name)
				return
			}
			taken[key] = d.Name + " in " + e.Name
		}
	}
}

func validName(s string) bool {
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c != '-' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

var bucketName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`) })
