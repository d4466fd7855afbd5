package docker

import (
	"context"
	"errors"

	"github.com/moby/moby/client"

	"refline/internal/executor"
	"refline/internal/lock"
)

// The labels of everything that is made.
const (
	labelRun   = "refline.run"
	labelJob   = "refline.job"
	labelOwner = "refline.owner" // lock.Owner
)

func (c *connection) labels(spec executor.Spec) map[string]string {
	return map[string]string{labelRun: spec.RunID, labelJob: spec.JobID, labelOwner: c.owner.String()}
}

// Sweep removes containers, networks and volumes whose owner is a dead process of
// this computer. Without an engine there is nothing to do.
func (e *Executor) Sweep(ctx context.Context) error {
	c, err := e.connect(ctx)
	if err != nil {
		return context.Cause(ctx)
	}
	orphan := func(labels map[string]string) bool {
		owner, ok := lock.ParseOwner(labels[labelOwner])
		return ok && owner.Dead(c.owner)
	}
	filter := client.Filters{}.Add("label", labelOwner)
	containers, err := c.api.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: filter})
	if err != nil {
		return c.engineError(err)
	}
	var ids []string
	for _, one := range containers.Items {
		if orphan(one.Labels) {
			ids = append(ids, one.ID)
		}
	}
	all := []error{c.removeContainers(ctx, ids)}
	networks, err := c.api.NetworkList(ctx, client.NetworkListOptions{Filters: filter})
	if err != nil {
		return errors.Join(append(all, c.engineError(err))...)
	}
	for _, one := range networks.Items {
		if orphan(one.Labels) {
			all = append(all, c.removeNetwork(ctx, one.ID))
		}
	}
	volumes, err := c.api.VolumeList(ctx, client.VolumeListOptions{Filters: filter})
	if err != nil {
		return errors.Join(append(all, c.engineError(err))...)
	}
	for _, one := range volumes.Items {
		if orphan(one.Labels) {
			all = append(all, c.removeVolume(ctx, one.Name))
		}
	}
	return errors.Join(all...)
}
