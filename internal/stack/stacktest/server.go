// Package stacktest is a cloud for tests: CloudFormation, as much of S3 and STS
// as stacks need, served over HTTP on the loopback by this process and spoken
// to by the real AWS SDK.
//
// It promises the service's answers as they were recorded from the service
// itself: messages, statuses, the order of events, what a change set says
// before it is executed. Time does not pass by itself. Work that takes minutes
// in the cloud is done when somebody looks: each call that reads a stack or a
// change set takes it [Server.Pace] steps further, or to its end when no pace
// is set, so no test waits and none is racy. A test can make it throttle, to
// fail, to roll back and to drift.
//
// It refuses to know what resources are: it keeps their properties and invents
// their names. Nothing but tests may import it.
package stacktest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"
)

// Account is the account of callers whose credentials name no other.
const Account = "111111111111"

// Region is the region that Env names.
const Region = "eu-central-1"

// Server is one cloud. Its methods may be called while it serves.
type Server struct {
	http *httptest.Server

	mu     sync.Mutex
	clock  time.Time
	serial uint64
	pace   int
	stacks []*stack // in order of creation, deleted ones too
	// buckets by name: the whole cloud has one room of names.
	buckets map[string]*bucket
	tokens  map[string]string // access key id -> account of the assumed role
	drifts  map[string]*driftRun
	outside map[outsideKey]bool // kept resources that no stack has
	orders  orders
	calls   []string
}

// New starts a cloud; the caller closes it.
func New() *Server {
	s := empty()
	s.http = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

func empty() *Server {
	return &Server{
		clock:   time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		buckets: map[string]*bucket{},
		tokens:  map[string]string{},
		drifts:  map[string]*driftRun{},
		outside: map[outsideKey]bool{},
	}
}

// T is what Start needs of a test.
type T interface {
	Helper()
	Cleanup(func())
}

// Start starts a cloud that ends with the test.
func Start(t T) *Server {
	t.Helper()
	s := New()
	t.Cleanup(s.Close)
	return s
}

// Close stops serving and ends the work under way.
func (s *Server) Close() {
	s.http.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.stacks {
		st.finish()
	}
}

// RoundTrip answers a request without a network between: a client with this for
// a transport makes thousands of calls and opens no connection.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	if in.Host == "" {
		in.Host = in.URL.Host
	}
	w := httptest.NewRecorder()
	s.serve(w, in)
	return w.Result(), nil
}

var _ http.RoundTripper = (*Server)(nil)

// URL is the endpoint of all services.
func (s *Server) URL() string { return s.http.URL }

// Env is what a child process needs in its environment to use this cloud and no
// other: endpoint, region, credentials, and no configuration of the user's.
func (s *Server) Env() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.URL(),
		"AWS_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=" + AccessKey(Account),
		"AWS_SECRET_ACCESS_KEY=not-a-secret",
		"AWS_SESSION_TOKEN=",
		"AWS_PROFILE=",
		"AWS_CONFIG_FILE=/nonexistent",
		"AWS_SHARED_CREDENTIALS_FILE=/nonexistent",
		"AWS_EC2_METADATA_DISABLED=true",
		"AWS_MAX_ATTEMPTS=1", // a scripted failure shows at once
	}
}

// AccessKey is the id of an access key of an account.
func AccessKey(account string) string { return "AKIATEST" + account }

// Pace sets how many steps each look takes a stack or change set further: an
// event is a step. 0, as at the start, is all of them; below 0 nothing moves.
func (s *Server) Pace(steps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pace = steps
}

// Now is the time of the cloud. It moves one second with each thing that
// happens there.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock
}

// SetNow moves the clock.
func (s *Server) SetNow(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clock = t.UTC()
}

// Calls lists the operations called so far: "CreateChangeSet", "s3:PutObject".
func (s *Server) Calls() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

func (s *Server) tick() time.Time {
	s.clock = s.clock.Add(time.Second)
	return s.clock
}

func (s *Server) number() uint64 { s.serial++; return s.serial }

// uuid looks like one; they count up, so that tests can be repeated.
func (s *Server) uuid() string {
	n := s.number()
	return fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n)
}

// suffix is what the service appends to names it invents.
func (s *Server) suffix() string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
	n := s.number()*2654435761 + 0x5bd1e995
	var b strings.Builder
	for range 12 {
		b.WriteByte(letters[n%uint64(len(letters))])
		n = n/7 + n*31
	}
	return b.String()
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	who := s.caller(r)
	if who.service == "s3" || who.service == "" && r.Method != http.MethodPost {
		s.serveS3(w, r, who)
		return
	}
	s.serveQuery(w, r, who)
}

// identity is read from the signature, which is not verified.
type identity struct {
	account, region, service, key string
}

func (s *Server) caller(r *http.Request) identity {
	who := identity{account: Account, region: Region}
	_, rest, ok := strings.Cut(r.Header.Get("Authorization"), "Credential=")
	if !ok {
		return who
	}
	scope, _, _ := strings.Cut(rest, ",")
	parts := strings.Split(scope, "/")
	if len(parts) != 5 {
		return who
	}
	who.key, who.region, who.service = parts[0], parts[2], parts[3]
	if account, ok := strings.CutPrefix(who.key, "AKIATEST"); ok && len(account) == 12 {
		who.account = account
	}
	if account, ok := s.tokens[who.key]; ok {
		who.account = account
	}
	return who
}

func partition(region string) string {
	switch {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	default:
		return "aws"
	}
}
