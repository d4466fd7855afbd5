package stack

import (
	"slices"
	"strings"

	"refline/internal/cfn"
	"refline/internal/diag"
	"refline/internal/jsonnet"
)

// Config is what a repository says of its stacks. It was checked as a whole:
// names refer to what exists, and dependencies have no circle.
type Config struct {
	File         string // as the user named it, relative to the repository
	Stacks       []*Definition
	Environments []*Environment
	// Stateful are resource types that hold data, in addition to the known ones.
	Stateful []string
	// Rules is the path of a file of review rules, or "".
	Rules string

	source *cfn.Template // nil when there is no configuration
}

// Definition is a stack as configured, before an environment is chosen.
type Definition struct {
	Name      string
	Template  string            // path from the configuration's folder
	Written   diag.Place        // of the template's path
	Libraries []string          // Jsonnet search paths
	External  []jsonnet.Binding // external variables
	Arguments []jsonnet.Binding // top-level arguments
	StackName string            // with {stack}, {environment}, {region}, {account}
	// Environments are those the stack is in; empty is all.
	Environments []string
	DependsOn    []string
	settings
	Place diag.Place
}

// settings are what an environment may set or override.
type settings struct {
	Parameters            []Value
	Tags                  []Value
	Capabilities          []string
	Role                  string // service role that CloudFormation works with
	Notifications         []string
	StackPolicy           string // path of a JSON or Jsonnet file
	OnFailure             string // rollback (default), keep, delete
	TerminationProtection *bool
	RetainExceptOnCreate  *bool // delete what a failed creation made, even if it is to be retained
}

// Value is a parameter or tag and where its value comes from: Text, or the one
// that is set of the others.
type Value struct {
	Key      string
	Text     string
	Output   OutputRef
	Env      string // an environment variable
	Public   bool   // what Env has is not a secret
	Previous bool   // keep what the stack has
	Place    diag.Place
}

// OutputRef names an output of another stack of the same environment.
type OutputRef struct {
	Stack, Key string
}

// Environment is one place that stacks are deployed to.
type Environment struct {
	Name       string
	Refs       []RefRule
	Account    string // twelve digits
	Region     string
	Profile    string
	Role       string // role to assume
	ExternalID string
	Bucket     string // staging bucket, or ""
	Prefix     string // of the keys in it
	KMSKey     string
	Protected  bool
	PlanCommit CommitRule // which commits a deployed plan may be of
	Parameters []Value    // for every stack whose template declares them
	Tags       []Value    // for every stack
	Overrides  map[string]*settings
	Place      diag.Place
}

// Access says how the environment's account is reached.
func (e *Environment) Access() Access {
	return Access{Region: e.Region, Profile: e.Profile, Role: e.Role, ExternalID: e.ExternalID, Session: "refline-" + e.Name}
}

// Environment finds an environment by name.
func (c *Config) Environment(name string) (*Environment, bool) {
	for _, e := range c.Environments {
		if e.Name == name {
			return e, true
		}
	}
	return nil, false
}

// Stack finds a stack by name.
func (c *Config) Stack(name string) (*Definition, bool) {
	for _, d := range c.Stacks {
		if d.Name == name {
			return d, true
		}
	}
	return nil, false
}

func (c *Config) stackNames() []string {
	names := make([]string, len(c.Stacks))
	for i, d := range c.Stacks {
		names[i] = d.Name
	}
	return names
}

func (c *Config) environmentNames() []string {
	names := make([]string, len(c.Environments))
	for i, e := range c.Environments {
		names[i] = e.Name
	}
	return names
}

// Target is a stack in an environment: everything of both, merged.
type Target struct {
	*Definition
	Env       *Environment
	StackName string
	settings  // the definition's with the environment's overrides
	// Common are the environment's parameters, given where a template declares
	// them.
	Common []Value
}

// Target merges a stack with an environment. The later of these wins, key by
// key: the environment, the stack, the environment's override for the stack.
func (c *Config) Target(d *Definition, e *Environment) *Target {
	t := &Target{Definition: d, Env: e, settings: d.settings, Common: e.Parameters}
	t.Tags = overlay(e.Tags, d.Tags)
	if o := e.Overrides[d.Name]; o != nil {
		t.settings = t.with(o)
	}
	if t.TerminationProtection == nil && e.Protected {
		t.TerminationProtection = &e.Protected
	}
	t.StackName = strings.NewReplacer("{stack}", d.Name, "{environment}", e.Name,
		"{region}", e.Region, "{account}", e.Account).Replace(d.StackName)
	return t
}

func (s settings) with(o *settings) settings {
	s.Parameters = overlay(s.Parameters, o.Parameters)
	s.Tags = overlay(s.Tags, o.Tags)
	if o.Capabilities != nil {
		s.Capabilities = o.Capabilities
	}
	if o.Notifications != nil {
		s.Notifications = o.Notifications
	}
	for _, f := range []struct{ to, from *string }{
		{&s.Role, &o.Role}, {&s.StackPolicy, &o.StackPolicy}, {&s.OnFailure, &o.OnFailure},
	} {
		if *f.from != "" {
			*f.to = *f.from
		}
	}
	if o.TerminationProtection != nil {
		s.TerminationProtection = o.TerminationProtection
	}
	if o.RetainExceptOnCreate != nil {
		s.RetainExceptOnCreate = o.RetainExceptOnCreate
	}
	return s
}

func overlay(under, over []Value) []Value {
	out := slices.Clone(under)
	for _, v := range over {
		if i := slices.IndexFunc(out, func(x Value) bool { return x.Key == v.Key }); i >= 0 {
			out[i] = v
		} else {
			out = append(out, v)
		}
	}
	return out
}

// in reports whether the stack is deployed to environment e.
func (d *Definition) in(e *Environment) bool {
	return len(d.Environments) == 0 || slices.Contains(d.Environments, e.Name)
}

// needs are the stacks that must be deployed before this one in e: named ones
// and those whose outputs are parameters or tags.
func (c *Config) needs(d *Definition, e *Environment) []string {
	var out []string
	add := func(name string) {
		if other, ok := c.Stack(name); ok && other.in(e) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, name := range d.DependsOn {
		add(name)
	}
	t := c.Target(d, e)
	for _, v := range slices.Concat(t.Parameters, t.Tags) {
		if v.Output.Stack != "" {
			add(v.Output.Stack)
		}
	}
	return out
}
