//go:build !linux

package docker_test

import (
	"github.com/moby/moby/client"

	"refline/internal/executor/executortest"
)

func hideFolders() {}

func apart(*client.Client) *executortest.Apart { return nil }
