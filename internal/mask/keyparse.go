package mask

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/asn1"
	"encoding/binary"
	"math/big"
	"slices"
)

// keyParts is what a private key consists of.
type keyParts struct {
	private [][]byte    // its secret numbers, big-endian
	formats []keyFormat // the same key in other formats
	public  [][]byte    // its public half in binary formats

	// algorithm is what formats say of the kind of key, if that is long enough to
	// be masked.
	algorithm []byte
}

// keyFormat is a stretch of a key in a binary format, and where it begins in
// that format: its base64 depends on that.
type keyFormat struct {
	text   []byte
	offset int
	open   bool // more follows it
}

// opensshMagic begins the decoded body of a key in OpenSSH's own format
// (OpenSSH, PROTOCOL.key).
const opensshMagic = "openssh-key-v1\x00"

// parseKey reads a private key: OpenSSH's format, PKCS #1, PKCS #8, SEC 1 and
// the traditional form of DSA. It returns nil for anything else. Of an
// encrypted key it knows the public half at most.
func parseKey(der []byte) *keyParts {
	if bytes.HasPrefix(der, []byte(opensshMagic)) {
		return parseOpenSSH(der)
	}
	return parseDER(der, nil)
}

// parseOpenSSH reads magic, cipher, kdf, kdf options, number of keys, public
// key, private section. The section is a check number twice, the type, its
// fields, a comment and padding.
func parseOpenSSH(der []byte) *keyParts {
	r := sshReader{b: der[len(opensshMagic):]}
	cipher := r.field()
	r.field()
	r.field()
	r.skip(4)
	public := r.field()
	section := sshReader{b: r.field()}
	if r.bad {
		return &keyParts{}
	}
	encrypted := sshPublic(public)
	if string(cipher) != "none" {
		return encrypted
	}
	section.skip(8)
	kind := string(section.field())
	fields, known := map[string]int{"ssh-rsa": 6, "ssh-dss": 5, "ssh-ed25519": 2, "ecdsa-sha2-nistp256": 3,
		"ecdsa-sha2-nistp384": 3, "ecdsa-sha2-nistp521": 3}[kind]
	if !known {
		return encrypted
	}
	f := make([][]byte, fields)
	for i := range f {
		f[i] = section.field()
	}
	if section.bad {
		return encrypted
	}
	switch kind {
	case "ssh-rsa":
		return rsaParts(f[0], f[1], f[2], f[4], f[5])
	case "ssh-dss":
		return &keyParts{private: [][]byte{f[4]}, public: [][]byte{public}}
	case "ssh-ed25519":
		if len(f[1]) == ed25519.PrivateKeySize {
			return edParts(f[1][:ed25519.SeedSize])
		}
		return encrypted
	}
	for _, c := range curves() {
		if c.ssh == string(f[0]) {
			return ecParts(c, f[2])
		}
	}
	return encrypted
}

// parseDER reads a key in DER. algorithm is the curve that the PKCS #8 around
// it names.
func parseDER(der []byte, algorithm *curve) *keyParts {
	outer := elements(der)
	if len(outer) != 1 || outer[0].tag != tagSequence {
		return nil
	}
	e := elements(outer[0].content)
	if len(e) < 2 || e[0].tag != tagInteger {
		return nil
	}
	switch {
	case e[1].tag == tagSequence && len(e) >= 3 && e[2].tag == tagOctets:
		return parsePKCS8(e)
	case e[1].tag == tagOctets: // SEC 1: version, number, [0] curve, [1] point
		for _, x := range e[2:] {
			if x.tag == 0xa0 {
				algorithm = curveOf(x.content)
			}
		}
		if algorithm == nil {
			return &keyParts{private: [][]byte{e[1].content}}
		}
		return ecParts(algorithm, e[1].content)
	case len(e) >= 9: // PKCS #1: version, n, e, d, p, q, …
		return rsaParts(e[1].content, e[2].content, e[3].content, e[4].content, e[5].content)
	case len(e) == 6: // DSA: version, p, q, g, y, x
		return &keyParts{private: [][]byte{e[5].content}}
	}
	return nil
}

func parsePKCS8(e []element) *keyParts {
	inner := e[2].content
	if k := parseDER(inner, curveOf(e[1].content)); k != nil {
		return k
	}
	number := elements(inner)
	if len(number) != 1 || number[0].tag != tagOctets && number[0].tag != tagInteger {
		return &keyParts{private: [][]byte{inner}}
	}
	if bytes.Contains(e[1].content, []byte{0x06, 0x03, 0x2b, 0x65, 0x70}) && len(number[0].content) == ed25519.SeedSize {
		return edParts(number[0].content)
	}
	return &keyParts{private: [][]byte{number[0].content}} // X25519, Ed448, DSA
}

// rsaParts derives everything from the numbers that all formats have.
func rsaParts(n, e, d, p, q []byte) *keyParts {
	num := func(b []byte) *big.Int { return new(big.Int).SetBytes(b) }
	N, E, D, P, Q := num(n), num(e), num(d), num(p), num(q)
	one := big.NewInt(1)
	if P.Cmp(one) <= 0 || Q.Cmp(one) <= 0 || D.Sign() == 0 {
		return &keyParts{private: [][]byte{d, p, q}}
	}
	dp := new(big.Int).Mod(D, new(big.Int).Sub(P, one))
	dq := new(big.Int).Mod(D, new(big.Int).Sub(Q, one))
	qInv, pInv := new(big.Int).ModInverse(Q, P), new(big.Int).ModInverse(P, Q)
	if qInv == nil || pInv == nil {
		return &keyParts{private: [][]byte{d, p, q}}
	}
	k := &keyParts{}
	for _, x := range []*big.Int{D, P, Q, dp, dq, qInv, pInv} {
		k.private = append(k.private, x.Bytes())
	}
	zero := big.NewInt(0)
	pkcs1 := derOf(zero, N, E, D, P, Q, dp, dq, qInv)
	k.public, k.algorithm = rsaPublic(N, E)
	k.addDER(pkcs1, k.algorithm)
	k.addOpenSSH(k.public[0], sshFields([]byte("ssh-rsa"), mpint(N), mpint(E), mpint(D), mpint(qInv), mpint(P), mpint(Q)))
	k.formats = append(k.formats, keyFormat{text: sshFields(mpint(D), mpint(P), mpint(Q), mpint(qInv))}) // PuTTY
	return k
}

// rsaPublic returns a public half as SSH sends it, in PKCS #1 and as a
// certificate holds it, and what the last says of the kind of key.
func rsaPublic(n, e *big.Int) (public [][]byte, algorithm []byte) {
	algorithm = []byte{0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00}
	pkcs1 := derOf(n, e)
	spki := wrapDER(tagSequence, algorithm, wrapDER(0x03, []byte{0}, pkcs1))
	return [][]byte{sshFields([]byte("ssh-rsa"), mpint(e), mpint(n)), pkcs1, spki}, algorithm
}

// sshPublic returns the public half that SSH sends as blob in all its forms.
func sshPublic(blob []byte) *keyParts {
	r := sshReader{b: blob}
	kind, second, third := string(r.field()), r.field(), []byte(nil)
	k := &keyParts{public: [][]byte{blob}}
	switch {
	case kind == "ssh-rsa":
		if third = r.field(); !r.bad {
			k.public, k.algorithm = rsaPublic(new(big.Int).SetBytes(third), new(big.Int).SetBytes(second))
		}
	case kind == "ssh-ed25519" && len(second) == ed25519.PublicKeySize:
		k.public = edPublic(second)
	}
	for _, c := range curves() {
		if third = r.field(); kind == "ecdsa-sha2-"+c.ssh && !r.bad {
			k.public, k.algorithm = ecPublic(c, third)
			break
		}
	}
	return k
}

func edParts(seed []byte) *keyParts {
	pub := ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey)
	expanded := sha512.Sum512(seed)
	scalar := expanded[:32]
	scalar[0] &= 248
	scalar[31] = scalar[31]&127 | 64
	k := &keyParts{private: [][]byte{seed, scalar, expanded[32:]}}
	algorithm := []byte{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}
	k.addDER(wrapDER(tagOctets, seed), algorithm)
	k.public = edPublic(pub)
	k.addOpenSSH(k.public[0], sshFields([]byte("ssh-ed25519"), pub, slices.Concat(seed, pub)))
	k.formats = append(k.formats, keyFormat{text: sshFields(seed)}) // PuTTY
	return k
}

func edPublic(pub []byte) [][]byte {
	spki := wrapDER(tagSequence, []byte{0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70}, wrapDER(0x03, []byte{0}, pub))
	return [][]byte{sshFields([]byte("ssh-ed25519"), pub), spki}
}

// curve is an elliptic curve of NIST.
type curve struct {
	ssh  string
	oid  []byte // in DER
	size int    // of a scalar
	ecdh ecdh.Curve
}

func curves() []*curve {
	return []*curve{
		{"nistp256", []byte{0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}, 32, ecdh.P256()},
		{"nistp384", []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}, 48, ecdh.P384()},
		{"nistp521", []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23}, 66, ecdh.P521()},
	}
}

// curveOf returns the curve that a DER text names; nil if it is another.
func curveOf(der []byte) *curve {
	for _, c := range curves() {
		if bytes.Contains(der, c.oid) {
			return c
		}
	}
	return nil
}

func ecParts(c *curve, scalar []byte) *keyParts {
	short := bytes.TrimLeft(scalar, "\x00")
	if len(short) > c.size {
		return &keyParts{private: [][]byte{scalar}}
	}
	d := append(make([]byte, c.size-len(short)), short...)
	k := &keyParts{private: [][]byte{d}}
	key, err := c.ecdh.NewPrivateKey(d)
	if err != nil {
		return k
	}
	point := key.PublicKey().Bytes()
	version, number := []byte{0x02, 0x01, 0x01}, wrapDER(tagOctets, d)
	bits := wrapDER(0xa1, wrapDER(0x03, []byte{0}, point))
	k.addDER(wrapDER(tagSequence, version, number, wrapDER(0xa0, c.oid), bits), nil)
	k.public, k.algorithm = ecPublic(c, point)
	inner := wrapDER(tagSequence, version, number, bits)
	k.formats = append(k.formats, keyFormat{text: wrapDER(tagSequence, []byte{0x02, 0x01, 0x00}, k.algorithm, wrapDER(tagOctets, inner))})
	k.addOpenSSH(k.public[0], sshFields([]byte("ecdsa-sha2-"+c.ssh), []byte(c.ssh), point, mpint(new(big.Int).SetBytes(d))))
	k.formats = append(k.formats, keyFormat{text: sshFields(mpint(new(big.Int).SetBytes(d)))}) // PuTTY
	return k
}

func ecPublic(c *curve, point []byte) (public [][]byte, algorithm []byte) {
	algorithm = wrapDER(tagSequence, []byte{0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01}, c.oid)
	spki := wrapDER(tagSequence, algorithm, wrapDER(0x03, []byte{0}, point))
	return [][]byte{sshFields([]byte("ecdsa-sha2-"+c.ssh), []byte(c.ssh), point), spki}, algorithm
}

// addDER adds a key in DER, and with an algorithm the PKCS #8 around it.
func (k *keyParts) addDER(der, algorithm []byte) {
	if algorithm == nil || der[0] == tagSequence {
		k.formats = append(k.formats, keyFormat{text: der})
	}
	if algorithm != nil {
		k.formats = append(k.formats, keyFormat{text: wrapDER(tagSequence, []byte{0x02, 0x01, 0x00}, algorithm, wrapDER(tagOctets, der))})
	}
}

// addOpenSSH adds a key in OpenSSH's format without what differs from file to
// file: the length of the private section, its check numbers, the comment.
func (k *keyParts) addOpenSSH(public, private []byte) {
	head := slices.Concat([]byte(opensshMagic), sshFields([]byte("none"), []byte("none"), nil), []byte{0, 0, 0, 1}, sshFields(public))
	k.formats = append(k.formats, keyFormat{text: head, open: true}, keyFormat{text: private, offset: len(head) + 4 + 8, open: true})
}

// sshReader reads the length-prefixed fields of RFC 4251.
type sshReader struct {
	b   []byte
	bad bool
}

func (r *sshReader) skip(n int) {
	if r.bad = r.bad || len(r.b) < n; !r.bad {
		r.b = r.b[n:]
	}
}

func (r *sshReader) field() []byte {
	if r.bad || len(r.b) < 4 || uint64(binary.BigEndian.Uint32(r.b)) > uint64(len(r.b)-4) {
		r.bad = true
		return nil
	}
	n := binary.BigEndian.Uint32(r.b)
	content := r.b[4 : 4+n]
	r.b = r.b[4+n:]
	return content
}

func sshFields(fields ...[]byte) []byte {
	var out []byte
	for _, f := range fields {
		out = append(binary.BigEndian.AppendUint32(out, uint32(len(f))), f...)
	}
	return out
}

// mpint is the content of a number as SSH and DER write it: a zero before a
// first bit that is set.
func mpint(x *big.Int) []byte {
	b := x.Bytes()
	if len(b) > 0 && b[0] >= 0x80 {
		return append([]byte{0}, b...)
	}
	return b
}

// Tags of DER (X.690) that keys are made of.
const (
	tagInteger  = 0x02
	tagOctets   = 0x04
	tagSequence = 0x30
)

// wrapDER returns a value of DER with these contents.
func wrapDER(tag byte, contents ...[]byte) []byte {
	content := slices.Concat(contents...)
	out := []byte{tag}
	switch n := len(content); {
	case n < 0x80:
		out = append(out, byte(n))
	case n < 0x100:
		out = append(out, 0x81, byte(n))
	default:
		out = append(out, 0x82, byte(n>>8), byte(n))
	}
	return append(out, content...)
}

// derOf returns a sequence of numbers.
func derOf(numbers ...*big.Int) []byte {
	var all [][]byte
	for _, x := range numbers {
		b, err := asn1.Marshal(x)
		if err != nil {
			return nil
		}
		all = append(all, b)
	}
	return wrapDER(tagSequence, all...)
}

// element is a value of DER.
type element struct {
	tag     byte
	content []byte
}

// elements returns the values that follow one another in der; nil if they do
// not fill it.
func elements(der []byte) []element {
	var out []element
	for len(der) > 0 {
		if len(der) < 2 {
			return nil
		}
		tag, n := der[0], int(der[1])
		der = der[2:]
		if n >= 0x80 {
			size := n & 0x7f
			if size == 0 || size > 3 || size > len(der) {
				return nil
			}
			n = 0
			for _, c := range der[:size] {
				n = n<<8 | int(c)
			}
			der = der[size:]
		}
		if n > len(der) {
			return nil
		}
		out = append(out, element{tag, der[:n]})
		der = der[n:]
	}
	return out
}
