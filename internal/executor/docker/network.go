package docker

import (
	"context"
	"fmt"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"refline/internal/errs"
)

// createNetwork makes the job's network. A job without services has none: the number
// of networks is limited by default.
func (s *sandbox) createNetwork(ctx context.Context) error {
	made, err := s.conn.api.NetworkCreate(context.WithoutCancel(ctx), s.name("net"), client.NetworkCreateOptions{Driver: "bridge", Labels: s.labels})
	if err != nil {
		return fmt.Errorf("network of the job: %w", s.conn.engineError(err))
	}
	s.network = made.ID
	return nil
}

// checkNetwork finds the network of Options before anything is made. Docker's own
// host and none are modes: a container in one of them can join no other.
func (s *sandbox) checkNetwork(ctx context.Context) error {
	name := s.opts.Network
	if name == "" {
		return nil
	}
	found, err := s.conn.api.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	switch {
	case cerrdefs.IsNotFound(err):
		return errs.E(errs.NotFound, "network %s is not on the engine at %s; `docker network ls` lists all, `docker network create %s` makes it", name, s.conn.host, name)
	case err != nil:
		return fmt.Errorf("network %s: %w", name, s.conn.engineError(err))
	case found.Network.Driver == "host" || found.Network.Driver == "null":
		return errs.E(errs.Invalid, "network %s: containers cannot join it beside another network; want one that `docker network create` made", name)
	}
	return nil
}

// joinNetwork connects a container that does not run yet.
func (s *sandbox) joinNetwork(ctx context.Context, container string, aliases []string) error {
	if s.opts.Network == "" {
		return nil
	}
	_, err := s.conn.api.NetworkConnect(ctx, s.opts.Network, client.NetworkConnectOptions{
		Container: container, EndpointConfig: &network.EndpointSettings{Aliases: aliases},
	})
	if err != nil {
		return fmt.Errorf("join network %s: %w", s.opts.Network, s.conn.engineError(err))
	}
	return nil
}
