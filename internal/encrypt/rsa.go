package encrypt

import "math/big"

const (
	minBits    = 2048
	strongBits = 3072 // below, a key is taken with a warning
	maxBits    = 8192

	fermatSteps = 1000
	smallPrimes = 10_000 // factors below are looked for
)

// checkSize checks the lengths of an RSA key. Too short a modulus of a subkey is no reason to refuse the key: it may be
// an old one that nothing is encrypted to.
func checkSize(n, e *big.Int, primary bool) error {
	if bits := n.BitLen(); bits > maxBits || primary && bits < minBits {
		return refuse("PGP-1010", "the RSA key has %d bits; it needs %d to %d, best 3072 or more", bits, minBits, maxBits)
	}
	if e.Bit(0) == 0 || e.BitLen() > 32 || e.Cmp(big.NewInt(65537)) < 0 {
		return refuse("PGP-1011", "the exponent of the RSA key is even, smaller than 65537 or longer than 32 bits; make a new key")
	}
	return nil
}

// checkModulus refuses moduli that can be factored: with a small factor, of two primes that lie close to each other, or
// made by the faulty library of ROCA (K16).
func checkModulus(n *big.Int) error {
	if hasSmallFactor(n) || hasCloseFactors(n) || isROCA(n) {
		return refuse("PGP-1012", "the modulus of the RSA key can be factored, so the key protects nothing; make a new key with current software")
	}
	return nil
}

func hasSmallFactor(n *big.Int) bool {
	r, d := new(big.Int), new(big.Int)
	for p := int64(2); p < smallPrimes; p++ { // composites cost little and find nothing new
		if r.Mod(n, d.SetInt64(p)).Sign() == 0 {
			return true
		}
	}
	return false
}

// hasCloseFactors is Fermat's method: n = a² - b² with a just above the root.
func hasCloseFactors(n *big.Int) bool {
	one := big.NewInt(1)
	a := new(big.Int).Sqrt(n)
	b2, b := new(big.Int), new(big.Int)
	for range fermatSteps {
		if b2.Sub(b2.Mul(a, a), n); b2.Sign() >= 0 {
			if b.Sqrt(b2); b.Mul(b, b).Cmp(b2) == 0 {
				return true
			}
		}
		a.Add(a, one)
	}
	return false
}

// isROCA recognises primes of the form k*M + 65537^a mod M: then the modulus is a power of 65537 modulo every small prime
// of M (CVE-2017-15361).
func isROCA(n *big.Int) bool {
	for _, p := range []int64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157} {
		rest := new(big.Int).Mod(n, big.NewInt(p)).Int64()
		found := false
		for power, k := int64(1), int64(0); k < p && !found; k++ {
			found = power == rest
			power = power * 65537 % p
		}
		if !found {
			return false
		}
	}
	return true
}
