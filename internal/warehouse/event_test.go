package warehouse_test

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// eventSchema has events with an id, a text inside an object, and a list; older ones lack the list.
func eventSchema(list bool) lakeward.Schema {
	s := lakeward.Schema{Name: "e", Class: lakeward.EventClass, Profile: true, Fields: []lakeward.Field{
		{Name: "_id", Type: lakeward.TypeString}, {Name: "timestamp", Type: lakeward.TypeDateTime},
		{Name: "who", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "ECID", Primary: true}},
		{Name: "web", Type: lakeward.TypeObject, Fields: []lakeward.Field{{Name: "page", Type: lakeward.TypeString}}}}}
	if list {
		s.Fields = append(s.Fields, lakeward.Field{Name: "tags", Type: lakeward.TypeArray, Item: &lakeward.Field{Type: lakeward.TypeString}})
	}
	return s
}

// happened is an event of the model.
type happened struct {
	who, id, page string
	at            int64
	tags          []string
}

func (h *home) ingestEvents(s lakeward.Schema, events []happened) {
	h.t.Helper()
	b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: lakeward.BatchID(lakeward.NewID()), DatasetID: "e", CreatedAt: time.Now().UTC()}, s, []warehouse.Policy{policy()})
	if err != nil {
		h.t.Fatal(err)
	}
	c := &vector.Chunk{Len: len(events), Columns: make([]vector.Vector, len(s.Leaves()))}
	for i, l := range s.Leaves() {
		c.Columns[i].ResetTo(vector.ShapeOf(l))
	}
	for _, e := range events {
		c.Columns[0].AppendString([]byte(e.id))
		c.Columns[1].AppendInt(e.at)
		c.Columns[2].AppendString([]byte(e.who))
		if e.page == "" {
			c.Columns[3].AppendNull()
		} else {
			c.Columns[3].AppendString([]byte(e.page))
		}
		if len(c.Columns) > 4 {
			for _, tag := range e.tags {
				c.Columns[4].Fields[0].AppendString([]byte(tag))
			}
			c.Columns[4].AppendItems()
		}
	}
	if err := b.Write(ctx(), c); err != nil {
		h.t.Fatal(err)
	}
	if _, err := b.Commit(ctx(), nil); err != nil {
		h.t.Fatal(err)
	}
}

// events reads the events of all profiles as texts, "number id page tags".
func (h *home) events() []string {
	h.t.Helper()
	snap, err := h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	leaves := eventSchema(true).Leaves()
	in, err := h.ScanEvents(snap, []lakeward.Leaf{leaves[0], leaves[3], leaves[4]})
	if err != nil {
		h.t.Fatal(err)
	}
	defer in.Close()
	var out []string
	for chunk := range slices.Chunk(snap.All().ToArray(), 3) {
		var lists vector.Vector
		lists.ResetTo(in.Shape())
		if err := in.Append(chunk, &lists); err != nil {
			h.t.Fatal(err)
		}
		for i, number := range chunk {
			from, to := lists.Items(i)
			for k := from; k < to; k++ {
				e := &lists.Fields[0]
				page, tags := e.Field("web").Field("page"), e.Field("tags")
				var list []string
				start, end := tags.Items(k)
				for x := start; x < end; x++ {
					list = append(list, string(tags.Fields[0].Str(x)))
				}
				out = append(out, fmt.Sprintf("%d %s %s %v", number, e.Field("_id").Str(k), page.Str(k), list))
			}
		}
	}
	return out
}

func (h *home) compactEvents(all bool) {
	h.t.Helper()
	for {
		c, err := h.EventCompaction(ctx(), sandbox, lakeward.FirstPolicy, all)
		if err != nil {
			h.t.Fatal(err)
		}
		if c == nil {
			return
		}
		if _, err := c.Run(ctx(), eventSchema(true).Leaves(), time.Now().UTC()); err != nil {
			h.t.Fatal(err)
		}
	}
}

// DAT-01: the events of each profile come by time, then by id, whatever batch brought them, however often their files
// were merged, and also where an older schema had fewer fields.
func TestEventsEqualAModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "events")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		h := newHome(t, dir)
		defer h.close()
		numbers := map[string]int{}
		var model []happened
		for range rapid.IntRange(1, 8).Draw(t, "batches") {
			s := eventSchema(rapid.Bool().Draw(t, "list"))
			var events []happened
			for range rapid.IntRange(1, 12).Draw(t, "events") {
				e := happened{who: rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "who"), id: fmt.Sprintf("%d-%d", rapid.IntRange(0, 3).Draw(t, "id"), len(model)+len(events)),
					at: rapid.Int64Range(-2, 3).Draw(t, "at"), page: rapid.SampledFrom([]string{"", "x", "y"}).Draw(t, "page")}
				if len(s.Fields) > 4 {
					e.tags = rapid.SliceOfN(rapid.SampledFrom([]string{"p", "q"}), 0, 2).Draw(t, "tags")
				}
				if _, known := numbers[e.who]; !known {
					numbers[e.who] = len(numbers)
				}
				events = append(events, e)
			}
			h.ingestEvents(s, events)
			model = append(model, events...)
			if rapid.Bool().Draw(t, "compact") {
				h.compactEvents(rapid.Bool().Draw(t, "all"))
				h.remove()
			}
		}
		slices.SortStableFunc(model, func(a, b happened) int {
			return cmp.Or(cmp.Compare(numbers[a.who], numbers[b.who]), cmp.Compare(a.at, b.at), strings.Compare(a.id, b.id))
		})
		var want []string
		for _, e := range model {
			want = append(want, fmt.Sprintf("%d %s %s %v", numbers[e.who], e.id, e.page, e.tags))
		}
		if got := h.events(); !slices.Equal(got, want) {
			t.Fatalf("events\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

// Many small batches of events become few files, and the replaced ones go.
func TestEventFilesHaveABound(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	for i := range 60 {
		h.ingestEvents(eventSchema(true), []happened{{who: "a", id: fmt.Sprintf("e%02d", i), at: int64(i)}})
		h.compactEvents(false)
		h.remove()
	}
	snap, err := h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(snap.Events); n >= 25 {
		t.Errorf("%d event files", n)
	}
	if got := h.events(); len(got) != 60 || got[59] != "0 e59  []" {
		t.Errorf("%d events", len(got))
	}
	h.sound()
}

// PRF-01, PRF-02: the events of profiles that turn out to be one are those of the survivor, before and after their files
// are merged; made anew without a graph, each has its own again; those of a deleted profile are nobody's.
func TestEventsOfJoinedProfiles(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	p := policy()
	p.Stitching, p.Stitched = lakeward.PrivateGraph, map[string]bool{"ECID": true, "Email": true}
	var past []warehouse.Step
	batch := func(s lakeward.Schema, c *vector.Chunk) {
		t.Helper()
		b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: lakeward.BatchID(lakeward.NewID()), DatasetID: lakeward.DatasetID(s.Name), CreatedAt: time.Now().UTC()}, s, []warehouse.Policy{p})
		if err == nil {
			err = b.Write(ctx(), c)
		}
		var done lakeward.Batch
		if err == nil {
			done, err = b.Commit(ctx(), nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		past = append(past, warehouse.Step{Batch: done, Schema: s})
	}
	person := func(id, mail string) {
		c := &vector.Chunk{Len: 1, Columns: make([]vector.Vector, 3)}
		for i, l := range schema().Leaves() {
			c.Columns[i].ResetTo(vector.ShapeOf(l))
		}
		c.Columns[0].AppendString([]byte(id))
		c.Columns[1].AppendString([]byte(mail))
		c.Columns[2].AppendNull()
		batch(schema(), c)
	}
	event := func(who, id string, at int64) {
		c := &vector.Chunk{Len: 1, Columns: make([]vector.Vector, 4)}
		for i, l := range eventSchema(false).Leaves() {
			c.Columns[i].ResetTo(vector.ShapeOf(l))
		}
		c.Columns[0].AppendString([]byte(id))
		c.Columns[1].AppendInt(at)
		c.Columns[2].AppendString([]byte(who))
		c.Columns[3].AppendNull()
		batch(eventSchema(false), c)
	}
	check := func(when string, want ...string) {
		t.Helper()
		if got := h.events(); !slices.Equal(got, want) {
			t.Errorf("%s: events %q, want %q", when, got, want)
		}
		h.sound()
	}
	person("a", "a@x")
	event("a", "e1", 10)
	person("b", "b@x")
	event("b", "e2", 5)
	person("c", "c@x")
	event("c", "e3", 7)
	check("apart", "0 e1  []", "1 e2  []", "2 e3  []")
	person("b", "a@x") // the same address: one person
	event("b", "e4", 20)
	joined := []string{"0 e2  []", "0 e1  []", "0 e4  []", "2 e3  []"}
	check("joined", joined...)
	h.compactEvents(true)
	h.remove()
	check("joined and merged", joined...)
	s := h.snapshot(0)
	if _, err := h.DeleteProfile(ctx(), s, 2, nil, time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	check("deleted", joined[:3]...)
	p.Stitching = lakeward.NoStitching
	if _, err := h.Rebuild(ctx(), sandbox, p, past, nil, time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	alone := h.events()
	if len(alone) != 4 || alone[0] != "0 e1  []" { // the deletion is no step of this past
		t.Errorf("made anew without a graph: events %q", alone)
	}
	h.compactEvents(true)
	if got := h.events(); !slices.Equal(got, alone) {
		t.Errorf("merged after that: events %q, want %q", got, alone)
	}
	h.sound()
}
