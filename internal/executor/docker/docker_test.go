package docker_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"go.uber.org/goleak"

	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/executor/executortest"
)

const hostEnv = "REFLINE_TEST_DOCKER"

func TestMain(m *testing.M) {
	hideFolders()
	executortest.Victim(func() executor.Executor { return docker.New(docker.Options{Host: os.Getenv(hostEnv)}) },
		executor.Image{Name: boxImage, PullPolicy: []string{"never"}},
		executor.Service{Image: executor.Image{Name: boxImage}, Aliases: []string{"beside"}, Command: []string{"sleep", "1000"}})
	goleak.VerifyTestMain(m)
}

// engine is the API of the engine that tests may use; without one they skip.
func engine(t *testing.T) *client.Client {
	t.Helper()
	host := os.Getenv(hostEnv)
	if host == "" {
		t.Skipf("NOT TESTED: %s is not set to a Docker engine's address; scripts/docker-up starts one (Linux, root)", hostEnv)
	}
	api, err := client.New(client.WithHost(host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Close() })
	importing.Do(func() { importErr = importImages(context.Background(), api) })
	if importErr != nil {
		t.Fatal("import test images: ", importErr)
	}
	return api
}

var (
	importing sync.Once
	importErr error
)

func newExecutor(t *testing.T) executor.Executor {
	e := docker.New(docker.Options{
		Host: os.Getenv(hostEnv), Home: t.TempDir(), Getenv: func(string) string { return "" },
		Notice: func(text string) { notices.Store(text, true) },
	})
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

// notices are what executors reported.
var notices sync.Map

func TestExecutor(t *testing.T) {
	api := engine(t)
	executortest.Run(t, newExecutor, executortest.Options{
		Image:     executor.Image{Name: boxImage, PullPolicy: []string{"never"}},
		Leftovers: func(t *testing.T, runID string) []string { return leftovers(t, api, runID) },
		Escapes:   true,
		Remote:    remote(api),
	})
}

// TestShells runs what depends on the shell of an image with those that images
// have: the suite itself runs in busybox.
func TestShells(t *testing.T) {
	api := engine(t)
	for _, shell := range []string{"dash", "bash"} {
		t.Run(shell, func(t *testing.T) {
			image := importShell(t, api, shell)
			executortest.Run(t, newExecutor, executortest.Options{
				Image:     executor.Image{Name: image, PullPolicy: []string{"never"}},
				Leftovers: func(t *testing.T, runID string) []string { return leftovers(t, api, runID) },
				Escapes:   true,
				Only: []string{
					"exit code", "environment", "working directory", "output in order on two streams", "what cannot start",
					"cancel TERM handled", "cancel TERM ignored", "cancel reaches grandchildren",
					"background processes end with the command", "terminal", "terminal keys", "terminal canceled", "sweep after kill -9",
				},
			})
		})
	}
}

// leftovers names what the engine has of a run.
func leftovers(t *testing.T, api *client.Client, runID string) []string {
	t.Helper()
	ctx := context.Background()
	filter := client.Filters{}.Add("label", "refline.run="+runID)
	var names []string
	containers, err := api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range containers.Items {
		names = append(names, fmt.Sprint("container ", c.Names, " ", c.Status))
	}
	networks, err := api.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks.Items {
		names = append(names, "network "+n.Name)
	}
	volumes, err := api.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range volumes.Items {
		names = append(names, "volume "+v.Name)
	}
	return names
}

// inspectAll is what the engine shows about the containers with a label, their
// processes included.
func inspectAll(t *testing.T, api *client.Client, label string) string {
	t.Helper()
	ctx := context.Background()
	list, err := api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: client.Filters{}.Add("label", label)})
	if err != nil {
		t.Error(err)
	}
	var all strings.Builder
	for _, one := range list.Items {
		found, err := api.ContainerInspect(ctx, one.ID, client.ContainerInspectOptions{})
		if err != nil {
			t.Error(err)
		}
		top, err := api.ContainerTop(ctx, one.ID, client.ContainerTopOptions{})
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(&all, "%s %v\n", found.Raw, top.Processes)
	}
	return all.String()
}
