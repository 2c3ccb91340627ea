package emulator

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"strings"
	"time"
)

// TrustKey lets the first client sign in with assertions that the key's owner signed: those of its
// certificate, or the tokens of a platform that it is federated with.
func (s *Server) TrustKey(key *rsa.PublicKey) error {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return fmt.Errorf("trust a key: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &s.conf.Clients[0]
	c.Keys = append(c.Keys, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))
	return saveJSON(s.root, configName, s.conf)
}

// trusted reports whether a JWT is signed by one of the keys, RS256 or PS256, and not expired.
func trusted(keys []string, assertion string, now time.Time) bool {
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 {
		return false
	}
	var header struct{ Alg string }
	var body struct{ Exp int64 }
	if decodePart(parts[0], &header) != nil || decodePart(parts[1], &body) != nil || now.Unix() >= body.Exp {
		return false
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	for _, text := range keys {
		block, _ := pem.Decode([]byte(text))
		if block == nil {
			continue
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		public, ok := key.(*rsa.PublicKey)
		if err != nil || !ok {
			continue
		}
		switch header.Alg {
		case "PS256":
			err = rsa.VerifyPSS(public, crypto.SHA256, sum[:], sig, nil)
		case "RS256":
			err = rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], sig)
		default:
			return false
		}
		if err == nil {
			return true
		}
	}
	return false
}

func decodePart(part string, v any) error {
	b, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
