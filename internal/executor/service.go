package executor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// DefaultServiceWait is how long to wait for a service, as on GitLab.
const DefaultServiceWait = 30 * time.Second

// DebugServices is the variable that switches on the logs of services, as on GitLab.
const DebugServices = "CI_DEBUG_SERVICES"

// HostNames are the names by which a job reaches the service: the two that GitLab
// derives from its image, without port, tag and digest, one with __ for slashes, one
// with - (https://docs.gitlab.com/ci/services/#accessing-the-services), then its
// aliases.
func (s Service) HostNames() []string {
	name, _, _ := strings.Cut(s.Name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	host, rest, ok := strings.Cut(name, "/")
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	if ok {
		name = host + "/" + rest
	} else {
		name = host
	}
	names := []string{strings.ReplaceAll(name, "/", "__"), strings.ReplaceAll(name, "/", "-")}
	names = append(slices.Compact(names), s.Aliases...)
	out := names[:0:0]
	for _, n := range names {
		if !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// Variable is the value of a variable of the service, the last one that it has.
func (s Service) Variable(name string) string {
	for _, kv := range slices.Backward(s.Env) {
		if value, ok := strings.CutPrefix(kv, name+"="); ok {
			return value
		}
	}
	return ""
}

// ServicePorts are the ports of which one must listen before a service counts as ready:
// check, its HEALTHCHECK_TCP_PORT, or the TCP ports that its image exposes (5432 or
// 5432/tcp). One is enough, as on GitLab, since an image may expose ports that it does
// not use.
func ServicePorts(check string, exposed []string) []int {
	if n, err := strconv.Atoi(check); err == nil && n > 0 && n < 1<<16 {
		return []int{n}
	}
	var ports []int
	for _, spec := range exposed {
		number, protocol, _ := strings.Cut(spec, "/")
		if n, err := strconv.Atoi(number); err == nil && n > 0 && n < 1<<16 && (protocol == "" || protocol == "tcp") {
			ports = append(ports, n)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// PortNames are ports in a message.
func PortNames(ports []int) string {
	var names []string
	for _, p := range ports {
		names = append(names, strconv.Itoa(p))
	}
	return "port " + strings.Join(names, " or ")
}

// Warning is what the job's log says of a problem of the service, with the end of its
// log.
func (s Service) Warning(problem, log string) string {
	return fmt.Sprintf("warning: service %s (%s) %s\n%s", s.Name, strings.Join(s.HostNames(), ", "), problem, log)
}
