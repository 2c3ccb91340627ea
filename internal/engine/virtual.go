package engine

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// What rules can ask of every profile, whatever its schemas are.
const (
	identityMapPath = lakeward.IdentityMapPath
	membershipPath  = lakeward.MembershipPath
	upsNamespace    = "ups" // of all audiences that are kept here (SEG-06)
)

// virtualFields are fields of profiles that no schema has: their identities and their memberships.
func virtualFields() []lakeward.Leaf {
	text := func(name string) lakeward.Field { return lakeward.Field{Name: name, Type: lakeward.TypeString} }
	identity := lakeward.Field{Type: lakeward.TypeArray, Item: &lakeward.Field{Type: lakeward.TypeObject, Fields: []lakeward.Field{text("id"), {Name: "primary", Type: lakeward.TypeBoolean}}}}
	state := lakeward.Field{Type: lakeward.TypeMap, Item: &lakeward.Field{Type: lakeward.TypeObject, Fields: []lakeward.Field{text("status"), {Name: "lastQualificationTime", Type: lakeward.TypeDateTime}}}}
	return []lakeward.Leaf{{Path: identityMapPath, Type: lakeward.TypeMap, Item: &identity}, {Path: membershipPath, Type: lakeward.TypeMap, Item: &state}}
}

// beside adds columns to the rows of a scan: what lies in other files than the profiles.
type beside interface {
	// append adds a value for each number; they ascend from call to call.
	append(numbers []uint32, out *vector.Vector) error
	// from is another reader of the same files that begins at a number. It is closed first.
	from(number uint32) (beside, error)
	shape() vector.Shape
	close()
}

type eventColumn struct{ *warehouse.Events }

func (c eventColumn) append(numbers []uint32, out *vector.Vector) error {
	return c.Append(numbers, out)
}
func (c eventColumn) from(number uint32) (beside, error) {
	own, err := c.From(number)
	return eventColumn{own}, err
}
func (c eventColumn) shape() vector.Shape { return c.Shape() }
func (c eventColumn) close()              { c.Close() }

type identityColumn struct{ *warehouse.Identities }

func (c identityColumn) append(numbers []uint32, out *vector.Vector) error {
	return c.Append(numbers, out)
}
func (c identityColumn) from(number uint32) (beside, error) {
	own, err := c.From(number)
	return identityColumn{own}, err
}
func (c identityColumn) shape() vector.Shape { return vector.ShapeOf(virtualFields()[0]) }
func (c identityColumn) close()              { c.Close() }

// membershipColumn gives the memberships as they were before the job (S11).
type membershipColumn struct {
	ids     []lakeward.AudienceID
	members []warehouse.Membership
	known   []*roaring.Bitmap
	times   []*warehouse.Qualified
}

func openMemberships(w *warehouse.Warehouse, s *warehouse.Snapshot) (*membershipColumn, error) {
	c := &membershipColumn{}
	for id := range s.Memberships {
		c.ids = append(c.ids, id)
	}
	slices.Sort(c.ids)
	for _, id := range c.ids {
		m := s.Memberships[id]
		q, err := w.OpenMembership(m)
		if err != nil {
			c.close()
			return nil, err
		}
		c.members, c.known, c.times = append(c.members, m), append(c.known, roaring.Or(m.Members, m.Exited)), append(c.times, q)
	}
	return c, nil
}

func (c *membershipColumn) from(uint32) (beside, error) {
	own := &membershipColumn{ids: c.ids, members: c.members, known: c.known}
	for _, q := range c.times {
		q, err := q.Again()
		if err != nil {
			own.close()
			return nil, err
		}
		own.times = append(own.times, q)
	}
	return own, nil
}

func (c *membershipColumn) shape() vector.Shape { return vector.ShapeOf(virtualFields()[1]) }

func (c *membershipColumn) close() {
	for _, q := range c.times {
		q.Close()
	}
}

func (c *membershipColumn) append(numbers []uint32, out *vector.Vector) error {
	times := make([][]int64, len(c.ids))
	var known []uint32
	for a := range c.ids {
		known = known[:0]
		for _, n := range numbers {
			if c.known[a].Contains(n) {
				known = append(known, n)
			}
		}
		if len(known) == 0 {
			continue
		}
		got, err := c.times[a].Times(known)
		if err != nil {
			return err
		}
		times[a] = slices.Clone(got)
	}
	for _, n := range numbers {
		states := &out.Fields[1]
		for a, id := range c.ids {
			if !c.known[a].Contains(n) {
				continue
			}
			status := lakeward.Realized
			if !c.members[a].Members.Contains(n) {
				status = lakeward.Exited
			}
			states.Fields[0].AppendString([]byte(id))
			state := &states.Fields[1]
			state.Field("status").AppendString([]byte(status))
			state.Field("lastQualificationTime").AppendInt(times[a][0])
			state.AppendItems()
			times[a] = times[a][1:]
		}
		states.AppendItems()
		out.Fields[0].AppendString([]byte(upsNamespace))
		out.AppendItems()
	}
	return nil
}
