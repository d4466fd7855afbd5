package image

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"refline/internal/errs"
)

// Access says how registries are reached. The zero value: directly, with what
// docker login has kept of this user.
type Access struct {
	// Transport makes the connections; nil for that of this program.
	Transport http.RoundTripper
	// Logins is a config.json of Docker, used before that of the user; may be empty.
	Logins []byte
	// PlainHTTP speaks without TLS also to registries that are not on this computer or
	// at a private address.
	PlainHTTP bool
	// NoUserLogins leaves out what docker login has kept of this user: for what others
	// ask for.
	NoUserLogins bool
}

func (a Access) options(ctx context.Context, counted *atomic.Int64) ([]remote.Option, error) {
	through := a.Transport
	if through == nil {
		through = remote.DefaultTransport
	}
	keys, err := a.keychain()
	if err != nil {
		return nil, err
	}
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuthFromKeychain(keys), remote.WithUserAgent("refline"),
		remote.WithTransport(&uploadCounter{through, counted}),
	}, nil
}

func (a Access) nameOptions() []name.Option {
	if a.PlainHTTP {
		return []name.Option{name.Insecure}
	}
	return nil
}

// reference reads the name of an image.
func (a Access) reference(text string) (name.Reference, error) {
	ref, err := name.ParseReference(strings.TrimSpace(text), a.nameOptions()...)
	if err != nil {
		return nil, errs.E(errs.Invalid, "%.300q is not the name of an image, such as registry.example.com/data/flows:1.4: %w", text, err)
	}
	return ref, nil
}

// target reads the name that an image gets. It must say the registry, since a
// forgotten one would publish the code on Docker Hub.
func (a Access) target(text string) (name.Tag, error) {
	tag, err := name.NewTag(strings.TrimSpace(text), a.nameOptions()...)
	if err != nil {
		return tag, errs.E(errs.Invalid, "%.300q is not a name to push to, such as registry.example.com/data/flows:1.4: %w", text, err)
	}
	host, _, found := strings.Cut(strings.TrimSpace(text), "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return tag, errs.E(errs.Invalid, "%q names no registry: write registry.example.com/NAME:TAG, or docker.io/USER/NAME:TAG for Docker Hub", text)
	}
	return tag, nil
}

// uploadCounter counts the bytes of layers that are sent.
type uploadCounter struct {
	next http.RoundTripper
	sent *atomic.Int64
}

func (c *uploadCounter) RoundTrip(req *http.Request) (*http.Response, error) {
	if c.sent != nil && req.Body != nil && strings.Contains(req.URL.Path, "/blobs/uploads/") {
		req = req.Clone(req.Context())
		req.Body = &countedBody{req.Body, c.sent}
	}
	return c.next.RoundTrip(req)
}

// explain says what a registry answered, and what to do about it.
func explain(err error, doing string, ref name.Reference) error {
	host := ref.Context().RegistryStr()
	login := host
	if login == name.DefaultRegistry {
		login = ""
	}
	advice := strings.TrimSpace("docker login " + login)
	var answer *transport.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled), errs.KindOf(err) != errs.Internal:
		return fmt.Errorf("%s: %w", doing, err)
	case errors.As(err, &answer) && (answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden):
		return errs.E(errs.Denied, "%s: %s does not allow it with the login that this user has: %s; or the name is wrong: %w", doing, host, advice, err)
	case errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound:
		return errs.E(errs.NotFound, "%s: %s has no such image: %w", doing, host, err)
	case errors.As(err, &answer) && answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests:
		return errs.E(errs.Invalid, "%s: %w", doing, err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return errs.E(errs.Invalid, "%s: %s speaks http and not https; if that is meant, give --plain-http", doing, host)
	}
	return errs.E(errs.Unavailable, "%s: %w", doing, err)
}

// keychain looks up logins: those that were given first.
func (a Access) keychain() (authn.Keychain, error) {
	var list []authn.Keychain
	if len(a.Logins) > 0 {
		given, err := givenKeychain(a.Logins)
		if err != nil {
			return nil, err
		}
		list = append(list, given)
	}
	if !a.NoUserLogins {
		list = append(list, authn.DefaultKeychain)
	}
	return authn.NewMultiKeychain(list...), nil
}
