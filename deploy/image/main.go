// Command image packs Refline's own image: see deploy/image/build, which `make image`
// calls.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"refline/internal/image"
)

// user is who a container runs as; Kubernetes compares it with runAsNonRoot.
const user = 1000

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run() error {
	o := image.PackOptions{Folders: map[string][]string{}, Files: map[string]string{}}
	pairs := func(use func(platform, value string)) func(string) error {
		return func(text string) error {
			platform, value, ok := strings.Cut(text, "=")
			if !ok {
				return fmt.Errorf("%q is not PLATFORM=PATH", text)
			}
			use(platform, value)
			return nil
		}
	}
	flag.Func("layer", "PLATFORM=FOLDER: the next layer of a platform", pairs(func(p, v string) { o.Folders[p] = append(o.Folders[p], v) }))
	flag.Func("file", "PLATFORM=FILE: write the image of a platform for docker load", pairs(func(p, v string) { o.Files[p] = v }))
	flag.StringVar(&o.Name, "name", "refline:dev", "REGISTRY/NAME:TAG of the image")
	flag.BoolVar(&o.Push, "push", false, "push to the registry of the name")
	version := flag.String("version", "dev", "version of the program")
	revision := flag.String("revision", "", "commit that it was built from")
	flag.Parse()
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return fmt.Errorf("SOURCE_DATE_EPOCH is not a time: %w", err)
	}
	o.Time = time.Unix(seconds, 0)
	const data = "/var/lib/refline"
	o.Config = image.PackConfig{
		Entrypoint: []string{"/usr/bin/tini", "--", "/usr/local/bin/refline"}, Cmd: []string{"server"},
		Env:  []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=" + data, "REFLINE_DATA=" + data + "/server", "LANG=C.UTF-8"},
		User: fmt.Sprintf("%d:%d", user, user), Dir: data, Owned: []string{data[1:]}, UID: user, Volumes: []string{data},
		Labels: map[string]string{
			"org.opencontainers.image.title": "Refline", "org.opencontainers.image.version": *version, "org.opencontainers.image.revision": *revision,
			"org.opencontainers.image.created": o.Time.UTC().Format(time.RFC3339),
		},
	}
	digest, err := image.Pack(context.Background(), o)
	if err != nil {
		return err
	}
	fmt.Printf("%s@%s\n", o.Name, digest)
	return nil
}
