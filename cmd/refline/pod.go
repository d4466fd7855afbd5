package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"refline/internal/cli"
	"refline/internal/errs"
	"refline/internal/executor/podsandbox"
	"refline/internal/podagent"
)

// Where the manifest of a pod mounts things.
const (
	podShared = "/shared"
	podBuilds = "/builds"
	podToken  = "/var/run/refline/token" //nolint:gosec // a path
)

// podCommand runs what the containers of a pod start: pod-agent, pod-ready, pod-exec
// and pod-service. They take no flags, read no configuration, and are not for people, so the
// tree of commands is not built for them.
func podCommand(args []string) (exitCode int, ok bool) {
	if len(args) != 1 {
		return 0, false
	}
	var err error
	switch args[0] {
	case "pod-agent":
		exitCode, err = podAgent()
	case "pod-ready":
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		err = podagent.Ready(ctx, podShared)
	case "pod-exec":
		exitCode, err = podExec(podagent.Socket(podShared))
	case "pod-service":
		number, _ := strconv.Atoi(os.Getenv("REFLINE_POD_SERVICE"))
		exitCode, err = podExec(podsandbox.ServiceSocket(podShared, number))
	default:
		return 0, false
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "refline: "+err.Error())
		exitCode = max(exitCode, cli.ExitError)
	}
	return exitCode, true
}

// podAgent runs the attempt of the pod. It ends with 0 when the server has the
// result, whatever that is: the exit code of the script is the other container's.
func podAgent() (int, error) {
	cli.HideMemory()
	fence, err := strconv.ParseInt(os.Getenv("REFLINE_POD_FENCE"), 10, 64)
	if err != nil || os.Getenv("REFLINE_URL") == "" {
		return cli.ExitUsage, fmt.Errorf("pod-agent runs in a pod that a runner made; see refline runner --executor kubernetes")
	}
	var services []podsandbox.Service
	if text := os.Getenv("REFLINE_POD_SERVICES"); text != "" {
		if err := json.Unmarshal([]byte(text), &services); err != nil {
			return cli.ExitError, errs.E(errs.Invalid, "REFLINE_POD_SERVICES of the pod's manifest: %w", err)
		}
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	shareFiles() // the other container may have another user of the same group
	self, err := os.Executable()
	if err != nil {
		return cli.ExitError, err
	}
	_, err = podagent.Run(ctx, podagent.Options{
		URL: os.Getenv("REFLINE_URL"), Fence: fence, TokenFile: podToken, Shared: podShared, Builds: podBuilds + "/refline", Binary: self,
		Services: services, Version: cli.Version, AllowHTTP: os.Getenv("REFLINE_POD_ALLOW_HTTP") != "",
		Notice: func(text string) { fmt.Fprintln(os.Stderr, "refline: "+text) },
	})
	return 0, err
}

// podExec is the first process of the job's container, and of those of services. Who ends the pod ends the
// agent, which ends the script in order: the signal is not for this process.
func podExec(socket string) (int, error) {
	// An ignored signal would be inherited by the programs of the job.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGINT)
	shareFiles()
	if !writable(os.Getenv("HOME")) {
		_ = os.Setenv("HOME", os.TempDir()) // the image's user may have none
	}
	return podsandbox.Wrap(context.Background(), socket)
}

func writable(dir string) bool {
	if dir == "" {
		return false
	}
	f, err := os.CreateTemp(dir, ".refline-*")
	if err != nil {
		return false
	}
	_ = f.Close()
	return os.Remove(f.Name()) == nil
}
