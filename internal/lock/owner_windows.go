package lock

import (
	"errors"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/windows"
)

func startTime(pid int) (string, error) {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if errors.Is(err, windows.ERROR_INVALID_PARAMETER) { // what an absent pid answers
		return "", os.ErrNotExist
	}
	if err != nil {
		return "", err
	}
	defer windows.CloseHandle(h)
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(h, &created, &exited, &kernel, &user); err != nil {
		return "", err
	}
	// An ended process stays known while another holds a handle to it.
	var code uint32
	if err := windows.GetExitCodeProcess(h, &code); err == nil && code != 259 { // STILL_ACTIVE
		return "", os.ErrNotExist
	}
	return strconv.FormatInt(created.Nanoseconds(), 10), nil
}

func hostScope() (string, error) {
	name, err := os.Hostname()
	return strings.ReplaceAll(name, "/", "-"), err
}
