package image

import (
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// pushSBOM pushes the list of what was added as a referrer of the image, where
// tools look for it. The image has it too, for those that do not.
func (b *builder) pushSBOM(of partial.Describable) error {
	text, err := sbomOf(b.o.Manifest.Source, b.layers.files)
	if err != nil {
		return err
	}
	subject, err := partial.Descriptor(of)
	if err != nil {
		return err
	}
	img, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), sbomType),
		mutate.Addendum{Layer: static.NewLayer(text, sbomType), MediaType: sbomType})
	if err != nil {
		return err
	}
	subject.Platform, subject.Annotations = nil, nil
	attached, ok := mutate.Subject(img, *subject).(v1.Image)
	if !ok {
		return nil
	}
	digest, err := attached.Digest()
	if err != nil {
		return err
	}
	ref := b.target.Digest(digest.String())
	return explain(remote.Write(ref, attached, b.remote...), "push the SBOM of "+b.o.To, ref)
}
