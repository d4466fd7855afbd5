package stack

import "slices"

// Overview is which stacks go to which environments, and what a ref does there.
type Overview struct {
	File         string
	Stacks       []string // in the order of the configuration
	Environments []EnvironmentOverview
}

// EnvironmentOverview is one environment of an [Overview].
type EnvironmentOverview struct {
	Name      string            `json:"name"`
	Account   string            `json:"account"`
	Region    string            `json:"region"`
	Protected bool              `json:"protected"`
	Refs      []string          `json:"refs"`
	Mode      Mode              `json:"does"`   // what the ref does here
	Stacks    map[string]string `json:"stacks"` // configured name → name in CloudFormation
	Order     []string          `json:"order"`  // of deployment
}

// Overview describes one environment, or all of them for "".
func (c *Config) Overview(env string, ref Ref) Overview {
	o := Overview{File: c.File, Stacks: c.stackNames()}
	for _, e := range c.Environments {
		if env != "" && e.Name != env {
			continue
		}
		item := EnvironmentOverview{Name: e.Name, Account: e.Account, Region: e.Region, Protected: e.Protected,
			Refs: []string{}, Mode: ModeLint, Stacks: map[string]string{}, Order: []string{}}
		for _, r := range e.Refs {
			item.Refs = append(item.Refs, r.String())
		}
		for _, s := range c.Select(ref) {
			if s.Env == e {
				item.Mode = s.Mode
			}
		}
		for _, d := range c.ordered(e) {
			item.Stacks[d.Name] = c.Target(d, e).StackName
			item.Order = append(item.Order, d.Name)
		}
		o.Environments = append(o.Environments, item)
	}
	return o
}

// Everywhere returns the chosen stacks of an environment, or of all of them for "":
// what needs no account works anywhere.
func (c *Config) Everywhere(env string, ref Ref, names []string) ([]*Target, error) {
	if env != "" {
		_, targets, err := c.Choose(env, ref, names)
		return targets, err
	}
	var all []*Target
	known := map[string]bool{}
	for _, e := range c.Environments {
		for _, d := range c.ordered(e) {
			known[d.Name] = true
			if len(names) == 0 || slices.Contains(names, d.Name) {
				all = append(all, c.Target(d, e))
			}
		}
	}
	for _, name := range names {
		if !known[name] { // reported as everywhere else
			_, _, err := c.Choose(c.Environments[0].Name, ref, []string{name})
			return nil, err
		}
	}
	return all, nil
}
