package executor

import (
	"context"
	"encoding/json"
	"time"
)

// Launcher starts runners of one attempt elsewhere, such as in pods. What it starts
// works for the server by itself: the launcher may be restarted meanwhile. It is safe
// for concurrent use.
type Launcher interface {
	// Launch asks for the runner of an attempt. Asking for the same fence again is
	// success. Errors: Invalid for a configuration that can never work, Denied for one
	// that is refused, Unavailable for what may pass.
	Launch(ctx context.Context, l Launch) error
	// Watch reports what becomes of all that was launched, by this process or by an
	// earlier one, until ctx is done. report returns soon.
	Watch(ctx context.Context, report func(LaunchEvent)) error
	// End removes what was launched for an attempt, whether it is there or not.
	End(ctx context.Context, fence int64) error
	// List returns the fences of what is there and at least this old.
	List(ctx context.Context, age time.Duration) ([]int64, error)
	// Keys are the public keys (a JSON Web Key Set) by which a server checks who a
	// runner is that was launched here.
	Keys(ctx context.Context) ([]byte, error)
}

// Launch is an attempt for a [Launcher].
type Launch struct {
	Fence, Run int64
	Job        string // name, for people
	Project    string
	Runtime    string
	Image      string
	Pull       string // always, if-not-present, never; "" for the technology's default
	Entrypoint []string
	Env        map[string]string // for the containers; it holds no secrets
	Services   []LaunchService
	Timeout    time.Duration // of the job
	// Config is the runtime's configuration for this technology.
	Config json.RawMessage
}

// LaunchService is a service of the job: a container beside it. What it holds may be
// seen by everyone who may see the pod.
type LaunchService struct {
	Service
	// OfImage says that Entrypoint and Command are not the job's but the image's.
	OfImage bool
	Exposed []string // ports of the image, if they are known
}

// LaunchEvent is news of what was launched.
type LaunchEvent struct {
	Fence int64
	ID    string     // of what runs it now, such as a pod's UID; "" if there is none yet
	Note  string     // why it does not start yet, for people
	End   *LaunchEnd // nil: it goes on
}

// LaunchEnd says why what was launched is over.
type LaunchEnd struct {
	Cause LaunchCause
	Text  string // for people: what was seen, and what to do
}

// LaunchCause is what ended a launch. It decides what is tried again.
type LaunchCause string

// The causes.
const (
	LaunchDone          LaunchCause = "done"          // the runner reported by itself
	LaunchConfiguration LaunchCause = "configuration" // another try cannot help
	LaunchImage         LaunchCause = "image"         // the image is not there or not allowed
	LaunchSystem        LaunchCause = "system"        // of the cluster: another try may help
	LaunchMemory        LaunchCause = "memory"        // the job reached its limit of memory
	LaunchStorage       LaunchCause = "storage"       // the job reached its limit of disk
	LaunchDeadline      LaunchCause = "deadline"      // the job took too long
)
