//go:build !proof

package proof

// Point is a place where a test may kill the process.
func Point() {}

// Planted reports whether a test planted the mistake.
func Planted(Bug) bool { return false }
