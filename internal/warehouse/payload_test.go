package warehouse_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// ENR-04: an uploaded list that fills several files is handed out by profile, the last row of each, without regard to the
// order in which it came; of what a discarded upload wrote nothing stays.
func TestPayloadByProfile(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	schema := lakeward.Schema{Name: "list", Class: lakeward.EventClass, Profile: true, Fields: []lakeward.Field{
		{Name: "mail", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "Email", Primary: true}}, {Name: "value", Type: lakeward.TypeString}, {Name: "long", Type: lakeward.TypeString}}}
	long := strings.Repeat("x", 16<<10)
	const people = 5000
	list := func(id string) *lakeward.Batch {
		t.Helper()
		b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: lakeward.BatchID(id), DatasetID: "list", CreatedAt: time.Now().UTC()}, schema, []warehouse.Policy{policy()})
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 2))
		for round := range 2 {
			order := random.Perm(people)
			for len(order) > 0 {
				n := min(len(order), 512)
				c := &vector.Chunk{Len: n, Columns: make([]vector.Vector, 3)}
				for k := range c.Columns {
					c.Columns[k].Reset(vector.String)
				}
				for _, i := range order[:n] {
					c.Columns[0].AppendString(fmt.Appendf(nil, "m%d@x.org", i))
					if i%10 == 3 {
						c.Columns[1].AppendNull()
					} else {
						c.Columns[1].AppendString(fmt.Appendf(nil, "v%d-%d", i, round))
					}
					c.Columns[2].AppendString([]byte(long))
				}
				order = order[n:]
				if err := b.Write(ctx(), c); err != nil {
					t.Fatal(err)
				}
			}
		}
		if id == "thrown-away" {
			b.Discard()
			return nil
		}
		batch, err := b.Commit(ctx(), &lakeward.Audience{ID: "a", Sandbox: sandbox, Name: "list"})
		if err != nil {
			t.Fatal(err)
		}
		return &batch
	}
	batch := list("kept")
	if len(batch.Files) != 1 || len(batch.Payload) < 2 {
		t.Fatalf("%d files, %d payload files", len(batch.Files), len(batch.Payload))
	}
	snap := h.snapshot(0)
	p, err := h.OpenPayload(snap, *batch, []lakeward.Leaf{{Path: "value", Type: lakeward.TypeString}, {Path: "gone", Type: lakeward.TypeString}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	seen := 0
	for chunk, err := range h.ScanFull(ctx(), snap, snap.All(), nil, "Email") {
		if err != nil {
			t.Fatal(err)
		}
		var numbers []uint32
		var mails []string
		for i, n := range chunk.Numbers {
			if n%3 != 0 { // a selection
				numbers, mails = append(numbers, n), append(mails, string(chunk.Values.Str(int(chunk.First[i]))))
			}
		}
		values, err := p.Values(append(numbers, 1<<30+uint32(seen)))
		if err != nil {
			t.Fatal(err)
		}
		for i, mail := range mails {
			var who int
			if _, err := fmt.Sscanf(mail, "m%d@x.org", &who); err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("v%d-1", who)
			if who%10 == 3 && values[0].IsNull(i) {
				want = ""
			}
			if got := string(values[0].Str(i)); got != want || !values[1].IsNull(i) {
				t.Fatalf("%s has %q, want %q", mail, got, want)
			}
			seen++
		}
		if last := len(mails); !values[0].IsNull(last) {
			t.Errorf("somebody who is not in the list has %s", values[0].Str(last))
		}
		break // numbers ascend, and the one above was the last
	}
	if seen < people/2 {
		t.Errorf("%d profiles", seen)
	}
	list("thrown-away")
	if left, _ := os.ReadDir(filepath.Join(h.dir, "datasets", "list", "thrown-away")); len(left) > 0 {
		t.Errorf("a discarded upload left %v", left)
	}
}

// ENR-04, PRF-02: whoever carries on a profile of an uploaded list since then has its row, also from heir to heir.
func TestPayloadOfJoinedProfiles(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	p := policy()
	p.Stitching, p.Stitched = lakeward.PrivateGraph, map[string]bool{"ECID": true, "Email": true}
	var past []lakeward.Batch
	p.Batches = func(context.Context) ([]lakeward.Batch, error) { return past, nil }
	p.Fields = map[lakeward.DatasetID][]lakeward.Leaf{lakeward.DatasetID(schema().Name): schema().Leaves()}
	batch := func(s lakeward.Schema, columns ...string) lakeward.Batch {
		t.Helper()
		c := &vector.Chunk{Len: 1, Columns: make([]vector.Vector, len(s.Leaves()))}
		for i, l := range s.Leaves() {
			if c.Columns[i].ResetTo(vector.ShapeOf(l)); i < len(columns) {
				c.Columns[i].AppendString([]byte(columns[i]))
			} else {
				c.Columns[i].AppendNull()
			}
		}
		b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: lakeward.BatchID(lakeward.NewID()), DatasetID: lakeward.DatasetID(s.Name), CreatedAt: time.Now().UTC()}, s, []warehouse.Policy{p})
		if err == nil {
			err = b.Write(ctx(), c)
		}
		var done lakeward.Batch
		if err == nil {
			var audience *lakeward.Audience
			if s.Class == lakeward.EventClass {
				audience = &lakeward.Audience{ID: lakeward.AudienceID(columns[0]), Sandbox: sandbox, Name: columns[0]}
			} else {
				defer func() { past = append(past, done) }()
			}
			done, err = b.Commit(ctx(), audience)
		}
		if err != nil {
			t.Fatal(err)
		}
		return done
	}
	for _, id := range []string{"a", "b", "c", "d"} {
		batch(schema(), id, id+"@x")
	}
	lists := map[string]lakeward.Batch{}
	for _, id := range []string{"b", "d"} {
		lists[id] = batch(lakeward.Schema{Name: "list", Class: lakeward.EventClass, Profile: true, Fields: []lakeward.Field{
			{Name: "mail", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "Email", Primary: true}}, {Name: "value", Type: lakeward.TypeString}}}, id+"@x", "of "+id)
	}
	check := func(list string, want ...string) {
		t.Helper()
		p, err := h.OpenPayload(h.snapshot(0), lists[list], []lakeward.Leaf{{Path: "value", Type: lakeward.TypeString}})
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		values, err := p.Values([]uint32{0, 1, 2, 3})
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if got := string(values[0].Str(i)); got != w || values[0].IsNull(i) != (w == "") {
				t.Errorf("list %s: profile %d has %q, want %q", list, i, got, w)
			}
		}
	}
	check("b", "", "of b", "", "")
	check("d", "", "", "", "of d")
	batch(schema(), "d", "c@x") // 3 becomes 2
	check("d", "", "", "of d")
	batch(schema(), "b", "a@x") // 1 becomes 0
	check("b", "of b")
	batch(schema(), "d", "a@x") // 2 becomes 0
	check("d", "of d")
	check("b", "of b")
}
