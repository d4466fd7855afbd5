// Package doctor checks what runs need on this computer: programs, folders and
// a container engine.
//
// Each [Check] says what was found and what to do if something is missing; that
// something is missing is a result and never an error. The package does not know
// how results are shown, and reads no configuration but what [Options] give.
package doctor

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"refline/internal/diskspace"
	"refline/internal/executor/docker"
	"refline/internal/git"
	"refline/internal/termview"
	"refline/internal/workspace"
)

// Check is one thing that a run may need. Found is what is there and what that
// means; Advice says what to do if something is missing.
type Check struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Needed bool   `json:"needed"`
	Found  string `json:"found"`
	Advice string `json:"advice,omitempty"`
}

// Options say where runs keep their things.
type Options struct {
	Getenv             func(string) string
	StateDir, CacheDir func() (string, error)
}

// Examine checks everything. It writes and removes a file in each folder, and
// removes containers of killed runs.
func Examine(ctx context.Context, o Options) []Check {
	out := []Check{
		gitCheck(ctx),
		program("bash", false, "", "jobs run with sh instead, which may lack pipefail and what else scripts written for bash use; install bash"),
		program("sh", true, "", "jobs need a POSIX shell; install one"),
		sshCheck(ctx),
		program("git-lfs", false, "", "run --lfs needs it; install git-lfs"),
	}
	out = append(out, pythonChecks(ctx)...)
	state := folderCheck("state folder", "REFLINE_STATE_DIR", o.StateDir)
	out = append(out, folderCheck("cache folder", "REFLINE_CACHE_DIR", o.CacheDir), state)
	if state.OK {
		out = append(out, workspaceCheck(o))
	}
	return append(out, engineChecks(ctx, o, state.OK)...)
}

func program(name string, needed bool, means, advice string) Check {
	path, err := exec.LookPath(name)
	c := Check{Name: name, OK: err == nil, Needed: needed, Found: path}
	if !c.OK {
		c.Advice = advice
	} else if means != "" {
		c.Found += ": " + means
	}
	return c
}

func gitCheck(ctx context.Context) Check {
	const advice = "install git " + git.MinVersion + " or newer"
	v, err := git.Version(ctx)
	c := Check{Name: "git", OK: err == nil && git.NewEnough(v), Needed: true, Found: v}
	switch {
	case err != nil:
		c.Advice = advice
	case !c.OK:
		c.Found, c.Advice = v+" is too old", advice
	}
	return c
}

// sshCheck checks the version too: a client before 8.9 does not send an agent
// the host that it connects to.
func sshCheck(ctx context.Context) Check {
	c := program("ssh", false, "", "repositories by ssh and --deploy-key need it; install OpenSSH")
	if !c.OK {
		return c
	}
	out, err := exec.CommandContext(ctx, c.Found, "-V").CombinedOutput()
	v, _, _ := strings.Cut(strings.TrimSpace(string(out)), ",")
	_, number, is := strings.Cut(v, "OpenSSH_")
	switch {
	case err != nil || !is:
		c.OK, c.Found, c.Advice = false, c.Found+" is not an OpenSSH that prints its version", "--deploy-key needs OpenSSH 8.9 or newer; other commands may work"
	case !atLeast(number, 8, 9):
		c.OK, c.Found, c.Advice = false, v+" does not send the agent the name of its host", "--deploy-key needs 8.9 or newer; everything else works"
	default:
		c.Found = v + ": a job's key is bound to its hosts"
	}
	return c
}

// atLeast compares the first two numbers of a version such as 2.39.5 or 9.2p1.
func atLeast(version string, major, minor int) bool {
	numbers := strings.FieldsFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if len(numbers) < 2 {
		return false
	}
	a, errA := strconv.Atoi(numbers[0])
	b, errB := strconv.Atoi(numbers[1])
	return errA == nil && errB == nil && (a > major || a == major && b >= minor)
}

// pythonChecks look for a Python and for what makes environments of flows.
func pythonChecks(ctx context.Context) []Check {
	python := program("python3", false, "", "flows in Python need it; install Python 3, or uv, which brings one")
	uv := program("uv", false, "makes the environments of Python flows", "")
	if uv.OK {
		return []Check{python, uv}
	}
	switch {
	case !python.OK:
		uv.Advice = "makes the environments of Python flows, with a Python; https://docs.astral.sh/uv"
	case exec.CommandContext(ctx, python.Found, "-I", "-c", "import venv, ensurepip").Run() == nil:
		uv.Advice = "environments of Python flows are made by venv and pip, which takes longer; https://docs.astral.sh/uv"
	default:
		uv.Advice = "and this Python has no venv, so flows with dependencies cannot run; install uv, or python3-venv"
	}
	return []Check{python, uv}
}

// littleSpace is the limit for a warning: one more workspace or image may fill the
// disk.
const littleSpace = 1 << 30

func folderCheck(name, set string, dir func() (string, error)) Check {
	c := Check{Name: name, Needed: true, Advice: "set " + set + " to a folder that can be written"}
	path, err := dir()
	if err == nil {
		err = os.MkdirAll(path, 0o700)
	}
	if err == nil {
		probe := filepath.Join(path, ".write")
		if err = os.WriteFile(probe, nil, 0o600); err == nil {
			err = os.Remove(probe)
		}
	}
	if err != nil {
		c.Found = err.Error()
		if path == "" {
			c.Advice = "" // the error says what to do
		}
		return c
	}
	c.OK, c.Found, c.Advice = true, path, ""
	free, err := diskspace.Free(path)
	if err != nil {
		return c
	}
	c.Found += fmt.Sprintf(", %s free", termview.ByteSize(int64(min(free, 1<<62))))
	if free < littleSpace {
		c.OK, c.Needed = false, false
		c.Advice = "runs may fill the disk; free some space (refline cache clear), or set " + set + " to another disk"
	}
	return c
}

// workspaceCheck reports what a workspace of a large repository costs.
func workspaceCheck(o Options) Check {
	c := Check{Name: "workspaces"}
	dir, err := o.StateDir()
	if err != nil {
		return Check{Name: "workspaces", Found: err.Error()}
	}
	way, err := workspace.DetectCloneMethod(dir)
	switch {
	case err != nil:
		c.Found = err.Error()
	case way == workspace.CloneMethodCopy:
		c.Found = "large repositories are copied for each job"
		c.Advice = "faster as root (overlay mounts), or with REFLINE_STATE_DIR on XFS, btrfs or APFS (shared blocks)"
	default:
		c.OK, c.Found = true, "large repositories cost little: "+string(way)
	}
	return c
}

// engineChecks look for a container engine and whether it can mount folders of
// this computer: one in a virtual machine or on another computer cannot.
func engineChecks(ctx context.Context, o Options, haveState bool) []Check {
	c := Check{Name: "containers", Advice: "until then jobs with an image need --executor process, which runs them on this computer without a container"}
	d := docker.New(docker.Options{Getenv: o.Getenv})
	defer d.Close()
	if err := d.Available(ctx); err != nil {
		c.Found = err.Error()
		return []Check{c}
	}
	c.OK, c.Found, c.Advice = true, "an engine answers at "+d.Address(), ""
	if err := d.Sweep(ctx); err != nil {
		c.OK, c.Found, c.Advice = false, "containers of killed runs could not be removed: "+err.Error(), "`docker ps -a --filter label=refline.run` shows them"
	}
	if !haveState {
		return []Check{c}
	}
	mounts := Check{Name: "container mounts"}
	dir, err := o.StateDir()
	if err == nil {
		mounts.OK, err = d.SharesFilesystem(ctx, dir)
	}
	switch {
	case err != nil:
		mounts.OK, mounts.Found, mounts.Advice = false, err.Error(), "jobs in containers cannot run"
	case mounts.OK:
		mounts.Found = "the engine can mount the state folder"
	default:
		mounts.Found = "the engine cannot mount the state folder: jobs work on copies of their files"
		mounts.Advice = "faster with an engine on this computer, or with REFLINE_STATE_DIR in a folder that its virtual machine shares"
	}
	return []Check{c, mounts}
}
