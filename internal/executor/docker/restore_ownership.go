package docker

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"refline/internal/errs"
)

// restoreOwnership gives files in writable mounts that belong to other users back to
// this user. Only root can do that, so one more container of the job's image does.
func (s *sandbox) restoreOwnership(ctx context.Context) error {
	if s.volumes != nil {
		return s.copyFromEngine(ctx) // copies belong to this user
	}
	var foreign []string // paths in a container
	conf := s.shellConfig([]string{""})
	conf.User = "0"
	host := s.hostConfig()
	host.NetworkMode = "none"
	for _, m := range s.spec.Mounts {
		if m.ReadOnly {
			continue
		}
		paths := foreignFiles(m.Source, s.started)
		for _, p := range paths {
			foreign = append(foreign, path.Join(m.Target, p))
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	host.Mounts = s.mounts()
	user, err := s.user(ctx, host)
	if err != nil {
		return err
	}
	id, err := s.create(ctx, client.ContainerCreateOptions{Config: conf, HostConfig: host, Platform: s.platform, Name: s.name("owner")})
	if err != nil {
		return fmt.Errorf("give files back to user %s: %w", user, err)
	}
	var out bytes.Buffer
	var script strings.Builder
	for some := range slices.Chunk(foreign, 100) { // command lines are limited
		names := quoteAll(some)
		// A file that its owner cannot read could be neither kept nor removed.
		fmt.Fprintf(&script, "chown -R -h %s -- %s || c=1\nchmod -R u+rX -- %s 2>/dev/null\n", user, names, names)
	}
	script.WriteString("exit $c\n")
	code, err := s.conn.run(ctx, id, script.String(), &out, &out, time.Nanosecond)
	if rerr := s.conn.removeContainers(context.WithoutCancel(ctx), []string{id}); err == nil {
		err = rerr
	}
	if err == nil && code != 0 {
		said := strings.TrimSpace(out.String())
		err = errs.E(errs.Denied, "exit code %d: %s", code, said[:min(len(said), openingSize)])
	}
	if err != nil {
		return fmt.Errorf("%d paths in the job's folders (such as %s) belong to other users and cannot be given back: %w", len(foreign), foreign[0], err)
	}
	return nil
}

// user returns the user who runs this program, as a container names it. A rootless
// engine maps this user to root. An engine with another mapping gets a container
// outside of the mapping.
func (s *sandbox) user(ctx context.Context, host *container.HostConfig) (string, error) {
	info, err := s.conn.api.Info(ctx, client.InfoOptions{})
	if err != nil {
		return "", s.conn.engineError(err)
	}
	for _, option := range info.Info.SecurityOptions {
		switch {
		case strings.HasPrefix(option, "name=rootless"):
			return "0:0", nil
		case strings.HasPrefix(option, "name=userns"):
			host.UsernsMode = "host"
		}
	}
	return fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid()), nil
}
