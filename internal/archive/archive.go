// Package archive keeps files of a workspace as one stream: a tar in zstd
// frames, with an index at its end by which a single file is read without the
// rest. `tar --zstd -x` reads it too.
//
// It promises that the same files give the same bytes, that memory does not
// depend on their number or size but for the index, and that no archive changes
// anything outside of the folder it is restored into. It does not know what the
// files are for, nor where archives are kept.
//
// The tar is cut into pieces of [frameSize] bytes, and each is a frame of its
// own. Behind them is a skippable frame, which decoders pass over:
//
//	magic 0x184D2A5E and size, 4 bytes each, as zstd wants it
//	the index, compressed
//	its size and the magic "RFLINDX1", 8 bytes each
//
// All numbers are little-endian.
package archive

import (
	"fmt"

	"refline/internal/blob"
	"refline/internal/errs"
	"refline/internal/workspace"
)

const (
	frameSize  = 1 << 20
	skipMagic  = 0x184D2A5E
	indexMagic = "RFLINDX1"
	headBytes  = 8  // of a skippable frame
	tailBytes  = 16 // behind the index
)

// Limits bound an archive, when it is made and when it is read.
type Limits struct {
	Entries int   // files, links and directories
	Bytes   int64 // of the files
	Index   int64 // bytes of the index when it is read; 0 for as many as there can be
}

// DefaultLimits are far above what jobs keep.
var DefaultLimits = Limits{Entries: 2_000_000, Bytes: 1 << 40}

// count adds an entry and returns Invalid when there are too many.
func (l *Limits) count(e *workspace.Entry) error {
	if l.Entries--; l.Entries < 0 {
		return errs.E(errs.Invalid, "there are more files and directories than an archive may have: keep fewer, or pack them into one file")
	}
	if e.Size < 0 || e.Size > l.Bytes {
		return errs.E(errs.Invalid, "the files have more bytes than an archive may have, with %q", e.Path)
	}
	l.Bytes -= e.Size
	return nil
}

// Part is a selection under a name of its own in an archive. The parts are in
// the archive in the given order.
type Part struct {
	Name  string // with slashes
	Files *workspace.Selection
}

// damaged returns an error that is [blob.ErrDamaged].
func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %w", blob.ErrDamaged, fmt.Errorf(format, args...))
}
