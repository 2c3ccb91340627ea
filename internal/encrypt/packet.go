package encrypt

import (
	"encoding/binary"
	"math/big"
)

// maxPackets bounds what is given to the library; a key with its user ids, subkeys and own signatures has a few dozen.
const maxPackets = 500

// The packets of a public key, and those that are refused by name.
const (
	tagSignature = 2
	tagSecret    = 5
	tagPublic    = 6
	tagSecretSub = 7
	tagPacked    = 8
	tagMarker    = 10
	tagTrust     = 12
	tagUser      = 13
	tagSubkey    = 14
	tagAttribute = 17
	tagPadding   = 21
)

// The algorithms of primary keys.
const (
	algorithmRSA       = 1
	algorithmRSASecret = 2 // encryption only
	algorithmRSASign   = 3
	algorithmElGamal   = 16
	algorithmDSA       = 17
	algorithmECDSA     = 19
	algorithmElGamal20 = 20
	algorithmEdDSA     = 22
	algorithmEd25519   = 27
	algorithmEd448     = 28
)

// checkPackets walks over the packets of a key: a private key, a second key and anything else that is no public key is
// refused before the library sees it (C11).
func checkPackets(b []byte) error {
	keys := 0
	for n := 0; len(b) > 0; n++ {
		tag, body, rest, err := nextPacket(b)
		if err != nil {
			return err
		}
		if n == maxPackets {
			return refuse("PGP-1019", "the encryption key has more than %d packets; export it without signatures of others: gpg --armor --export-options export-minimal --export", maxPackets)
		}
		switch tag {
		case tagSecret, tagSecretSub:
			return private()
		case tagPublic:
			if keys++; keys > 1 {
				return refuse("PGP-1009", "there is more than one key in the block; export exactly one")
			}
			err = checkKey(body, true)
		case tagSubkey:
			err = checkKey(body, false)
		case tagPacked:
			return refuse("PGP-1019", "there is a compressed packet, which no public key has")
		case tagSignature, tagMarker, tagTrust, tagUser, tagAttribute, tagPadding:
		default:
			return refuse("PGP-1006", "this is an OpenPGP message or something else that is no key (packet %d)", tag)
		}
		if err != nil {
			return err
		}
		if n == 0 && tag != tagPublic {
			return refuse("PGP-1006", "the block does not begin with a public key")
		}
		b = rest
	}
	if keys == 0 {
		return refuse("PGP-1001", "there is no public key in the block")
	}
	return nil
}

// nextPacket splits the first packet off.
func nextPacket(b []byte) (tag byte, body, rest []byte, err error) {
	damaged := refuse("PGP-1008", "the key is damaged; export it again")
	h := b[0]
	b = b[1:]
	size, width := uint64(0), 0
	switch {
	case h&0x80 == 0:
		return 0, nil, nil, damaged
	case h&0x40 == 0: // the old form
		tag, width = h>>2&15, 1<<(h&3)
		if h&3 == 3 {
			return 0, nil, nil, damaged
		}
	case len(b) > 0 && b[0] < 192:
		tag, size, b = h&63, uint64(b[0]), b[1:]
	case len(b) > 1 && b[0] < 224:
		tag, size, b = h&63, (uint64(b[0])-192)<<8+uint64(b[1])+192, b[2:]
	case len(b) > 0 && b[0] == 255:
		tag, width, b = h&63, 4, b[1:]
	case len(b) > 0 && b[0] >= 224: // a length in parts, which keys do not have
		return 0, nil, nil, damaged
	}
	if width > len(b) || tag == 0 {
		return 0, nil, nil, cutOff()
	}
	for _, c := range b[:width] {
		size = size<<8 | uint64(c)
	}
	if b = b[width:]; size > uint64(len(b)) {
		return 0, nil, nil, cutOff()
	}
	return tag, b[:size], b[size:], nil
}

func cutOff() error { return refuse("PGP-1007", "the key is cut off; enter the whole block") }

// checkKey checks version, algorithm and, of RSA, the numbers of a key; of subkeys only what would cost too much to go on.
func checkKey(body []byte, primary bool) error {
	if len(body) < 6 {
		return cutOff()
	}
	version, algorithm, material := body[0], body[5], body[6:]
	if version == 6 {
		if len(material) < 4 {
			return cutOff()
		}
		material = material[4:]
	}
	if version != 4 && version != 6 {
		return refuse("PGP-1018", "the key has version %d; versions 4 and 6 are taken", version)
	}
	switch algorithm {
	case algorithmRSA, algorithmRSASecret, algorithmRSASign:
		n, e, err := rsaNumbers(material)
		if err != nil {
			return err
		}
		return checkSize(n, e, primary)
	}
	if !primary {
		return nil
	}
	switch algorithm {
	case algorithmDSA, algorithmElGamal, algorithmElGamal20:
		return refuse("PGP-1013", "the key is of DSA or ElGamal, which are not taken; make one of RSA with 3072 bits or more, or Curve25519")
	case algorithmECDSA, algorithmEdDSA, algorithmEd25519, algorithmEd448:
		return nil
	}
	return refuse("PGP-1018", "the key has the algorithm %d, which is not taken; make one of RSA with 3072 bits or more, or Curve25519", algorithm)
}

// rsaNumbers reads modulus and exponent.
func rsaNumbers(b []byte) (n, e *big.Int, err error) {
	var out [2]*big.Int
	for i := range out {
		if len(b) < 2 {
			return nil, nil, cutOff()
		}
		size := (int(binary.BigEndian.Uint16(b)) + 7) / 8
		if b = b[2:]; size > len(b) {
			return nil, nil, cutOff()
		}
		out[i] = new(big.Int).SetBytes(b[:size])
		b = b[size:]
	}
	return out[0], out[1], nil
}
