package workspace

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"refline/internal/errs"
)

// canMount reports whether this process may mount at all.
func canMount() bool { return os.Geteuid() == 0 }

// mountOverlay mounts a writable view of the folder lower on the empty folder
// dst. After an error dst is unchanged.
func mountOverlay(lower, dst string) error {
	if strings.ContainsAny(lower+dst, `,:\`) {
		return errs.E(errs.Invalid, "the path %s cannot be an option of a mount", dst)
	}
	side := dst + overlaySuffix
	upper, work := filepath.Join(side, "upper"), filepath.Join(side, "work")
	for _, dir := range []string{side, upper, work} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			return errors.Join(err, RemoveAll(side))
		}
	}
	// volatile: no sync at unmount, since these files are of no use after a crash.
	// redirect_dir: a job may rename directories of the base, as on any disk.
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s,volatile,redirect_dir=on", lower, upper, work)
	if err := unix.Mount("refline", dst, "overlay", unix.MS_NODEV, options); err != nil {
		return errors.Join(pathError("mount", dst, err), RemoveAll(side))
	}
	return nil
}

func unmountOverlay(dst string) error {
	err := unix.Unmount(dst, unix.UMOUNT_NOFOLLOW)
	if errors.Is(err, unix.EBUSY) {
		err = unix.Unmount(dst, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH)
	}
	if err != nil {
		return pathError("unmount", dst, err)
	}
	return RemoveAll(dst + overlaySuffix)
}

// unmountBelow undoes the mounts inside dir, the last one first.
func unmountBelow(dir string) error {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for _, point := range mountsBelow(string(table), dir) {
		if err := unix.Unmount(point, unix.UMOUNT_NOFOLLOW|unix.MNT_DETACH); err != nil {
			return pathError("unmount", point, err)
		}
	}
	return nil
}

// mountsBelow finds the mount points inside dir in a table of the form that
// proc_pid_mountinfo(5) describes, the last one first.
func mountsBelow(table, dir string) []string {
	var points []string
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if point := unescape.Replace(fields[4]); strings.HasPrefix(point, dir+"/") || point == dir {
			points = append(points, point)
		}
	}
	slices.Reverse(points)
	return points
}
