package lint

import "refline/internal/cfn"

// dynamicPorts checks that a container whose host port is chosen at run time is
// asked for its health at the port of the traffic (E3049).
func dynamicPorts(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	for _, task := range e.follow(sc, at, n, []string{"TaskDefinition"}) {
		name, ok := referenced(task.value)
		definition := e.resources[name]
		if !ok || definition == nil || definition.kind != "AWS::ECS::TaskDefinition" {
			continue
		}
		for _, lb := range e.follow(task.scope, at, n, []string{"LoadBalancers", "*"}) {
			container, port := lb.value.Get("ContainerName"), lb.value.Get("ContainerPort")
			if !container.IsString() || port == nil || !single(port) || !e.chosenAtRunTime(task.scope, definition, container.Text, textOf(port)) {
				continue
			}
			for _, group := range e.follow(lb.scope, lb.at, lb.value, []string{"TargetGroupArn"}) {
				e.trafficPort(b, group.scope, group.value, out)
			}
		}
	}
}

// chosenAtRunTime reports whether a container's port is mapped to the host port 0.
func (e *engine) chosenAtRunTime(sc *scope, definition *resource, container, port string) bool {
	for _, c := range e.follow(sc, place{}, definition.node.Get("Properties"), []string{"ContainerDefinitions", "*"}) {
		if name := c.value.Get("Name"); !name.IsString() || name.Text != container {
			continue
		}
		for _, m := range e.follow(c.scope, place{}, c.value, []string{"PortMappings", "*"}) {
			host, inside := m.value.Get("HostPort"), m.value.Get("ContainerPort")
			if host != nil && inside != nil && single(host) && single(inside) && textOf(host) == "0" && textOf(inside) == port {
				return true
			}
		}
	}
	return false
}

func (e *engine) trafficPort(b *binding, sc *scope, group *cfn.Node, out *problems) {
	name, ok := referenced(group)
	r := e.resources[name]
	if !ok || r == nil || r.kind != "AWS::ElasticLoadBalancingV2::TargetGroup" {
		return
	}
	root := place{}.down("Resources", e.root.Pos).key(r.field)
	for _, p := range e.follow(sc, root, r.node, []string{"Properties", "HealthCheckPort"}) {
		if p.value != nil && single(p.value) && textOf(p.value) != "traffic-port" {
			wrong(b, p.at.path, "the container's port is chosen at run time, so the health check port must be traffic-port, not "+textOf(p.value), "", out)
		}
	}
}

// fargateTask checks what Fargate wants of a task (E3048). Report forbidden
// properties at their own location.
func fargateTask(e *engine, b *binding, sc *scope, at place, n *cfn.Node, out *problems) {
	var own problems
	e.schemaRule(b, sc, at, n, &own)
	for _, p := range own.list {
		if i := fieldIndex(n, "PlacementConstraints"); p.keyword == "not" && i >= 0 {
			p.path, p.message = at.key(n.Fields[i]).path, "Fargate does not support PlacementConstraints"
		}
		out.add(p)
	}
}
