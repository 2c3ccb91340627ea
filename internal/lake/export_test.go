package lake

import "net/netip"

// CheckAddress is the dial guard, for tests.
func CheckAddress(addr netip.Addr, private []netip.Prefix) error { return guard{private}.check(addr) }
