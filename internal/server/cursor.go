package server

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"refline/internal/errs"
)

// A cursor is where a page of a list ended: the last id, bound to the filters of
// the list, so that a cursor of another list is refused.

func newCursor(last int64, filters ...string) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(last))
	return base64.RawURLEncoding.EncodeToString(append(b, filterSum(filters)...))
}

// readCursor returns the last id of the page before, 0 for the empty cursor.
func readCursor(text string, filters ...string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) != 16 || int64(binary.BigEndian.Uint64(b)) <= 0 || string(b[8:]) != string(filterSum(filters)) {
		return 0, errs.E(errs.Invalid, "the cursor is not one of this list with these filters; begin without a cursor")
	}
	return int64(binary.BigEndian.Uint64(b)), nil
}

func filterSum(filters []string) []byte {
	sum := sha256.Sum256([]byte(strings.Join(filters, "\x00")))
	return sum[:8]
}
