package pipeline

// EndEvents are the events by which an attempt's end enters the state. result is
// success, failed or canceled, and of a trigger job whose child waits running or
// manual; job is the state before. If an attempt reports that
// it was canceled although no one asked for that, the job is canceled first.
func EndEvents(name string, job JobState, result Status, reason Reason, exitCode int) []Event {
	end := Event{Job: name, Reason: reason, ExitCode: exitCode}
	switch {
	case job.Status == StatusCanceling:
		end.Kind = EventCanceled
	case result == StatusSuccess:
		end.Kind = EventSucceed
	case result == StatusCanceled:
		end.Kind = EventCanceled
		return []Event{{Kind: EventCancel, Job: name}, end}
	case result == StatusRunning:
		return nil
	case result == StatusManual:
		end.Kind = EventWait
	default:
		end.Kind = EventDrop
	}
	return []Event{end}
}

// Result is how a run ended, or that it waits: for people, exit codes and
// notifications. A status is GitLab's and hides a failure behind a manual job.
type Result string

// The results. A run that is not over has none.
const (
	ResultSuccess  Result = "success"
	ResultFailed   Result = "failed"
	ResultCanceled Result = "canceled"
	ResultWaiting  Result = "waiting" // only manual jobs are left, and what comes after them
)

// ResultOf gives a run's result: failed if a job failed that may not, whatever
// else waits; canceled if a job was canceled; waiting if nothing moves before
// a manual job is played; else success. A manual job that may fail holds
// nothing up. The result is empty while something is going on.
func ResultOf(s State) Result {
	var failed, canceled, waiting bool
	for _, j := range s.Jobs {
		switch {
		case j.Status.Active(), j.Status == StatusScheduled:
			return ""
		case j.AllowFailure && j.Status != StatusCreated:
		case j.Status == StatusFailed:
			failed = true
		case j.Status == StatusCanceled:
			canceled = true
		case j.Status == StatusManual, j.Status == StatusCreated:
			waiting = true
		}
	}
	switch {
	case s.Status == "":
		return ""
	case failed || s.Status == StatusFailed:
		return ResultFailed
	case canceled || s.Status == StatusCanceled:
		return ResultCanceled
	case waiting:
		return ResultWaiting
	default:
		return ResultSuccess
	}
}
