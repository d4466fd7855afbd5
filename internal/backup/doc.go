// Package backup writes all that a server keeps into one stream, and reads it into an
// empty server, on SQLite or PostgreSQL, with blobs in a folder or in S3.
//
// It promises that a backup is of one moment, also while the server works; that a
// restore is whole or leaves an empty database; and that a stream which was cut or
// changed is refused. The key that encrypts what is secret is in it only when that is
// asked for. It does not know what the rows mean.
//
// The stream is a tar archive in gzip: backup.json (what it is), database/… (rows as
// JSON), blobs/… and logs/… (as they are), secret-keys if asked for, end.json (how many
// entries there are, so that a cut stream is noticed).
package backup

import (
	"encoding/json"
	"time"

	"refline/internal/errs"
	"refline/internal/store"
)

// Format is the version of the stream.
const Format = 1

// Names of entries.
const (
	headName  = "backup.json"
	endName   = "end.json"
	keyName   = "secret-keys"
	tableDir  = "database/"
	blobDir   = "blobs/"
	logDir    = "logs/"
	sumRecord = "REFLINE.sha256" // in the header of a blob
)

// Head says what a backup is.
type Head struct {
	Format  int       `json:"format"`
	Version string    `json:"version"` // of the program
	Schema  int64     `json:"schema"`  // of the database
	Created time.Time `json:"created"`
	Keys    []string  `json:"keys,omitempty"` // ids of the keys that encrypted values need
	HasKey  bool      `json:"has_key"`        // the key file is in it
}

// Summary counts what a backup holds.
type Summary struct {
	Head
	Rows  int64 `json:"rows"`
	Blobs int64 `json:"blobs"`
	Logs  int64 `json:"logs"`
	Bytes int64 `json:"bytes"` // before compression
}

// end is the last entry.
type end struct {
	Entries int64 `json:"entries"`
}

// rows is a chunk as it is written: what is not text or a number is {"base64": …}.
type rows struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
	Rows    [][]cell `json:"rows"`
}

// cell is a value of a row.
type cell struct{ value any }

type binary struct {
	Base64 []byte `json:"base64"`
}

// MarshalJSON writes a number, a text, {"base64": …} or null.
func (c cell) MarshalJSON() ([]byte, error) {
	if b, ok := c.value.([]byte); ok {
		return json.Marshal(binary{b})
	}
	return json.Marshal(c.value)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *cell) UnmarshalJSON(text []byte) error {
	switch {
	case string(text) == "null":
		c.value = nil
		return nil
	case text[0] == '"':
		var s string
		err := json.Unmarshal(text, &s)
		c.value = s
		return err
	case text[0] == '{':
		b := binary{}
		err := json.Unmarshal(text, &b)
		c.value = append([]byte{}, b.Base64...)
		return err
	}
	var n int64
	err := json.Unmarshal(text, &n)
	c.value = n
	return err
}

func rowsOf(c store.Chunk) rows {
	out := rows{Table: c.Table, Columns: c.Columns}
	for _, row := range c.Rows {
		cells := make([]cell, len(row))
		for i, v := range row {
			cells[i] = cell{v}
		}
		out.Rows = append(out.Rows, cells)
	}
	return out
}

func (r rows) chunk() store.Chunk {
	out := store.Chunk{Table: r.Table, Columns: r.Columns}
	for _, row := range r.Rows {
		values := make([]any, len(row))
		for i, c := range row {
			values[i] = c.value
		}
		out.Rows = append(out.Rows, values)
	}
	return out
}

func damaged(format string, args ...any) error {
	return errs.E(errs.Invalid, "the backup is damaged: "+format, args...)
}
