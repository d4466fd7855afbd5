package localrun

import (
	"context"
	"path/filepath"

	"refline/internal/history"
	"refline/internal/lock"
	"refline/internal/mask"
	"refline/internal/pipeline"
	"refline/internal/workspace"
)

// Session is one run of this computer: its folders, its record, and what names and
// secrets its reports have.
type Session struct {
	Store   history.Store
	State   string // folder of the store and of the workspaces
	Record  history.Run
	Secrets mask.Set    // what logs do not show
	Earlier *EarlierRun // results of jobs that are not run; nil: none
	Names   Names
	CutLogs []string // jobs whose log has reached the limit

	builds  string // where the workspaces are
	release func() // gives builds back
	unlock  func()
	created bool
	kept    bool // the run's folder is worth keeping
	journal *history.Journal
}

// Open makes the run's folders. sweep removes what killed runs left, once the run
// has its number. The session is to be closed also after an error.
func (s *Session) Open(store history.Store, state string, sweep func()) (err error) {
	s.Store, s.State = store, state
	if s.Record.Number, err = s.Store.Create(); err != nil {
		return err
	}
	s.created = true
	if s.unlock, err = lock.Folder(s.Store.WorkFolder(s.Record.Number)); err != nil {
		return err
	}
	sweep()
	s.builds, s.release, err = takeBuilds(s.State)
	return err
}

// Workspaces is where jobs have their folders.
func (s *Session) Workspaces() string { return filepath.Join(s.builds, buildsJobs) }

// Pool is where workspaces are kept for later runs.
func (s *Session) Pool() string { return filepath.Join(s.builds, "pool") }

// Start keeps the record and the request, and opens the journal.
func (s *Session) Start(request Request) (err error) {
	if err = s.Store.Write(&s.Record); err != nil {
		return err
	}
	if err = request.Write(s.Store, s.Record.Number); err != nil {
		return err
	}
	if s.journal, err = s.Store.Journal(s.Record.Number); err != nil {
		return err
	}
	s.kept = true
	return nil
}

// EndJournal closes the journal.
func (s *Session) EndJournal() { _ = s.journal.Close() }

// LockGroup takes a resource group of the project.
func (s *Session) LockGroup(ctx context.Context, group string) (func(), error) {
	return lock.WaitName(ctx, filepath.Join(s.State, "groups"), s.Record.Project+"\x00"+group)
}

// Close removes what lives only as long as the run.
func (s *Session) Close() {
	if s.release != nil {
		s.release()
	}
	if s.unlock != nil {
		_ = workspace.Remove(s.Store.WorkFolder(s.Record.Number))
		s.unlock()
	}
	if s.created && !s.kept {
		_ = s.Store.Discard(s.Record.Number)
	}
}

// Choose keeps the named jobs and what they need. known is how many of the names
// have a job; it ends at the first one that has none.
func Choose(p *pipeline.Pipeline, names []string, only bool, earlier *EarlierRun) (chosen *pipeline.Pipeline, jobs []string, known int) {
	for n, want := range names {
		found := p.Named(want)
		if len(found) == 0 {
			return p, jobs, n
		}
		jobs = append(jobs, found...)
	}
	p = pipeline.Select(p, jobs, !only || earlier != nil)
	if earlier != nil {
		p = earlier.choose(p, jobs, only)
	}
	return p, jobs, len(names)
}
