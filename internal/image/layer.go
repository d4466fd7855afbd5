package image

import (
	"archive/tar"
	"compress/gzip"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// compression is that of every layer: another level gives other digests.
const compression = gzip.DefaultCompression

// writeLayer writes a compressed layer into a file, by what fill adds to it.
func writeLayer(file string, when time.Time, fill func(*treeWriter) error) (_ *treeWriter, err error) {
	out, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
	}()
	packed, err := gzip.NewWriterLevel(out, compression)
	if err != nil {
		return nil, err
	}
	w := &treeWriter{tar: tar.NewWriter(packed), when: when.UTC().Truncate(time.Second)}
	if err := fill(w); err != nil {
		return nil, err
	}
	if err := w.tar.Close(); err != nil {
		return nil, err
	}
	return w, packed.Close()
}

// openLayer is a layer that [writeLayer] wrote, in the form of its image.
func openLayer(file string, kind types.MediaType) (v1.Layer, error) {
	return tarball.LayerFromFile(file, tarball.WithMediaType(kind))
}

// layerType is the form of layers that goes with that of an image.
func layerType(image types.MediaType) types.MediaType {
	if image == types.OCIManifestSchema1 {
		return types.OCILayer
	}
	return types.DockerLayer
}

// layers are the files of what [Build] adds: one layer with the files of the commit
// and one with what is about them, so that another choice of flows uploads nothing
// of the first again.
type layers struct {
	source, about string
	files         []File
}

// makeLayers writes both into a folder.
func makeLayers(dir string, o *Options) (*layers, error) {
	l := &layers{source: filepath.Join(dir, "source.tar.gz"), about: filepath.Join(dir, "about.tar.gz")}
	when := o.Manifest.Source.Time
	w, err := writeLayer(l.source, when, func(w *treeWriter) error {
		below := SourceFolder[1:]
		if err := w.addParents(below); err != nil {
			return err
		}
		return w.addTree(o.Dir, below)
	})
	if err != nil {
		return nil, err
	}
	l.files = w.files
	manifest, err := o.Manifest.encode()
	if err != nil {
		return nil, err
	}
	sbom, err := sbomOf(o.Manifest.Source, l.files)
	if err != nil {
		return nil, err
	}
	_, err = writeLayer(l.about, when, func(w *treeWriter) error {
		if err := w.addParents(Folder[1:]); err != nil {
			return err
		}
		for _, f := range []struct {
			name string
			mode int64
			data []byte
		}{{manifestFile, 0o644, manifest}, {runFile, 0o755, runScript(&o.Manifest)}, {sbomFile, 0o644, sbom}} {
			if err := w.addBytes(f.name[1:], f.mode, f.data); err != nil {
				return err
			}
		}
		return nil
	})
	return l, err
}
