package lint

import (
	"net/netip"
	"slices"

	"refline/internal/cfn"
)

// network is a range of addresses of a VPC or subnet, where it is written, and
// when it holds.
type network struct {
	prefix netip.Prefix
	at     place
	conds  *assumption
}

// networksOf gives the ranges of a VPC, subnet or further range of a VPC. open
// is true when there is one that is not written out.
func (e *engine) networksOf(sc *scope, at place, props *cfn.Node) (list []network, open bool) {
	for _, key := range []string{"Ipv4IpamPoolId", "Ipv6IpamPoolId", "Ipv6Pool", "AmazonProvidedIpv6CidrBlock"} {
		for _, f := range e.follow(sc, at, props, []string{key}) {
			open = open || f.value != nil
		}
		open = open || props.Has(key)
	}
	for _, key := range []string{"CidrBlock", "Ipv6CidrBlock"} {
		if !props.Has(key) {
			continue
		}
		found := e.follow(sc, at, props, []string{key})
		open = open || len(found) == 0
		for _, f := range found {
			if f.value == nil {
				continue
			}
			p, err := netip.ParsePrefix(f.value.Text)
			if !f.value.IsString() || err != nil || p.Masked() != p {
				open = true
				continue
			}
			list = append(list, network{p, f.at, f.scope.conds})
		}
	}
	return list, open
}

// networks checks that subnets lie in their VPC (E3059) and apart from each
// other (E3060).
func (e *engine) networks() {
	type group struct {
		vpc, subnets []network
		open         bool
	}
	groups := map[string]*group{}
	get := func(key string) *group {
		if groups[key] == nil {
			groups[key] = &group{}
		}
		return groups[key]
	}
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		var conds *assumption
		if r.condition != "" {
			conds = &assumption{name: r.condition, value: true, hard: true}
		}
		sc := &scope{functions: fnValues, conds: conds, regions: e.regions}
		switch r.kind {
		case "AWS::EC2::VPC":
			list, open := e.networksOf(sc, at, props)
			g := get("\x00" + r.name)
			g.vpc, g.open = append(g.vpc, list...), g.open || open
		case "AWS::EC2::VPCCidrBlock", "AWS::EC2::Subnet":
			vpc := props.Get("VpcId")
			name, ok := referenced(vpc)
			key := "\x00" + name
			if !ok {
				if !vpc.IsString() {
					return
				}
				key = vpc.Text
			}
			list, open := e.networksOf(sc, at, props)
			g := get(key)
			if r.kind == "AWS::EC2::Subnet" {
				g.subnets = append(g.subnets, list...)
			} else {
				g.vpc, g.open = append(g.vpc, list...), g.open || open
			}
		}
	})
	for _, g := range groups {
		e.subnetsInside(g.subnets, g.vpc, g.open)
		e.subnetsApart(g.subnets)
	}
}

func (e *engine) subnetsInside(subnets, vpc []network, open bool) {
	if open || !slices.ContainsFunc(vpc, func(n network) bool { return n.prefix.Addr().Is4() }) {
		return
	}
	for _, s := range subnets {
		inside := slices.ContainsFunc(vpc, func(v network) bool {
			return v.prefix.Addr().Is4() == s.prefix.Addr().Is4() && v.prefix.Bits() <= s.prefix.Bits() && v.prefix.Contains(s.prefix.Addr())
		})
		if !inside {
			e.add("E3059", s.at.path, s.prefix.String()+" is not in the ranges of its VPC", "")
		}
	}
}

func (e *engine) subnetsApart(subnets []network) {
	for i, s := range subnets {
		for _, other := range subnets[:i] {
			if s.prefix.Overlaps(other.prefix) && e.together(s.conds, other.conds) {
				e.add("E3060", s.at.path.parent, s.prefix.String()+" overlaps with "+other.prefix.String()+" of another subnet of the VPC", "")
			}
		}
	}
}

// privateNames finds endpoints that claim the same private name (E3064).
func (e *engine) privateNames() {
	type claim struct {
		at    *step
		conds *assumption
	}
	seen := map[string][]claim{}
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		if r.kind != "AWS::EC2::VPCEndpoint" {
			return
		}
		var conds *assumption
		if r.condition != "" {
			conds = &assumption{name: r.condition, value: true, hard: true}
		}
		for _, v := range e.cases(&scope{functions: fnValues, conds: conds, regions: e.regions}, props) {
			kind, private := v.value.Get("VpcEndpointType"), v.value.Get("PrivateDnsEnabled")
			vpc, service := v.value.Get("VpcId"), v.value.Get("ServiceName")
			if !kind.IsString() || kind.Text != "Interface" || private == nil || private.Kind != cfn.Bool || !private.Bool() || vpc == nil || service == nil {
				continue
			}
			key := canonical(vpc) + canonical(service)
			for _, other := range seen[key] {
				if other.at != at.path && e.together(other.conds, v.scope.conds) {
					e.add("E3064", at.path, "another endpoint already has the private DNS names of this service in this VPC", "")
					break
				}
			}
			seen[key] = append(seen[key], claim{at.path, v.scope.conds})
		}
	})
}

// routeTables finds subnets that two route tables claim (E3022).
func (e *engine) routeTables() {
	type claim struct {
		r     *resource
		at    *step
		conds *assumption
	}
	subnets := map[string][]claim{}
	e.eachResource(func(r *resource, at place, props *cfn.Node) {
		if r.kind != "AWS::EC2::SubnetRouteTableAssociation" || !props.Has("SubnetId") {
			return
		}
		var conds *assumption
		if r.condition != "" {
			conds = &assumption{name: r.condition, value: true, hard: true}
		}
		id := at.key(props.Fields[fieldIndex(props, "SubnetId")])
		for _, f := range e.follow(&scope{functions: fnValues, conds: conds}, at, props, []string{"SubnetId"}) {
			if f.value != nil {
				key := canonical(f.value)
				subnets[key] = append(subnets[key], claim{r, id.path, f.scope.conds})
			}
		}
	})
	for _, list := range subnets {
		for _, a := range list {
			for _, b := range list {
				// If one of two is optional, report that one.
				if a.r != b.r && e.together(a.conds, b.conds) && e.allImplied(a.conds, b.conds) {
					e.add("E3022", a.at, "this subnet already has a route table, through "+b.r.name, "")
				}
			}
		}
	}
}

// instanceImage checks that an instance has an image, of its own or of its
// launch template (E3673).
func instanceImage(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, image := range e.follow(sc, at, n, []string{"ImageId"}) {
		if image.value != nil && (!image.value.IsString() || image.value.Text != "") {
			continue
		}
		missing := true
		for _, key := range []string{"LaunchTemplateId", "LaunchTemplateName"} {
			for _, t := range e.follow(image.scope, at, n, []string{"LaunchTemplate", key}) {
				name, ok := referenced(t.value)
				r := e.resources[name]
				switch {
				case t.value == nil:
				case ok && r != nil && r.kind == "AWS::EC2::LaunchTemplate":
					data := r.node.Get("Properties").Get("LaunchTemplateData")
					missing = missing && !data.Has("ImageId") && data != nil
				default:
					missing = false
				}
			}
		}
		if lt := n.Get("LaunchTemplate"); lt != nil {
			if bit, _ := anyFunction(lt); bit != 0 && bit != fnIf {
				missing = false
			}
		}
		if missing {
			wrong(b, image.at.path, `"ImageId" is required`, "", out)
		}
	}
}
