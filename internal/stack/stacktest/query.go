package stacktest

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sort"
	"strconv"
	"strings"
)

// fault is an error answer of a service.
type fault struct {
	status        int
	code, message string
}

func (f *fault) Error() string { return f.code + ": " + f.message }

func invalid(format string, args ...any) *fault {
	return &fault{http.StatusBadRequest, "ValidationError", fmt.Sprintf(format, args...)}
}

// call is one request of the Query protocol.
type call struct {
	identity
	url.Values
}

func (c call) flag(name string) bool { return c.Get(name) == "true" }

// list reads Name.member.1, Name.member.2, …
func (c call) list(name string) []string {
	var out []string
	for i := 1; ; i++ {
		key := fmt.Sprintf("%s.member.%d", name, i)
		if !c.Has(key) {
			return out
		}
		out = append(out, c.Get(key))
	}
}

// records reads Name.member.1.Field, … ; each has the fields that were sent.
func (c call) records(name string) []url.Values {
	var out []url.Values
	for i := 1; ; i++ {
		prefix := fmt.Sprintf("%s.member.%d.", name, i)
		one := url.Values{}
		for key, values := range c.Values {
			if field, ok := strings.CutPrefix(key, prefix); ok {
				one[field] = values
			}
		}
		if len(one) == 0 {
			return out
		}
		out = append(out, one)
	}
}

// pairs reads a list of key and value, as tags are.
func (c call) pairs(name string) []pair {
	var out []pair
	for _, r := range c.records(name) {
		out = append(out, pair{r.Get("Key"), r.Get("Value")})
	}
	return out
}

type pair struct{ key, value string }

// elem is an element of an answer.
type elem struct {
	name, text string
	kids       []elem
}

func el(name, text string, kids ...elem) elem { return elem{name, text, kids} }

func yes(name string, v bool) elem { return elem{name: name, text: strconv.FormatBool(v)} }

// opt is an element that is left out when it has nothing to say.
func opt(name, text string) elem {
	if text == "" {
		return elem{}
	}
	return elem{name: name, text: text}
}

func group(name string, kids ...elem) elem { return elem{name: name, kids: kids} }

func texts(name string, values []string) elem {
	out := elem{name: name}
	for _, v := range values {
		out.kids = append(out.kids, el("member", v))
	}
	return out
}

func members[T any](name string, values []T, show func(T) []elem) elem {
	out := elem{name: name}
	for _, v := range values {
		out.kids = append(out.kids, group("member", show(v)...))
	}
	return out
}

func pairElems(p pair) []elem { return []elem{el("Key", p.key), el("Value", p.value)} }

func (e elem) write(w io.Writer) {
	if e.name == "" {
		return
	}
	fmt.Fprintf(w, "<%s>", e.name)
	_ = xml.EscapeText(w, []byte(e.text))
	for _, kid := range e.kids {
		kid.write(w)
	}
	fmt.Fprintf(w, "</%s>", e.name)
}

type operation func(call) ([]elem, error)

func (s *Server) operations() map[string]operation {
	return map[string]operation{
		"CreateChangeSet":                   s.createChangeSet,
		"DescribeChangeSet":                 s.describeChangeSet,
		"ListChangeSets":                    s.listChangeSets,
		"DeleteChangeSet":                   s.deleteChangeSet,
		"ExecuteChangeSet":                  s.executeChangeSet,
		"DescribeEvents":                    s.describeEvents,
		"DescribeStacks":                    s.describeStacks,
		"ListStacks":                        s.listStacks,
		"DescribeStackEvents":               s.describeStackEvents,
		"ListStackResources":                s.listStackResources,
		"DescribeStackResource":             s.describeStackResource,
		"CreateStack":                       s.createStack,
		"UpdateStack":                       s.updateStack,
		"DeleteStack":                       s.deleteStack,
		"CancelUpdateStack":                 s.cancelUpdateStack,
		"RollbackStack":                     s.rollbackStack,
		"ContinueUpdateRollback":            s.continueUpdateRollback,
		"UpdateTerminationProtection":       s.updateTerminationProtection,
		"SetStackPolicy":                    s.setStackPolicy,
		"GetStackPolicy":                    s.getStackPolicy,
		"ListExports":                       s.listExports,
		"ListImports":                       s.listImports,
		"GetTemplate":                       s.getTemplate,
		"GetTemplateSummary":                s.getTemplateSummary,
		"ValidateTemplate":                  s.validateTemplate,
		"DetectStackDrift":                  s.detectStackDrift,
		"DescribeStackDriftDetectionStatus": s.describeDriftDetection,
		"DescribeStackResourceDrifts":       s.describeResourceDrifts,
		"GetCallerIdentity":                 s.getCallerIdentity,
		"AssumeRole":                        s.assumeRole,
	}
}

func (s *Server) serveQuery(w http.ResponseWriter, r *http.Request, who identity) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		writeFault(w, invalid("unreadable request"))
		return
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		writeFault(w, invalid("malformed request"))
		return
	}
	name := values.Get("Action")
	do, known := s.operations()[name]
	if !known {
		writeFault(w, &fault{http.StatusBadRequest, "InvalidAction", "Could not find operation " + name})
		return
	}
	s.calls = append(s.calls, name)
	if f := s.orders.interrupt(name); f != nil {
		writeFault(w, f)
		return
	}
	answer, err := do(call{who, values})
	if err != nil {
		writeFault(w, err)
		return
	}
	w.Header().Set("Content-Type", "text/xml")
	group(name+"Response",
		group(name+"Result", answer...),
		group("ResponseMetadata", el("RequestId", "00000000-0000-4000-8000-000000000000")),
	).write(w)
}

func writeFault(w http.ResponseWriter, err error) {
	var f *fault
	if !errors.As(err, &f) {
		f = invalid("%v", err)
	}
	kind := "Sender"
	if f.status >= 500 {
		kind = "Receiver"
	}
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(f.status)
	group("ErrorResponse",
		group("Error", el("Type", kind), el("Code", f.code), el("Message", f.message)),
		el("RequestId", "00000000-0000-4000-8000-000000000000"),
	).write(w)
}

// page cuts the part of a list that a token asks for. The token is the index.
func page[T any](all []T, token string, size int) ([]T, string, error) {
	from := 0
	if token != "" {
		n, err := strconv.Atoi(token)
		if err != nil || n < 0 || n > len(all) {
			return nil, "", invalid("The specified token is invalid.")
		}
		from = n
	}
	if from+size >= len(all) {
		return all[from:], "", nil
	}
	return all[from : from+size], strconv.Itoa(from + size), nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
