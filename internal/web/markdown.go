package web

import (
	"bytes"
	"html/template"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// maxMarkdown bounds a text of a job that is shown.
const maxMarkdown = 32 << 10

// renderer writes Markdown as HTML. HTML in the text and addresses such as javascript:
// are left out by the library, images become links: a page loads nothing from elsewhere.
var renderer = sync.OnceValue(func() goldmark.Markdown {
	return goldmark.New(goldmark.WithExtensions(extension.Table, extension.Strikethrough),
		goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(plainMarkdown{}, 100))))
})

// markdown shows a text that a job wrote.
func markdown(source string) template.HTML {
	source = source[:min(len(source), maxMarkdown)]
	var out bytes.Buffer
	if err := renderer().Convert([]byte(source), &out); err != nil {
		return template.HTML(template.HTMLEscapeString(source))
	}
	return template.HTML(out.String())
}

// plainMarkdown makes links of images, and headings small enough for a part of a page.
type plainMarkdown struct{}

// Transform implements parser.ASTTransformer.
func (plainMarkdown) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	var images []*ast.Image
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			switch n := n.(type) {
			case *ast.Image:
				images = append(images, n)
			case *ast.Heading:
				n.Level = min(n.Level+2, 6)
			}
		}
		return ast.WalkContinue, nil // the walk has no errors
	})
	for _, image := range images {
		link := ast.NewLink()
		link.Destination, link.Title = image.Destination, image.Title
		for child := image.FirstChild(); child != nil; child = image.FirstChild() {
			link.AppendChild(link, child)
		}
		image.Parent().ReplaceChild(image.Parent(), image, link)
	}
}
