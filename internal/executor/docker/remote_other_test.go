//go:build !linux

package docker_test

import (
	"github.com/moby/moby/client"

	"refline/internal/executor/executortest"
)

func hideFolders() {}

func remote(*client.Client) *executortest.Remote { return nil }
