package encrypt

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/lakeward/lakeward"
)

// maxKey bounds the text of a key (C11).
const maxKey = 64 << 10

const (
	beginMark   = "-----BEGIN "
	endOfMark   = "-----"
	publicBlock = "PGP PUBLIC KEY BLOCK"
)

// refuse says why a key is not taken.
func refuse(code, format string, args ...any) error {
	return &lakeward.Error{Kind: lakeward.Invalid, Code: code, Msg: fmt.Sprintf(format, args...)}
}

// packetsOf returns the binary packets of a public key: an armored block, or base64 of one or of the packets (K01 to K11).
func packetsOf(text string) ([]byte, error) {
	if len(text) > maxKey {
		return nil, refuse("PGP-1019", "the encryption key is longer than %d bytes; export one key without photos and signatures of others: gpg --armor --export-options export-minimal --export", maxKey)
	}
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	if err := checkWords(text); err != nil {
		return nil, err
	}
	if strings.Contains(text, beginMark) {
		return dearmor(text)
	}
	notKey := refuse("PGP-1001", "this is no OpenPGP public key; export it with gpg --armor --export and enter the whole block")
	b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil || len(b) == 0 {
		return nil, notKey
	}
	if bytes.Contains(b, []byte(beginMark)) {
		inner := strings.TrimSpace(string(b))
		if err := checkWords(inner); err != nil {
			return nil, err
		}
		return dearmor(inner)
	}
	if b[0]&0x80 == 0 { // no packet begins so: base64 of base64, or of anything else
		return nil, notKey
	}
	return b, nil
}

// checkWords refuses what is recognised by its first words, before anything is parsed.
func checkWords(text string) error {
	for _, ssh := range []string{"ssh-rsa ", "ssh-ed25519 ", "ssh-dss ", "ecdsa-sha2-", "sk-ssh-", "---- BEGIN SSH2"} {
		if strings.HasPrefix(text, ssh) {
			return refuse("PGP-1002", "this is an SSH key; an OpenPGP public key is needed")
		}
	}
	for _, other := range []string{"age1", "AGE-SECRET-KEY-", "untrusted comment:", "RWQ"} {
		if strings.HasPrefix(text, other) {
			return refuse("PGP-1004", "this is a key of another tool; an OpenPGP public key is needed")
		}
	}
	blocks := 0
	for _, rest := range strings.Split(text, beginMark)[1:] {
		label, _, _ := strings.Cut(rest, endOfMark)
		switch {
		case label == "PGP PRIVATE KEY BLOCK":
			return private()
		case label == publicBlock:
			blocks++
		case strings.HasPrefix(label, "PGP "):
			return refuse("PGP-1006", "this is a %s; an OpenPGP public key block is needed", lakeward.Quote(label))
		default:
			return refuse("PGP-1003", "this is a PEM block (%s), not OpenPGP; make an OpenPGP key with gpg --quick-generate-key and export it with gpg --armor --export", lakeward.Quote(label))
		}
	}
	if blocks > 1 {
		return refuse("PGP-1009", "there are %d public key blocks; enter exactly one", blocks)
	}
	return nil
}

func private() error {
	return refuse("PGP-1005", "this is a private key: nothing was stored; treat it as exposed, make a new key, and enter its public part")
}

// dearmor returns the bytes of the one block of a text, proven by its CRC-24 if it has one (K07, K08).
func dearmor(text string) ([]byte, error) {
	before, rest, _ := strings.Cut(text, beginMark+publicBlock+endOfMark)
	body, after, ended := strings.Cut(rest, "-----END "+publicBlock+endOfMark)
	if !ended {
		return nil, refuse("PGP-1007", "the public key block is cut off: its last line, -----END %s-----, is missing", publicBlock)
	}
	if strings.TrimSpace(before) != "" || strings.TrimSpace(after) != "" {
		return nil, refuse("PGP-1009", "there is more than the public key block; enter the block alone")
	}
	damaged := refuse("PGP-1008", "the public key block is damaged: its characters and its checksum do not agree; copy it again")
	var data strings.Builder
	sum, headers := "", true
	_, body, _ = strings.Cut(body, "\n") // the first line goes on behind its mark
	for line := range strings.Lines(body) {
		line = strings.TrimSpace(line)
		switch {
		case line == "":
			headers = false
		case headers && strings.Contains(line, ": "), headers && strings.HasSuffix(line, ":"):
		case strings.HasPrefix(line, "=") && len(line) == 5:
			sum = line[1:]
		case sum != "":
			return nil, damaged
		default:
			data.WriteString(line)
		}
	}
	if data.Len() == 0 {
		return nil, refuse("PGP-1001", "the public key block is empty")
	}
	b, err := base64.StdEncoding.DecodeString(data.String())
	if err != nil {
		return nil, damaged
	}
	if sum == "" {
		return b, nil
	}
	want, err := base64.StdEncoding.DecodeString(sum)
	if got := crc24(b); err != nil || !bytes.Equal(want, []byte{byte(got >> 16), byte(got >> 8), byte(got)}) {
		return nil, damaged
	}
	return b, nil
}

// crc24 is the checksum of an armored block.
func crc24(b []byte) uint32 {
	crc := uint32(0xb704ce)
	for _, c := range b {
		crc ^= uint32(c) << 16
		for range 8 {
			crc <<= 1
			if crc&0x1000000 != 0 {
				crc ^= 0x1864cfb
			}
		}
	}
	return crc
}

// enarmor is the block of packets, in the form in which a key is stored.
func enarmor(packets []byte) string {
	var b strings.Builder
	b.WriteString(beginMark + publicBlock + endOfMark + "\n\n")
	text := base64.StdEncoding.EncodeToString(packets)
	for len(text) > 64 {
		b.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	crc := crc24(packets)
	b.WriteString(text + "\n=" + base64.StdEncoding.EncodeToString([]byte{byte(crc >> 16), byte(crc >> 8), byte(crc)}))
	b.WriteString("\n-----END " + publicBlock + endOfMark + "\n")
	return b.String()
}
