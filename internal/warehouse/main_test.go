package warehouse_test

import (
	"flag"
	"os"
	"testing"
)

// TestMain tries fewer examples of each property unless everything is to be tested; -rapid.checks says otherwise.
func TestMain(m *testing.M) {
	if os.Getenv("LAKEWARD_TEST_FULL") == "" {
		if err := flag.Set("rapid.checks", "40"); err != nil {
			panic(err)
		}
	}
	m.Run()
}
