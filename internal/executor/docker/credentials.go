package docker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/api/types/registry"

	"refline/internal/errs"
)

// config is the part of Docker's config.json that is used here.
type config struct {
	Auths          map[string]credential `json:"auths"`
	CredHelpers    map[string]string     `json:"credHelpers"`
	CredsStore     string                `json:"credsStore"`
	CurrentContext string                `json:"currentContext"`
}

type credential struct {
	Auth          string `json:"auth"` // base64 of user:password
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// readConfig reads the config.json of a folder; a missing one is empty.
func readConfig(dir string) (config, error) {
	path := filepath.Join(dir, "config.json")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return config{}, nil
	}
	if err != nil {
		return config{}, errs.E(errs.Denied, "Docker configuration: %w", err)
	}
	return parseConfig(b, path)
}

// parseConfig never puts the content into an error: it is secret.
func parseConfig(b []byte, source string) (config, error) {
	var c config
	if err := json.Unmarshal(b, &c); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			return config{}, errs.E(errs.Invalid, "%s: not JSON at byte %d", source, syntax.Offset)
		}
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return config{}, errs.E(errs.Invalid, "%s: field %s has a wrong type", source, wrong.Field)
		}
		return config{}, errs.E(errs.Invalid, "%s: not a Docker config.json", source)
	}
	return c, nil
}

// hubServer is the name under which Docker keeps the credentials of docker.io.
const hubServer = "https://index.docker.io/v1/"

// find returns the credentials for an image, or nil if c has none. A helper for the
// registry wins over entries of the file, and a longer path over a shorter one.
func (c config) find(ctx context.Context, ref reference) (*registry.AuthConfig, error) {
	server := ref.registry
	if server == hub {
		server = hubServer
	}
	for name, helper := range c.CredHelpers {
		if normalServer(name) == ref.registry {
			return askHelper(ctx, helper, name)
		}
	}
	best, length := credential{}, -1
	for name, one := range c.Auths {
		key := normalServer(name)
		whole := ref.registry + "/" + ref.path
		if (whole == key || strings.HasPrefix(whole, key+"/")) && len(key) > length && one != (credential{}) {
			best, length = one, len(key)
		}
	}
	if length >= 0 {
		return best.config(server)
	}
	if c.CredsStore != "" {
		return askHelper(ctx, c.CredsStore, server)
	}
	return nil, nil
}

// normalServer turns the spellings of a registry in config.json into host or
// host/path.
func normalServer(name string) string {
	name = strings.TrimPrefix(strings.TrimPrefix(name, "https://"), "http://")
	name = strings.TrimSuffix(name, "/")
	name = strings.TrimSuffix(strings.TrimSuffix(name, "/v1"), "/v2")
	switch name {
	case "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com":
		return hub
	}
	return name
}

func (c credential) config(server string) (*registry.AuthConfig, error) {
	a := &registry.AuthConfig{
		Username: c.Username, Password: c.Password, ServerAddress: server,
		IdentityToken: c.IdentityToken, RegistryToken: c.RegistryToken,
	}
	if c.Auth != "" {
		plain, err := base64.StdEncoding.DecodeString(c.Auth)
		user, password, ok := strings.Cut(string(plain), ":")
		if err != nil || !ok {
			return nil, errs.E(errs.Invalid, "the credentials for %s are not base64 of user:password", server)
		}
		a.Username, a.Password = user, strings.TrimRight(password, "\x00")
	}
	return a, nil
}

// helperTime limits a credential helper; some ask the user.
const helperTime = time.Minute

// askHelper runs docker-credential-NAME, which reads the server from its standard
// input and prints JSON. Errors do not include its output, which may be secret.
func askHelper(ctx context.Context, name, server string) (*registry.AuthConfig, error) {
	ctx, cancel := context.WithTimeout(ctx, helperTime)
	defer cancel()
	program := "docker-credential-" + name
	if strings.ContainsAny(name, `/\`) {
		return nil, errs.E(errs.Invalid, "credential helper %q is not a name", name)
	}
	cmd := exec.CommandContext(ctx, program, "get")
	cmd.Stdin = strings.NewReader(server)
	cmd.WaitDelay = time.Second
	var out bytes.Buffer
	cmd.Stdout = &out
	err := cmd.Run()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errs.E(errs.NotFound, "%s, which keeps the credentials for %s, is not in PATH", program, server)
	}
	if err != nil {
		// Helpers without credentials print "credentials not found" and fail.
		if strings.Contains(out.String(), "credentials not found") {
			return nil, nil
		}
		return nil, errs.E(errs.Unavailable, "get credentials for %[2]s from %[1]s: %[3]v", program, server, err)
	}
	var answer struct{ Username, Secret string }
	if json.Unmarshal(out.Bytes(), &answer) != nil {
		return nil, errs.E(errs.Invalid, "%s does not print JSON", program)
	}
	a := &registry.AuthConfig{Username: answer.Username, Password: answer.Secret, ServerAddress: server}
	if answer.Username == "<token>" {
		a.Username, a.Password, a.IdentityToken = "", "", answer.Secret
	}
	return a, nil
}

// registryAuth returns the credentials for an image in the engine's format, "" for
// none. The job's own come first, then the user's.
func (o Options) registryAuth(ctx context.Context, ref reference, jobConfig string) (string, error) {
	for _, read := range []func() (config, error){
		func() (config, error) {
			if jobConfig == "" {
				return config{}, nil
			}
			return parseConfig([]byte(jobConfig), "DOCKER_AUTH_CONFIG")
		},
		func() (config, error) { return readConfig(o.configDir()) },
	} {
		c, err := read()
		if err != nil {
			return "", err
		}
		auth, err := c.find(ctx, ref)
		if err != nil {
			return "", err
		}
		if auth != nil {
			b, err := json.Marshal(auth)
			return base64.URLEncoding.EncodeToString(b), err
		}
	}
	return "", nil
}
