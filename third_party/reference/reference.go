// Package reference takes the place of github.com/distribution/reference in
// this program (go.mod has a replace line; docs/adr/0011-light-to-start.md has
// the numbers). That module compiles ten large regular expressions before main,
// in every command, although only a pull of an image needs them. This package
// has the part of its API that Docker's client calls, and compiles on first use.
//
// The grammar is that of
// https://pkg.go.dev/github.com/distribution/reference#hdr-Grammar.
package reference

import (
	"errors"
	"regexp"
	"strings"
	"sync"

	"github.com/opencontainers/go-digest"
)

// The errors of ParseNormalizedNamed and WithDigest.
var (
	ErrReferenceInvalidFormat = errors.New("invalid reference format")
	ErrDigestInvalidFormat    = errors.New("invalid digest format")
	ErrNameContainsUppercase  = errors.New("repository name must be lowercase")
	ErrNameTooLong            = errors.New("repository name must not be more than 255 characters")
)

// Reference names an image, or several.
type Reference interface{ String() string }

// Named is a reference with a repository: Name has its domain, too.
type Named interface {
	Reference
	Name() string
}

// Tagged is a reference with a tag.
type Tagged interface {
	Reference
	Tag() string
}

// Digested is a reference with a digest.
type Digested interface {
	Reference
	Digest() digest.Digest
}

// Canonical is a repository with a digest.
type Canonical interface {
	Named
	Digest() digest.Digest
}

const (
	defaultDomain = "docker.io"
	officialRepo  = "library/"
	maxPath       = 255
	tagFormat     = `[\w][\w.-]{0,127}`
	digestFormat  = `[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[[:xdigit:]]{32,}`
)

// format has the groups domain, path, tag and digest.
var format = sync.OnceValue(func() *regexp.Regexp {
	const (
		label  = `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
		domain = `(?:` + label + `(?:\.` + label + `)*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?`
		part   = `[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*`
	)
	return regexp.MustCompile(`^(?:(` + domain + `)/)?(` + part + `(?:/` + part + `)*)(?::(` + tagFormat + `))?(?:@(` + digestFormat + `))?$`)
})

var (
	identifier = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-f0-9]{64}$`) })
	validSum   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^` + digestFormat + `$`) })
)

type parts struct {
	domain, path, tag string
	digest            digest.Digest
}

// ParseNormalizedNamed reads the name of an image as people write it: without a
// domain it is one of docker.io, there without a slash one of library/.
func ParseNormalizedNamed(text string) (Named, error) {
	if identifier().MatchString(text) {
		return nil, errors.New("invalid repository name (" + text + "), cannot specify 64-byte hexadecimal strings")
	}
	domain, rest := splitDomain(text)
	name, _, _ := strings.Cut(rest, ":")
	if strings.ToLower(name) != name {
		return nil, errors.New("invalid reference format: " + ErrNameContainsUppercase.Error())
	}
	found := format().FindStringSubmatch(domain + "/" + rest)
	if found == nil {
		return nil, ErrReferenceInvalidFormat
	}
	p := parts{domain: found[1], path: found[2], tag: found[3], digest: digest.Digest(found[4])}
	if len(p.path) > maxPath {
		return nil, ErrNameTooLong
	}
	if p.digest != "" {
		if err := p.digest.Validate(); err != nil {
			return nil, err
		}
	}
	return p.named(), nil
}

// ParseAnyReference also takes an image's id, with or without its algorithm.
func ParseAnyReference(text string) (Reference, error) {
	if identifier().MatchString(text) {
		return digestOnly("sha256:" + text), nil
	}
	if d, err := digest.Parse(text); err == nil {
		return digestOnly(d), nil
	}
	return ParseNormalizedNamed(text)
}

func splitDomain(text string) (domain, rest string) {
	first, after, slash := strings.Cut(text, "/")
	switch {
	case !slash, !strings.ContainsAny(first, ".:") && first != "localhost" && strings.ToLower(first) == first:
		domain, rest = defaultDomain, text
	case first == "index.docker.io":
		domain, rest = defaultDomain, after
	default:
		domain, rest = first, after
	}
	if domain == defaultDomain && !strings.Contains(rest, "/") {
		rest = officialRepo + rest
	}
	return domain, rest
}

// TagNameOnly adds the tag latest to a name that has neither tag nor digest.
func TagNameOnly(ref Named) Named {
	p, ok := ref.(repository)
	if !ok {
		return ref
	}
	all := parts(p)
	all.tag = "latest"
	return all.named()
}

// WithDigest adds a digest to a name.
func WithDigest(name Named, sum digest.Digest) (Canonical, error) {
	if !validSum().MatchString(sum.String()) {
		return nil, ErrDigestInvalidFormat
	}
	p := partsOf(name)
	p.digest = sum
	if p.tag != "" {
		return taggedDigested{tagged(p)}, nil
	}
	return digested(p), nil
}

// FamiliarString is the text that people write: without docker.io and library/.
func FamiliarString(ref Reference) string {
	n, ok := ref.(Named)
	if !ok {
		return ref.String()
	}
	p := partsOf(n)
	if p.domain == defaultDomain {
		p.domain = ""
		if rest, ok := strings.CutPrefix(p.path, officialRepo); ok && !strings.Contains(rest, "/") {
			p.path = rest
		}
	}
	return p.text()
}

func partsOf(ref Named) parts {
	switch r := ref.(type) {
	case repository:
		return parts(r)
	case tagged:
		return parts(r)
	case digested:
		return parts(r)
	case taggedDigested:
		return parts(r.tagged)
	}
	return parts{path: ref.Name()}
}

func (p parts) name() string {
	if p.domain == "" {
		return p.path
	}
	return p.domain + "/" + p.path
}

func (p parts) text() string {
	text := p.name()
	if p.tag != "" {
		text += ":" + p.tag
	}
	if p.digest != "" {
		text += "@" + p.digest.String()
	}
	return text
}

// named has the methods Tag and Digest only where there are such.
func (p parts) named() Named {
	switch {
	case p.tag != "" && p.digest != "":
		return taggedDigested{tagged(p)}
	case p.tag != "":
		return tagged(p)
	case p.digest != "":
		return digested(p)
	}
	return repository(p)
}

type repository parts

func (r repository) Name() string   { return parts(r).name() }
func (r repository) String() string { return parts(r).text() }

type tagged parts

func (r tagged) Name() string   { return parts(r).name() }
func (r tagged) String() string { return parts(r).text() }
func (r tagged) Tag() string    { return r.tag }

type digested parts

func (r digested) Name() string          { return parts(r).name() }
func (r digested) String() string        { return parts(r).text() }
func (r digested) Digest() digest.Digest { return r.digest }

type taggedDigested struct{ tagged }

func (r taggedDigested) Digest() digest.Digest { return r.digest }

type digestOnly digest.Digest

func (d digestOnly) String() string        { return string(d) }
func (d digestOnly) Digest() digest.Digest { return digest.Digest(d) }
