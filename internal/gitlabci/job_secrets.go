package gitlabci

import (
	"slices"
	"strings"

	"refline/internal/diag"
	"refline/internal/pipeline"
)

// secretStores are the stores of secrets with their keys, the required ones first.
var secretStores = []struct {
	name     string
	text     bool // may also be a string
	required int
	keys     []string
}{
	{"vault", true, 3, []string{"engine", "path", "field"}},
	{"azure_key_vault", false, 1, []string{"name", "version"}},
	{"gcp_secret_manager", false, 1, []string{"name", "version"}},
	{"aws_secrets_manager", true, 1, []string{
		"secret_id", "version_id", "version_stage", "region", "role_arn", "role_session_name", "field",
	}},
	{"akeyless", false, 0, []string{
		"name", "data_key", "cert_user_name", "public_key_data", "csr_data", "akeyless_api_url",
		"akeyless_access_type", "akeyless_access_key", "akeyless_token", "uid_token", "gcp_audience",
		"azure_object_id", "k8s_service_account_token", "k8s_auth_config_name", "gateway_ca_certificate",
	}},
	{"gitlab_secrets_manager", false, 1, []string{"name", "source"}},
}

// readSecrets decodes secrets: variables and the stores of their values.
func (r reader) readSecrets(n *node) []pipeline.Secret {
	if n.kind != mapNode {
		r.wrong(n, "secrets", "a map of names and secrets")
		return nil
	}
	secrets := make([]pipeline.Secret, 0, len(n.keys))
	for i := range n.keys {
		name, value := n.keys[i].name, n.keys[i].value
		path := "secrets:" + name
		if value.kind != mapNode {
			r.wrong(value, path, "a map")
			continue
		}
		known := []string{"file", "token"}
		for _, store := range secretStores {
			known = append(known, store.name)
		}
		store := r.newSecretStore(value, known)
		if store == nil {
			r.mapping(value, path, known...)
		} else {
			r.unknownValue(store.value, path, store.name, "secret store", nil)
		}
		s := pipeline.Secret{Name: name, File: true, Token: r.text(value.get("token"), path+":token")}
		if file, ok := r.flag(value.get("file"), path+":file"); ok {
			s.File = file
		}
		if store != nil {
			s.Source = map[string]any{store.name: plain(store.value)}
		} else {
			s.Source = r.secretSource(value, path)
		}
		if !absent(value.get("gcp_secret_manager")) && s.Token == "" {
			r.errorf(value, "value", path, "needs a token for gcp_secret_manager")
		}
		secrets = append(secrets, s)
	}
	return secrets
}

// newSecretStore returns the key of a secret that may name a store of a newer
// GitLab, or nil. A key that resembles a known one is a typing error. Refline does
// not ask any store; it only reports that the secret needs one.
func (r reader) newSecretStore(n *node, known []string) *field {
	var store *field
	for i := range n.keys {
		f := &n.keys[i]
		switch {
		case f.name == "file" || f.name == "token":
		case store != nil || slices.Contains(known, f.name) || diag.Nearest(f.name, known) != "" || absent(f.value):
			return nil
		default:
			store = f
		}
	}
	return store
}

func (r reader) secretSource(n *node, path string) any {
	var names []string
	var source any
	for _, store := range secretStores {
		names = append(names, store.name)
		value := n.get(store.name)
		if absent(value) {
			continue
		}
		where := path + ":" + store.name
		if source != nil {
			r.errorf(value, "conflict", path, "can have one source only")
			return nil
		}
		source = map[string]any{store.name: plain(value)}
		if store.text && value.kind == stringNode {
			continue
		}
		if !r.mapping(value, where, store.keys...) {
			continue
		}
		for _, key := range store.keys[:store.required] {
			if absent(value.get(key)) {
				r.errorf(value, "value", where+":"+key, "is missing")
			}
		}
		r.vaultEngine(value.get("engine"), where+":engine")
	}
	if source == nil {
		r.errorf(n, "value", path, "must name its secret store: one of %s", strings.Join(names, ", "))
	}
	return source
}

func (r reader) vaultEngine(n *node, path string) {
	if !absent(n) && r.mapping(n, path, "name", "path") {
		r.filled(n, n.get("name"), path+":name")
		r.filled(n, n.get("path"), path+":path")
	}
}

// readIDTokens decodes id_tokens: names of variables, each with an audience.
func (r reader) readIDTokens(n *node, path string) []pipeline.IDToken {
	if n.kind != mapNode {
		r.wrong(n, path, "a map of names and tokens")
		return nil
	}
	tokens := make([]pipeline.IDToken, 0, len(n.keys))
	for i := range n.keys {
		name, value := n.keys[i].name, n.keys[i].value
		where := path + ":" + name
		if !r.mapping(value, where, "aud") {
			continue
		}
		aud := value.get("aud")
		if absent(aud) {
			r.errorf(value, "value", where+":aud", "is missing")
			continue
		}
		if aud.kind == seqNode && len(aud.items) == 0 {
			r.editor(aud, where+":aud", "is an empty list")
		}
		tokens = append(tokens, pipeline.IDToken{Name: name, Aud: r.texts(aud, where+":aud")})
	}
	return slices.Clip(tokens)
}
