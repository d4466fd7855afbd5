//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

// verify waits until all has ended, and looks for what must not be.
func (s *soak) verify() (string, error) {
	for _, p := range s.runners {
		if !p.runs() {
			return "", fmt.Errorf("%s ended by itself; its log is %s", p.name, p.log)
		}
	}
	for _, v := range s.servers {
		if !v.runs() {
			return "", fmt.Errorf("%s ended by itself; its log is %s", v.name, v.log)
		}
	}
	runs, err := s.waitEnds()
	if err != nil {
		return "", err
	}
	var faults []error
	for _, id := range s.acknowledged {
		if _, there := runs[id]; !there {
			faults = append(faults, fmt.Errorf("run %d was acknowledged and is lost", id))
		}
	}
	starts, err := s.starts()
	if err != nil {
		return "", err
	}
	attempts, whole := 0, 0
	for id := range runs {
		d, err := s.servers[0].client.RunDetail(context.Background(), id)
		if err != nil {
			return "", fmt.Errorf("run %d: %w", id, err)
		}
		for _, a := range d.Attempts {
			attempts++
			complete, err := s.checkLog(id, a)
			if err != nil {
				faults = append(faults, fmt.Errorf("run %d, job %s, attempt %d, %s: %w", id, a.Job, a.Attempt, a.State, err))
			} else if complete {
				whole++
			}
		}
	}
	for fence, n := range starts {
		if n > 1 {
			faults = append(faults, fmt.Errorf("attempt %s started %d times", fence, n))
		}
	}
	faults = append(faults, s.checkRules(), s.checkProcesses())
	return fmt.Sprintf("%d runs (%d acknowledged), %d attempts, %d whole logs, %d starts so far", len(runs), len(s.acknowledged), attempts, whole, len(starts)), errors.Join(faults...)
}

// settleTime is how long runs may take to end after the faults: a lost runner is
// noticed after a minute.
const settleTime = 4 * time.Minute

// waitEnds returns all runs when the last has ended. What waits for a person is
// played, later canceled.
func (s *soak) waitEnds() (map[int64]api.Run, error) {
	ctx := context.Background()
	on := s.servers[0].client
	for began := time.Now(); ; time.Sleep(300 * time.Millisecond) {
		runs := map[int64]api.Run{}
		for cursor := ""; ; {
			page, err := on.Runs(ctx, api.RunQuery{Limit: 200, Cursor: cursor})
			if err != nil {
				return nil, err
			}
			for _, r := range page.Runs {
				runs[r.ID] = r
			}
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		var open []string
		for _, r := range runs {
			if r.Result != "" && r.Result != pipeline.ResultWaiting {
				continue // what it may still wait for changes nothing by itself
			}
			open = append(open, describe(ctx, on, r.ID))
			switch {
			case time.Since(began) > settleTime/2:
				_ = on.CancelRun(ctx, r.ID, "")
			case r.Result == pipeline.ResultWaiting:
				_ = s.play(ctx, on, r.ID)
			}
		}
		if len(open) == 0 {
			return runs, nil
		}
		if time.Since(began) > settleTime {
			return nil, fmt.Errorf("%d runs do not end:\n%s", len(open), strings.Join(open, "\n"))
		}
	}
}

// describe is a run that has not ended, with its jobs.
func describe(ctx context.Context, on *api.Client, id int64) string {
	r, err := on.Run(ctx, id)
	if err != nil {
		return fmt.Sprintf("run %d: %v", id, err)
	}
	text := fmt.Sprintf("run %d: %s %s %s", r.ID, r.Status, r.Result, r.Why)
	for _, j := range r.Jobs {
		text += fmt.Sprintf("\n  %s: %s, attempt %d, started %s, child %d %s", j.Name, j.Status, j.Attempt, j.Started.Format(time.TimeOnly), j.Child, j.Why)
	}
	return text
}

// starts counts the starts of each attempt.
func (s *soak) starts() (map[string]int, error) {
	text, err := os.ReadFile(filepath.Join(s.dir, "starts"))
	count := map[string]int{}
	for _, fence := range strings.Fields(string(text)) {
		count[fence]++
	}
	return count, err
}

// checkLog looks for gaps and doubled lines, and reports whether the log has its end.
// It is on the server that the attempt's runner reached.
func (s *soak) checkLog(run int64, a api.Attempt) (complete bool, err error) {
	var text []byte
	for _, v := range s.servers {
		in, err := v.client.Log(context.Background(), run, a.Job, a.Attempt, 0, false)
		if err != nil {
			continue
		}
		got, err := io.ReadAll(in)
		_ = in.Close()
		if err != nil {
			return false, err
		}
		if len(got) > len(text) {
			text = got
		}
	}
	next := 1
	for line := range bytes.Lines(text) {
		line = bytes.TrimSpace(line)
		if last, ok := bytes.CutPrefix(line, []byte("the last line is ")); ok {
			if string(last) != strconv.Itoa(next-1) {
				return false, fmt.Errorf("the log ends at line %d, want %s", next-1, last)
			}
			complete = true
		} else if number, ok := bytes.CutPrefix(line, []byte("line ")); ok {
			if string(number) != strconv.Itoa(next) {
				return false, fmt.Errorf("line %d is followed by %q", next-1, line)
			}
			next++
		}
	}
	return complete, nil
}

// checkRules asks the server whether its rules hold.
func (s *soak) checkRules() error {
	cmd := exec.Command(s.program, "server", "check")
	cmd.Env = append(s.environ(), "REFLINE_DATA="+s.servers[0].data)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("refline server check: %w: %s", err, out)
	}
	return nil
}

// checkProcesses waits until no process of a job is left.
func (s *soak) checkProcesses() error {
	var left []int
	for range 100 {
		if left = s.jobProcesses(); len(left) == 0 {
			return nil
		}
		time.Sleep(300 * time.Millisecond)
	}
	return fmt.Errorf("processes of jobs are left: %v", left)
}

// jobProcesses lists the processes that have the mark in their environment.
func (s *soak) jobProcesses() (list []int) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err == nil && bytes.Contains(text, []byte(markVariable+"="+s.mark+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			list = append(list, pid)
		}
	}
	return list
}
