package warehouse

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// A filter lets every hash of its block pass and few others, also when all begin alike, as those of a large run do.
func TestFilterKeepsOut(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, alike := range []int{0, 8, 17, 30} {
		t.Run(fmt.Sprint(alike), func(t *testing.T) {
			hash := func() uint64 { return 0xABCDEF0123456789&^(1<<(64-alike)-1) | random.Uint64()>>alike }
			var hashes []byte
			for range blockEntries {
				hashes = binary.LittleEndian.AppendUint64(hashes, hash())
			}
			f := filterOf(hashes)
			for i := 0; i < len(hashes); i += 8 {
				if h := binary.LittleEndian.Uint64(hashes[i:]); !passes(f[:], h) {
					t.Fatalf("%x is in the block and does not pass", h)
				}
			}
			const strangers = 100_000
			passed := 0
			for range strangers {
				if passes(f[:], hash()) {
					passed++
				}
			}
			if passed > strangers*3/100 {
				t.Errorf("%d of %d strangers pass", passed, strangers)
			}
		})
	}
}

// A run may have what it has, at the borders of its blocks too, and what it says it does not have is not there.
func TestRunMayHave(t *testing.T) {
	x := testIndex(t, t.TempDir())
	const entries, step = 5*blockEntries + 1, 1 << 50
	run, err := x.dir.write(func(w *runWriter) error {
		for i := range uint64(entries) {
			if err := w.add(indexEntry{hash: (i/2*2 + 1) * step, namespace: []byte("N"), number: uint32(i)}); err != nil { // each twice
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer run.close()
	passed := 0
	for i := range uint64(entries + 2) {
		hash := i * step
		may, err := run.mayHave(hash)
		if err != nil {
			t.Fatal(err)
		}
		if may {
			passed++
		}
		c, err := run.seek(indexEntry{hash: hash})
		if err != nil {
			t.Fatal(err)
		}
		if c.has(hash) && !may {
			t.Errorf("%x is there and the run may not have it", hash)
		}
	}
	if most := (entries+1)/2 + entries/20; passed > most {
		t.Errorf("%d hashes may be there, at most %d should", passed, most)
	}
}
