package secret

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"refline/internal/errs"
)

// Vault encrypts values that a server keeps. Each is bound to its [Place], so a
// ciphertext that is moved to another row does not open. The last key encrypts,
// all of them decrypt. A Vault is safe for use by several goroutines.
type Vault struct{ keys []vaultKey }

// vaultKey is a key of 32 bytes. The id follows from the key, so a key that is
// damaged or exchanged has another id.
type vaultKey struct {
	id  string
	key []byte
}

func newVaultKey(key []byte) vaultKey {
	sum := sha256.Sum256(append([]byte("refline vault key id\x00"), key...))
	return vaultKey{id: hex.EncodeToString(sum[:8]), key: key}
}

// Place is where an encrypted value belongs.
type Place struct {
	Kind        string // of the row: "variable", "key" …
	Scope       int64  // project, 0 for the instance
	Name        string
	Environment string
	Version     int64  // of the row, so that an older value does not come back
	Flags       string // of the row, such as "protected", so that they are not changed from outside
}

// Sealed is an encrypted value.
type Sealed struct {
	Key  string // id of the key
	Data []byte // nonce and ciphertext
}

// bound is the additional data of a ciphertext: each field with its length, so
// that no two places have the same.
func (p Place) bound(key string) []byte {
	var b []byte
	for _, s := range []string{"refline/1", p.Kind, p.Name, p.Environment, p.Flags, key} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(p.Scope))
	return binary.BigEndian.AppendUint64(b, uint64(p.Version))
}

// Key returns the id of the key that encrypts.
func (v *Vault) Key() string { return v.keys[len(v.keys)-1].id }

// Keys returns the ids of all keys.
func (v *Vault) Keys() []string {
	ids := make([]string, len(v.keys))
	for i, k := range v.keys {
		ids[i] = k.id
	}
	return ids
}

// Seal encrypts a value for its place.
func (v *Vault) Seal(p Place, value Value) (Sealed, error) {
	k := v.keys[len(v.keys)-1]
	aead, err := chacha20poly1305.NewX(k.key)
	if err != nil {
		return Sealed{}, errs.E(errs.Internal, "key %s of the vault: %w", k.id, err)
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+value.Len()+aead.Overhead())
	_, _ = rand.Read(nonce) // it never fails: crypto/rand ends the program instead
	return Sealed{Key: k.id, Data: aead.Seal(nonce, nonce, value.bytes(), p.bound(k.id))}, nil
}

// Open decrypts what [Vault.Seal] made for the same place. Denied if the key is
// missing; Conflict if the ciphertext is damaged or belongs to another place.
func (v *Vault) Open(p Place, s Sealed) (Value, error) {
	i := slices.IndexFunc(v.keys, func(k vaultKey) bool { return k.id == s.Key })
	if i < 0 {
		return Value{}, errs.E(errs.Denied, "%s %s is encrypted with key %s, and the key file holds %s", p.Kind, p.Name, s.Key, strings.Join(v.Keys(), ", "))
	}
	aead, err := chacha20poly1305.NewX(v.keys[i].key)
	if err != nil {
		return Value{}, errs.E(errs.Internal, "key %s of the vault: %w", s.Key, err)
	}
	damaged := errs.E(errs.Conflict, "%s %s cannot be decrypted: its row was changed from outside, moved or damaged; set the value again", p.Kind, p.Name)
	if len(s.Data) < aead.NonceSize() {
		return Value{}, damaged
	}
	plain, err := aead.Open(nil, s.Data[:aead.NonceSize()], s.Data[aead.NonceSize():], p.bound(s.Key))
	if err != nil {
		return Value{}, damaged
	}
	return Value{func() []byte { return plain }}, nil
}

// Missing returns which of the keys the vault does not have.
func (v *Vault) Missing(keys []string) []string {
	var missing []string
	for _, id := range keys {
		if !slices.Contains(v.Keys(), id) {
			missing = append(missing, id)
		}
	}
	return missing
}
