package git

import (
	"bytes"
	"compress/zlib"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"refline/internal/errs"
)

// Commit is one commit as it is stored.
type Commit struct {
	SHA       string
	Parents   []string
	Tree      string
	Author    Person
	Committer Person
	Message   string // whole, as stored

	encoding string
}

// Person is an author or committer with the time and zone of the deed.
type Person struct {
	Name, Email string
	Time        time.Time
}

func (p Person) String() string { return p.Name + " <" + p.Email + ">" }

// ShortSHA is the first eight characters, as GitLab shortens.
func (c Commit) ShortSHA() string { return c.SHA[:min(8, len(c.SHA))] }

// Title is the first line of the message, whatever its length, as GitLab's
// CI_COMMIT_TITLE has it.
func (c Commit) Title() string {
	line, _, _ := strings.Cut(c.Message, "\n")
	line, _, _ = strings.Cut(line, "\r")
	return line
}

// Description is the message without its first line, or the whole message when
// that line has 100 characters or more: GitLab's CI_COMMIT_DESCRIPTION.
func (c Commit) Description() string {
	if len([]rune(c.Title())) >= 100 {
		return c.Message
	}
	_, rest, _ := strings.Cut(c.Message, "\n")
	return strings.TrimSuffix(strings.TrimSuffix(rest, "\n"), "\r")
}

// parseCommit reads the body of a commit object.
func parseCommit(id string, body []byte) (Commit, error) {
	c := Commit{SHA: id}
	head, message, _ := strings.Cut(string(body), "\n\n")
	for line := range strings.SplitSeq(head, "\n") {
		key, value, _ := strings.Cut(line, " ")
		switch key {
		case "tree":
			c.Tree = value
		case "parent":
			c.Parents = append(c.Parents, value)
		case "author":
			c.Author = parsePerson(value)
		case "committer":
			c.Committer = parsePerson(value)
		case "encoding":
			c.encoding = value
		}
	}
	if !isObjectID(c.Tree) {
		return Commit{}, errs.E(errs.Internal, "commit %s: it names no tree", id)
	}
	switch strings.ToLower(c.encoding) {
	case "", "utf-8", "utf8":
		c.Message = strings.ToValidUTF8(message, "\uFFFD")
	default: // ISO-8859-1 and its kin, by far the most common of the rest
		c.Message = latin1(message)
		c.Author.Name, c.Committer.Name = latin1(c.Author.Name), latin1(c.Committer.Name)
	}
	return c, nil
}

func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

// parsePerson reads "Name <email> seconds zone".
func parsePerson(s string) Person {
	var p Person
	open, end := strings.IndexByte(s, '<'), strings.LastIndexByte(s, '>')
	if open < 0 || end < open {
		return Person{Name: s}
	}
	p.Name, p.Email = strings.TrimSpace(s[:open]), s[open+1:end]
	seconds, zone, _ := strings.Cut(strings.TrimSpace(s[end+1:]), " ")
	sec, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return p
	}
	offset := 0
	if n, err := strconv.Atoi(zone); err == nil && len(zone) == 5 {
		offset = (n/100*60 + n%100) * 60
	}
	p.Time = time.Unix(sec, 0).In(time.FixedZone("", offset))
	return p
}

// readLoose reads an object that is not packed. ok is false when it is, or when
// the file cannot be read; git then finds out why.
func readLoose(objects, id string) (kind string, body []byte, ok bool) {
	if !isObjectID(id) {
		return "", nil, false
	}
	f, err := os.Open(filepath.Join(objects, id[:2], id[2:]))
	if err != nil {
		return "", nil, false
	}
	defer f.Close()
	z, err := zlib.NewReader(f)
	if err != nil {
		return "", nil, false
	}
	const enough = 8 << 20 // of a commit or a tag
	raw, err := io.ReadAll(io.LimitReader(z, enough))
	if err != nil {
		return "", nil, false
	}
	header, body, found := bytes.Cut(raw, []byte{0})
	kind, size, sized := strings.Cut(string(header), " ")
	if n, err := strconv.Atoi(size); !found || !sized || err != nil || n != len(body) {
		return "", nil, false
	}
	return kind, body, true
}
