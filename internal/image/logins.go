package image

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/authn"

	"refline/internal/errs"
)

// countedBody counts what is read of it.
type countedBody struct {
	io.ReadCloser
	read *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read.Add(int64(n))
	return n, err
}

// logins are the auths of a config.json of Docker, by registry.
type logins map[string]authn.AuthConfig

// givenKeychain reads a config.json; helpers in it are not run.
func givenKeychain(config []byte) (authn.Keychain, error) {
	var file struct {
		Auths map[string]struct {
			Auth, Username, Password, IdentityToken, RegistryToken string
		} `json:"auths"`
	}
	if err := json.Unmarshal(config, &file); err != nil {
		return nil, errs.E(errs.Invalid, "the logins of registries (DOCKER_AUTH_CONFIG) are not JSON of the form {\"auths\": …}")
	}
	out := logins{}
	for host, a := range file.Auths {
		c := authn.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}
		if a.Auth != "" {
			text, err := base64.StdEncoding.DecodeString(a.Auth)
			user, password, ok := strings.Cut(string(text), ":")
			if err != nil || !ok {
				return nil, errs.E(errs.Invalid, "the login of %s in DOCKER_AUTH_CONFIG is not USER:PASSWORD in base64", host)
			}
			c.Username, c.Password = user, password
		}
		out[hostOfLogin(host)] = c
	}
	return out, nil
}

// hostOfLogin is the registry that a key of a config.json is for; Docker writes
// https://index.docker.io/v1/ for Docker Hub.
func hostOfLogin(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "https://"), "http://")
	host, _, _ := strings.Cut(key, "/")
	return host
}

// Resolve implements [authn.Keychain].
func (l logins) Resolve(r authn.Resource) (authn.Authenticator, error) {
	if c, ok := l[r.RegistryStr()]; ok {
		return authn.FromConfig(c), nil
	}
	return authn.Anonymous, nil
}
