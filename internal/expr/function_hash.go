package expr

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// hasher is the hash of bytes, and the charset that makes bytes of a text.
type hasher struct {
	sum     func([]byte) []byte
	charset string
}

// hashFunctions give hex digits in lower case.
func hashFunctions() []Function {
	return []Function{
		hashFunction("sha1", sumSHA1), hashFunction("sha256", sumSHA256), hashFunction("sha512", sumSHA512), hashFunction("md5", sumMD5), hashFunction("crc32", sumCRC32),
		{Name: "hash", Args: "lt?l", gives: gives(String), prepare: prepareHash, eval: func(c *cells) { hashText(c, c.text(1)) }},
	}
}

func hashFunction(name string, sum func([]byte) []byte) Function {
	return Function{Name: name, Args: "t?l", gives: gives(String), eval: func(c *cells) { hashText(c, c.text(0)) },
		prepare: func(n *Node) (err error) {
			n.hash.sum = sum
			n.hash.charset, err = charset(n, 1)
			return err
		}}
}

func prepareHash(n *Node) (err error) {
	sums := map[string]func([]byte) []byte{"SHA1": sumSHA1, "SHA256": sumSHA256, "SHA384": sumSHA384, "SHA512": sumSHA512, "MD5": sumMD5, "CRC32": sumCRC32}
	n.hash.sum = sums[strings.ReplaceAll(strings.ToUpper(literalAt(n, 0, "")), "-", "")]
	if n.hash.sum == nil {
		return badArgument(0, "the algorithm is one of MD5, SHA-1, SHA-256, SHA-384, SHA-512 and CRC32")
	}
	n.hash.charset, err = charset(n, 2)
	return err
}

func charset(n *Node, k int) (string, error) {
	name := strings.ToUpper(literalAt(n, k, "UTF-8"))
	switch name {
	case "UTF-8", "UTF-16", "ISO-8859-1", "US-ASCII":
		return name, nil
	}
	return "", badArgument(k, "the character set is one of UTF-8, UTF-16, ISO-8859-1 and US-ASCII")
}

func hashText(c *cells, s []byte) {
	c.setText([]byte(hex.EncodeToString(c.n.hash.sum(encode(s, c.n.hash.charset)))))
}

// encode makes the bytes of a text in a character set: UTF-16 with a byte order mark, big-endian; what the others do not have is ?.
func encode(s []byte, charset string) []byte {
	switch charset {
	case "UTF-8":
		return s
	case "UTF-16":
		out := []byte{0xfe, 0xff}
		for _, u := range utf16.Encode([]rune(string(s))) {
			out = binary.BigEndian.AppendUint16(out, u)
		}
		return out
	}
	limit := rune(0x100)
	if charset == "US-ASCII" {
		limit = utf8.RuneSelf
	}
	var out []byte
	for _, r := range string(s) {
		if r >= limit {
			r = '?'
		}
		out = append(out, byte(r))
	}
	return out
}

func sumSHA1(b []byte) []byte   { s := sha1.Sum(b); return s[:] }
func sumSHA256(b []byte) []byte { s := sha256.Sum256(b); return s[:] }
func sumSHA384(b []byte) []byte { s := sha512.Sum384(b); return s[:] }
func sumSHA512(b []byte) []byte { s := sha512.Sum512(b); return s[:] }
func sumMD5(b []byte) []byte    { s := md5.Sum(b); return s[:] }

// sumCRC32 has the lowest byte first, as the reference prints it.
func sumCRC32(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(b))
}
