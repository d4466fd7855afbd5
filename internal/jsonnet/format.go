package jsonnet

import (
	"errors"

	"github.com/google/go-jsonnet/formatter"

	"refline/internal/diag"
	"refline/internal/errs"
)

// Style is how source is formatted: the options of jsonnetfmt.
type Style struct {
	Indent        int // spaces; 0 leaves it
	MaxBlankLines int // 0 leaves them
	Strings       string
	Comments      string
	PadArrays     bool
	PadObjects    bool
	PrettyFields  bool // field names and indexes in their short form
	SortImports   bool
	ImplicitPlus  bool // no plus sign where none is needed
}

// The values of [Style.Strings] and [Style.Comments].
const (
	Double = "d"
	Single = "s"
	Hash   = "h"
	Slash  = "s"
	Leave  = "l"
)

// DefaultStyle is that of jsonnetfmt.
func DefaultStyle() Style {
	o := formatter.DefaultOptions()
	return Style{Indent: o.Indent, MaxBlankLines: o.MaxBlankLines, Strings: Single, Comments: Slash, PadArrays: o.PadArrays,
		PadObjects: o.PadObjects, PrettyFields: o.PrettyFieldNames, SortImports: o.SortImports, ImplicitPlus: o.UseImplicitPlus}
}

func (s Style) options() (formatter.Options, error) {
	o := formatter.Options{Indent: s.Indent, MaxBlankLines: s.MaxBlankLines, PadArrays: s.PadArrays, PadObjects: s.PadObjects,
		PrettyFieldNames: s.PrettyFields, SortImports: s.SortImports, UseImplicitPlus: s.ImplicitPlus}
	switch {
	case s.Indent < 0 || s.MaxBlankLines < 0:
		return o, errs.E(errs.Invalid, "an indent and a number of lines are 0 or more")
	case s.Strings == Double:
		o.StringStyle = formatter.StringStyleDouble
	case s.Strings == Single:
		o.StringStyle = formatter.StringStyleSingle
	case s.Strings == Leave:
		o.StringStyle = formatter.StringStyleLeave
	default:
		return o, errs.E(errs.Invalid, "the style of strings is d, s or l, not %q", s.Strings)
	}
	switch s.Comments {
	case Hash:
		o.CommentStyle = formatter.CommentStyleHash
	case Slash:
		o.CommentStyle = formatter.CommentStyleSlash
	case Leave:
		o.CommentStyle = formatter.CommentStyleLeave
	default:
		return o, errs.E(errs.Invalid, "the style of comments is h, s or l, not %q", s.Comments)
	}
	return o, nil
}

// Format returns src in the form that jsonnetfmt gives it. name stands for it
// in messages.
func Format(name, src string, style Style) (string, error) {
	o, err := style.options()
	if err != nil {
		return "", err
	}
	if err := tooDeep(name, src); err != nil {
		return "", err
	}
	out, err := formatter.Format(name, src, o)
	var fixed static
	switch {
	case errors.As(err, &fixed):
		return "", diag.List{atStatic(fixed)}.Err()
	case err != nil:
		return "", errs.E(errs.Invalid, "format %s: %w", name, err)
	}
	return out, nil
}
