package gitlabci

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"go.yaml.in/yaml/v4"
)

// The largest public pipeline of the conformance data: loading against parsing
// alone, which is the floor.
func BenchmarkLoadLargest(b *testing.B) {
	dir := conformance(b, "gitlab/pipelines/Kitware__VTK")
	in := Input{Root: Source{Kind: SourceLocal, Path: ".gitlab-ci.yml"}, Loader: folder(dir)}
	b.Run("load", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var f findings
			if c, _ := newLoading(b.Context(), in, stubRules{}, &f).load(in); c == nil {
				b.Fatal(lines(f.list))
			}
		}
	})
	b.Run("parse", func(b *testing.B) {
		var f findings
		c, _ := newLoading(b.Context(), in, stubRules{}, &f).load(in)
		var texts [][]byte
		for _, s := range c.files {
			text, _, err := folder(dir).Read(b.Context(), s)
			if err != nil {
				b.Fatal(err, filepath.Join(dir, s.Path))
			}
			texts = append(texts, text)
		}
		b.ReportAllocs()
		for b.Loop() {
			for _, text := range texts {
				l, _ := yaml.NewLoader(bytes.NewReader(text))
				var n yaml.Node
				for err := error(nil); !errors.Is(err, io.EOF); {
					err = l.Load(&n)
				}
			}
		}
	})
}
