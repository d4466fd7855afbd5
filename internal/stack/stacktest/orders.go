package stacktest

import (
	"net/http"
	"strconv"
	"strings"

	"refline/internal/errs"
)

// Phase is when a resource is made to fail.
type Phase string

// The phases.
const (
	OnCreate   Phase = "create"
	OnUpdate   Phase = "update"
	OnDelete   Phase = "delete"
	OnRollback Phase = "rollback" // while an update is being undone
)

// Failure is a resource that fails.
type Failure struct {
	Resource string // logical id
	Phase    Phase
	Reason   string
	Times    int // 0 is always
}

// EarlyValidation is what the service finds before it makes a change set.
type EarlyValidation struct {
	Resource string // logical id
	Name     string // "PROPERTY_VALIDATION", "NAME_CONFLICT_VALIDATION", …
	Path     string // "/Resources/Bucket/Properties/BucketName"
	Reason   string
	Warn     bool // only warns; the change set is made
}

// orders are the failures that the test asks for.
type orders struct {
	interruptions []*interruption
	failures      []*Failure
	early         []EarlyValidation
	unknown       []string // "Resource.Property"
	denied        map[string]bool
	missing       map[string]bool // operations that this cloud does not know
	pageSize      int
}

type interruption struct {
	operation string
	times     int
	fault     fault
}

func (o *orders) interrupt(operation string) *fault {
	if o.missing[operation] {
		return &fault{http.StatusBadRequest, "InvalidAction", "Could not find operation " + operation}
	}
	if o.denied[operation] {
		return &fault{http.StatusForbidden, "AccessDenied", "User is not authorized to perform: " + operation}
	}
	for _, i := range o.interruptions {
		if i.times > 0 && (i.operation == operation || i.operation == "*") {
			i.times--
			return &i.fault
		}
	}
	return nil
}

// fails returns the reason for which a resource fails now.
func (o *orders) fails(resource string, phase Phase) (string, bool) {
	for _, f := range o.failures {
		if f.Resource != resource || f.Phase != phase || f.Times < 0 {
			continue
		}
		if f.Times > 0 {
			f.Times--
			if f.Times == 0 {
				f.Times = -1
			}
		}
		return f.Reason, true
	}
	return "", false
}

// Throttle refuses the next calls of an operation ("*" is any; those of S3
// are "s3:PutObject" and so on) as too many.
func (s *Server) Throttle(operation string, times int) {
	s.interruption(operation, times, fault{http.StatusBadRequest, "Throttling", "Rate exceeded"})
}

// Break answers the next calls of an operation with an internal failure.
func (s *Server) Break(operation string, times int) {
	s.interruption(operation, times, fault{http.StatusInternalServerError, "InternalFailure", "internal failure"})
}

func (s *Server) interruption(operation string, times int, f fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders.interruptions = append(s.orders.interruptions, &interruption{operation, times, f})
}

// Deny refuses an operation from now on.
func (s *Server) Deny(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders.denied == nil {
		s.orders.denied = map[string]bool{}
	}
	s.orders.denied[operation] = true
}

// Unknown makes the cloud too old to know an operation.
func (s *Server) Unknown(operation string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.orders.missing == nil {
		s.orders.missing = map[string]bool{}
	}
	s.orders.missing[operation] = true
}

// Fail makes a resource fail.
func (s *Server) Fail(f Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.Reason == "" {
		f.Reason = "Resource handler returned message: \"it was told to fail\" (HandlerErrorCode: GeneralServiceException)"
	}
	s.orders.failures = append(s.orders.failures, &f)
}

// RejectEarly makes early validation object to a resource of the change sets
// that are made from now on.
func (s *Server) RejectEarly(v EarlyValidation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders.early = append(s.orders.early, v)
}

// HideValue makes the new value of a property known only after the change.
func (s *Server) HideValue(resource, property string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders.unknown = append(s.orders.unknown, resource+"."+property)
}

// PageSize makes lists come in pages of this size.
func (s *Server) PageSize(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders.pageSize = n
}

// Heal takes all orders back.
func (s *Server) Heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = orders{}
}

func (s *Server) size(standard int) int {
	if s.orders.pageSize > 0 {
		return s.orders.pageSize
	}
	return standard
}

// Tell takes an order in words, for scripts:
//
//	throttle OPERATION TIMES
//	break OPERATION TIMES
//	deny OPERATION
//	fail RESOURCE create|update|delete|rollback [REASON]
//	reject RESOURCE VALIDATION PATH REASON
//	warn RESOURCE VALIDATION PATH REASON
//	hide RESOURCE PROPERTY
//	drift STACK RESOURCE PROPERTY VALUE
//	pace STEPS
//	pagesize N
//	bucket NAME [ACCOUNT]
//	heal
func (s *Server) Tell(words ...string) error {
	arg := func(i int) string {
		if i < len(words) {
			return words[i]
		}
		return ""
	}
	number := func(i int) int {
		n, _ := strconv.Atoi(arg(i))
		return n
	}
	switch arg(0) {
	case "throttle":
		s.Throttle(arg(1), number(2))
	case "break":
		s.Break(arg(1), number(2))
	case "deny":
		s.Deny(arg(1))
	case "fail":
		s.Fail(Failure{Resource: arg(1), Phase: Phase(arg(2)), Reason: arg(3)})
	case "reject", "warn":
		s.RejectEarly(EarlyValidation{arg(1), arg(2), arg(3), arg(4), arg(0) == "warn"})
	case "hide":
		s.HideValue(arg(1), arg(2))
	case "drift":
		return s.Drift(arg(1), arg(2), arg(3), arg(4))
	case "pace":
		s.Pace(number(1))
	case "pagesize":
		s.PageSize(number(1))
	case "bucket":
		s.CreateBucket(arg(1), arg(2))
	case "heal":
		s.Heal()
	default:
		return errs.E(errs.Invalid, "unknown order %q", strings.Join(words, " "))
	}
	return nil
}
