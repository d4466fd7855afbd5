package scheduler

import (
	"strings"
	"time"

	"refline/internal/webhook"
)

// SkipsCI reports whether the message of a head commit asks for no pipeline:
// [ci skip] or [skip ci], in any case, also with - or _. The run is made all the
// same, as skipped. It does not hold for schedules, the API and manual runs.
func SkipsCI(message string) bool {
	message = strings.ToLower(message)
	for _, separator := range []string{" ", "-", "_"} {
		if strings.Contains(message, "[ci"+separator+"skip]") || strings.Contains(message, "[skip"+separator+"ci]") {
			return true
		}
	}
	return false
}

// LookDelay is how long a look waits after an event. GitLab reports a push to a
// merge request twice, in any order, and only the push event has the push options:
// a look between both would miss ci.skip.
func LookDelay(e webhook.Event) time.Duration {
	if e.Forge == webhook.GitLab && e.MergeRequest != nil && e.MergeRequest.Action == webhook.ActionPushed {
		return time.Second
	}
	return 0
}

// Times between looks.
const (
	slowEvery    = time.Hour // beside a hook, for what it did not report; else for deleted branches
	minPollEvery = time.Minute
	maxPollDelay = 30 * time.Minute
)

// NextPoll returns when a project is looked at again without an event. After failures in a row the delay grows from 1 to 30 minutes. Projects that are due
// at the same time drift apart, by up to a tenth.
func NextPoll(now time.Time, project int64, every time.Duration, hooked bool, failures int) time.Time {
	delay := slowEvery
	if every > 0 {
		delay = max(every, minPollEvery)
	}
	if hooked {
		delay = max(delay, slowEvery)
	}
	if failures > 0 {
		delay = min(minPollEvery<<min(failures-1, 5), maxPollDelay)
	}
	spread := uint64(project) * 0x9e3779b97f4a7c15 >> 54 // 0 to 1023
	return now.Add(delay + delay*time.Duration(spread)/10240)
}
