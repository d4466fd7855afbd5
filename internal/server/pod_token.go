package server

import (
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"refline/internal/errs"
)

// podAudience is whom the tokens of pods are for: those for the cluster's own API are
// refused here, as ours are there.
const podAudience = "refline"

// podClaims is what a cluster says of a pod in its token.
type podClaims struct {
	Kubernetes struct {
		Pod struct {
			UID string `json:"uid"`
		} `json:"pod"`
	} `json:"kubernetes.io"`
}

// podOfToken checks a projected service-account token with the keys of its cluster,
// and returns the UID of the pod that it is bound to.
func podOfToken(token string, jwks []byte, now time.Time) (uid string, err error) {
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &keys); err != nil {
		return "", errs.E(errs.Internal, "the keys of the cluster: %w", err)
	}
	parsed, err := jwt.ParseSigned(token, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512})
	if err != nil {
		return "", errs.E(errs.Denied, "it is not a service-account token: %w", err)
	}
	var claims jwt.Claims
	var pod podClaims
	if err := parsed.Claims(&keys, &claims, &pod); err != nil {
		return "", errs.E(errs.Denied, "it is not signed by the cluster of the attempt's runner: %w", err)
	}
	switch {
	case claims.Expiry == nil:
		return "", errs.E(errs.Denied, "it does not expire")
	case !claims.Audience.Contains(podAudience):
		return "", errs.E(errs.Denied, "it is for %q, not for %q", claims.Audience, podAudience)
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{Time: now}, time.Minute); err != nil {
		return "", errs.E(errs.Denied, "%w", err)
	}
	if pod.Kubernetes.Pod.UID == "" {
		return "", errs.E(errs.Denied, "it is not bound to a pod")
	}
	return pod.Kubernetes.Pod.UID, nil
}

// checkKeys refuses what is not a set of public keys.
func checkKeys(jwks []byte) error {
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(jwks, &keys); err != nil {
		return errs.E(errs.Invalid, "the keys of the cluster: %w", err)
	}
	if len(keys.Keys) == 0 {
		return errs.E(errs.Invalid, "the keys of the cluster: the set is empty")
	}
	for _, k := range keys.Keys {
		if !k.IsPublic() {
			return errs.E(errs.Invalid, "the keys of the cluster: key %q is not public", k.KeyID)
		}
	}
	return nil
}
