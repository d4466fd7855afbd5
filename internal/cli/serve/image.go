package serve

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"refline/internal/cli"
	"refline/internal/image"
	"refline/internal/localpipeline"
	"refline/internal/termview"
)

// baseLayersKept bounds the base layers in the cache folder.
const baseLayersKept = 5 << 30

func newImageCmd(e *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "image",
		Short: cli.OfServer["image"],
		Long: `Build container images that hold flows at one commit, without a container engine, and
show what is in one. See docs/images.md.

Exit codes: 0 good, 1 error, 2 usage.`,
		Example: `  refline image build flows/hello.py --base python:3.12 --to registry.example.com/data/hello:1.4
  refline image show registry.example.com/data/hello:1.4`,
	}
	cmd.AddCommand(newImageBuildCmd(e), newImageShowCmd(e))
	return cmd
}

type imageBuildOptions struct {
	localpipeline.Options
	base, to, output string
	platforms        []string
	submodules, lfs  bool
	plainHTTP, json  bool
}

func newImageBuildCmd(e *cli.Env) *cobra.Command {
	o := &imageBuildOptions{}
	cmd := &cobra.Command{
		Use:   "build [FLOW…]",
		Short: "Build an image with the files of a commit and push it",
		Long: `Build an image: the files of one commit as one layer on a base image, at /refline/src.
No container engine is needed. FLOW is a pipeline, Jsonnet or a script of the commit,
or a folder with some; without one it is the project's pipeline file. The first is the
default: docker run IMAGE runs it if it is a script.

The commit is the one that is checked out here, or what --branch, --tag or --commit
names, of --repo if given. Changes that are not committed are left out. The same
commit and base give the same digest, and only layers that the registry does not have
are sent. Registries are reached with the logins of docker login.

Exit codes: 0 built, 1 error, 2 usage.`,
		Example: `  refline image build flows/hello.py --base python:3.12 --to registry.example.com/data/hello:1.4
  refline image build flows/ --base python:3.12 --to registry.example.com/data/flows --platform linux/amd64 --platform linux/arm64
  refline image build etl.sh --repo https://git.example.com/data/etl.git --tag v2 --base debian:12 --to registry.example.com/etl:v2
  refline image build flows/hello.py --base python:3.12 --output hello.tar && docker load -i hello.tar`,
		RunE: func(cmd *cobra.Command, args []string) error { return runImageBuild(cmd.Context(), e, o, args) },
	}
	f := cmd.Flags()
	f.StringVar(&o.base, "base", "", "image that the files are put on, or a file that docker save wrote")
	f.StringVar(&o.to, "to", "", "where the image is pushed: REGISTRY/NAME[:TAG]")
	f.StringVarP(&o.output, "output", "o", "", "write the image to this file for docker load")
	f.StringSliceVar(&o.platforms, "platform", nil, "platform such as linux/arm64; repeatable (default: linux with this computer's processor)")
	f.StringVar(&o.Repo, "repo", "", "take the commit from this repository (URL or folder)")
	f.StringVar(&o.Branch, "branch", "", "the newest commit of this branch")
	f.StringVar(&o.Tag, "tag", "", "the commit of this tag")
	f.StringVar(&o.Commit, "commit", "", "this commit; here any revision: HEAD~1")
	f.StringArrayVar(&o.Inputs, "input", nil, "NAME=VALUE for spec:inputs, or of a script, as its default in the image; repeatable")
	f.BoolVar(&o.submodules, "submodules", false, "take submodules along")
	f.BoolVar(&o.lfs, "lfs", false, "with --repo: fetch LFS files too")
	f.BoolVar(&o.plainHTTP, "plain-http", false, "speak http to the registries; those on this computer and at private addresses need no flag")
	f.BoolVar(&o.json, "json", false, "print as JSON")
	cmd.MarkFlagsMutuallyExclusive("branch", "tag", "commit")
	return cmd
}

func runImageBuild(ctx context.Context, e *cli.Env, o *imageBuildOptions, flows []string) error {
	if o.base == "" {
		return cli.Usagef("name the image that the files are put on: --base python:3.12")
	}
	if o.to == "" && o.output == "" {
		return cli.Usagef("say where the image goes: --to REGISTRY/NAME:TAG, or --output FILE for docker load")
	}
	cache, err := e.CacheDir()
	if err != nil {
		return err
	}
	content, err := o.open(ctx, e, flows)
	if err != nil {
		return err
	}
	defer content.close()
	base := o.base
	if path := e.Path(base); strings.HasSuffix(base, ".tar") {
		base = path
	}
	in := image.Options{
		Dir: content.dir, Manifest: content.manifest, Base: base, To: o.to, Platform: o.platforms,
		Access: image.Access{PlainHTTP: o.plainHTTP}, Cache: filepath.Join(cache, "images"), CacheSize: baseLayersKept,
	}
	if o.output != "" {
		in.File = e.Path(o.output)
	}
	built, err := image.Build(ctx, in)
	if err != nil {
		return err
	}
	built.Base = o.base
	if o.json {
		return e.PrintJSON(struct {
			*image.Built
			Source image.Source `json:"source"`
			Flows  []image.Flow `json:"flows"`
		}{built, content.manifest.Source, content.manifest.Flows})
	}
	return o.print(e, built, &content.manifest)
}

func (o *imageBuildOptions) print(e *cli.Env, b *image.Built, m *image.Manifest) error {
	fmt.Fprintf(e.Stdout, "built %s\n", cmp.Or(b.Pinned, b.Image))
	added := termview.Count(b.Files, "file")
	if o.to != "" {
		added += ", " + termview.ByteSize(b.Uploaded) + " sent"
	}
	if err := e.PrintFields([][2]string{
		{"digest", b.Digest}, {"file", b.File}, {"commit", commitText(m.Source)}, {"flows", flowsText(m)}, {"base", b.Base},
		{"platforms", strings.Join(b.Platforms, ", ")}, {"added", added},
	}); err != nil {
		return err
	}
	if o.to != "" {
		fmt.Fprintf(e.Stdout, "register it: refline flow register --image %s --path %s\n", termview.ShellWord(o.to), termview.ShellWord(m.Flows[0].Path))
	}
	if m.Flows[0].Command != "" {
		load := ""
		if o.to == "" {
			load = "docker load -i " + termview.ShellWord(o.output) + " && "
		}
		fmt.Fprintf(e.Stdout, "run it: %sdocker run --rm %s\n", load, termview.ShellWord(cmp.Or(o.to, b.Image)))
	}
	return nil
}

func commitText(s image.Source) string {
	text := fmt.Sprintf("%.12s", s.Commit)
	if s.Ref != "" {
		text += fmt.Sprintf(" (%s %s)", s.RefKind, s.Ref)
	}
	return termview.Plain(strings.TrimSpace(text + " of " + cmp.Or(s.Repository, "a repository without a remote")))
}

func flowsText(m *image.Manifest) string {
	var list []string
	for i, f := range m.Flows {
		text := f.Path
		if i == 0 && len(m.Flows) > 1 {
			text += " (default)"
		}
		list = append(list, text)
	}
	return termview.Plain(strings.Join(list, ", "))
}

func newImageShowCmd(e *cli.Env) *cobra.Command {
	var asJSON, plainHTTP bool
	cmd := &cobra.Command{
		Use: "show IMAGE", Short: "Show the commit and the flows of an image", Args: cobra.ExactArgs(1),
		Long:    "Show which commit an image has, its flows, base and digest, by asking the registry.\n\nExit codes: 0 good, 1 error, 2 usage.",
		Example: "  refline image show registry.example.com/data/hello:1.4",
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := image.Open(cmd.Context(), args[0], image.Access{PlainHTTP: plainHTTP})
			if err != nil {
				return err
			}
			if asJSON {
				return e.PrintJSON(struct {
					Image     string       `json:"image"`
					Digest    string       `json:"digest"`
					Source    image.Source `json:"source"`
					Flows     []image.Flow `json:"flows"`
					Platforms []string     `json:"platforms"`
					Base      string       `json:"base,omitempty"`
					BaseOf    string       `json:"base_digest,omitempty"`
					Size      int64        `json:"bytes"`
				}{o.Image, o.Digest, o.Manifest.Source, o.Manifest.Flows, o.Platforms, o.Base, o.BaseOf, o.Size})
			}
			return e.PrintFields([][2]string{
				{"image", termview.Plain(o.Image)}, {"digest", o.Digest}, {"commit", commitText(o.Manifest.Source)},
				{"of", o.Manifest.Source.Time.UTC().Format(time.RFC3339)}, {"flows", flowsText(&o.Manifest)},
				{"base", termview.Plain(strings.TrimSpace(o.Base + " " + o.BaseOf))}, {"platforms", strings.Join(o.Platforms, ", ")}, {"size", termview.ByteSize(o.Size)},
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON")
	cmd.Flags().BoolVar(&plainHTTP, "plain-http", false, "speak http to the registry; one on this computer or at a private address needs no flag")
	return cmd
}
