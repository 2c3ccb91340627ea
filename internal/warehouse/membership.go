package warehouse

import (
	"context"
	"maps"
	"path"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// exitedDays is how long a profile that left an audience is remembered (SEG-06).
const exitedDays = 30

// Membership is a lakeward.Membership with its bitmaps decoded, as it counts in a snapshot: without profiles that are
// gone, and with the heirs of those that were members.
type Membership struct {
	Audience    lakeward.AudienceID
	Table       lakeward.DataFile
	Members     *roaring.Bitmap // realized
	Exited      *roaring.Bitmap
	EvaluatedAt time.Time
	rows        *roaring.Bitmap // of the file
	late        *roaring.Bitmap // heirs of members
	twice       uint64          // profiles that are members and have left at once, which is a mistake

	hold *hold
}

// Late are the members that carry on others since the evaluation: the file has no row that says so.
func (m Membership) Late() *roaring.Bitmap { return roaring.And(m.Members, m.late) }

// Stale are the rows of the file that count no more: of profiles that are gone, and of late members.
func (m Membership) Stale(all *roaring.Bitmap) *roaring.Bitmap {
	return roaring.Or(roaring.AndNot(m.rows, all), m.Late())
}

// decodeMemberships decodes the memberships of a snapshot. A number that is gone counts nowhere, so that it never
// gives exited (DLV-121); who carries on a member is one until the next evaluation decides.
func (s *Snapshot) decodeMemberships(c lakeward.Snapshot) error {
	s.Memberships, s.heirs = map[lakeward.AudienceID]Membership{}, c.Heirs
	all := s.All()
	for _, m := range c.Memberships {
		members, err := decodeBitmap(m.Members)
		if err != nil {
			return sourceError(m.Table, err)
		}
		exited, err := decodeBitmap(m.Exited)
		if err != nil {
			return sourceError(m.Table, err)
		}
		out := Membership{Audience: m.Audience, Table: m.Table, Members: members, Exited: exited, EvaluatedAt: m.EvaluatedAt, rows: roaring.Or(members, exited), twice: members.AndCardinality(exited), hold: s.hold}
		decided := members.Clone()
		for _, h := range c.Heirs {
			if h.Generation > m.Generation {
				carry(members, h.Pairs, false)
			}
		}
		out.late = roaring.AndNot(members, decided)
		if !s.ProfilesGone { // then nobody knows who is gone; who compares with a newer generation does
			members.And(all)
			exited.And(all)
		}
		exited.AndNot(members)
		s.Memberships[m.Audience] = out
	}
	return nil
}

// catalogued returns the membership with its bitmaps encoded.
func (m Membership) catalogued() (lakeward.Membership, error) {
	members, err := encodeBitmap(m.Members)
	if err != nil {
		return lakeward.Membership{}, err
	}
	exited, err := encodeBitmap(m.Exited)
	return lakeward.Membership{Audience: m.Audience, Table: m.Table, Members: members, Exited: exited,
		Count: int64(m.Members.GetCardinality()), EvaluatedAt: m.EvaluatedAt}, err
}

func membershipColumns() []parquet.Column {
	return []parquet.Column{
		{Path: "number", Kind: vector.Int, Int32: true, Required: true},
		{Path: "status", Kind: vector.String, Required: true},
		{Path: "lastQualificationTime", Kind: vector.Time, Required: true},
	}
}

// Qualified maps rows of a membership file to times: the entries of one audience, by ascending number.
type Qualified struct {
	shares bool // the file belongs to another reader
	of     Membership
	held   *ascending // numbers of the rows
	others int64      // the time of those without a row: they became members after the evaluation
	table  *table
	reader *parquet.Reader
	cols   []vector.Vector
	at     []int64
	late   []bool // of the numbers asked for, those without a row
	mixed  []int64
}

// OpenMembership starts reading the lastQualificationTime of an audience's profiles. The caller closes it.
func (w *Warehouse) OpenMembership(m Membership) (*Qualified, error) {
	defer runtime.KeepAlive(m.hold)
	t, err := w.open(m.Table)
	if err != nil {
		return nil, err
	}
	q, err := newQualified(m, t)
	if err != nil {
		_ = t.Close()
	}
	return q, err
}

func newQualified(m Membership, t *table) (*Qualified, error) {
	q := &Qualified{of: m, table: t, held: newAscending(m.rows), others: m.EvaluatedAt.UnixMilli(), cols: make([]vector.Vector, 1)}
	var err error
	if q.reader, err = t.Reader([]string{"lastQualificationTime"}, []vector.Kind{vector.Time}); err != nil {
		return nil, sourceError(m.Table, err)
	}
	return q, nil
}

// Again is another reader of the same file, from the front. It is closed before the reader that it comes from, and may
// be used at the same time.
func (q *Qualified) Again() (*Qualified, error) {
	own, err := newQualified(q.of, q.table)
	if err != nil {
		return nil, err
	}
	own.shares = true
	return own, nil
}

// Times returns the times, in milliseconds, of numbers that the audience knows; they ascend from call
// to call. Who carries on a member has no row yet: its time is that of the evaluation. The result is
// valid until the next call.
func (q *Qualified) Times(numbers []uint32) ([]int64, error) {
	q.at, q.late = slices.Grow(q.at[:0], len(numbers)), slices.Grow(q.late[:0], len(numbers))
	for _, n := range numbers {
		held := q.held.has(n)
		if held {
			q.at = append(q.at, q.held.rank())
		}
		q.late = append(q.late, !held)
	}
	if err := q.reader.Gather(q.at, q.cols); err != nil {
		return nil, sourceError(q.of.Table, err)
	}
	times := q.cols[0].Ints
	if len(q.at) == len(numbers) {
		return times, nil
	}
	q.mixed = q.mixed[:0]
	for _, late := range q.late {
		at := q.others
		if !late {
			at, times = times[0], times[1:]
		}
		q.mixed = append(q.mixed, at)
	}
	return q.mixed, nil
}

// Close releases the file.
func (q *Qualified) Close() {
	_ = q.reader.Close()
	if !q.shares {
		_ = q.table.Close()
	}
}

// SaveMemberships commits new members of audiences, evaluated at one time against the snapshot. Who
// was a member before and is one now keeps its lastQualificationTime; who is none any more has exited.
func (w *Warehouse) SaveMemberships(ctx context.Context, s *Snapshot, members map[lakeward.AudienceID]*roaring.Bitmap, at time.Time) (int64, error) {
	return w.SaveEvaluation(ctx, s, members, at, nil)
}

// SaveEvaluation is SaveMemberships that ends a task in the same commit; nil for none.
func (w *Warehouse) SaveEvaluation(ctx context.Context, s *Snapshot, members map[lakeward.AudienceID]*roaring.Bitmap, at time.Time, task *lakeward.Task) (int64, error) {
	change := lakeward.Change{Base: s.Generation, Kind: "evaluation", At: at, Of: s.Policy, NextNumber: s.NextNumber, Task: task}
	ids := slices.Sorted(maps.Keys(members))
	written := make([]lakeward.Membership, len(ids))
	err := together.Each(len(ids), func(i int) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		m, err := w.writeMembership(s, ids[i], members[ids[i]], at)
		if err == nil {
			written[i], err = m.catalogued()
		}
		return err
	})
	change.Memberships = written
	if err != nil {
		w.discardMemberships(change)
		return 0, err
	}
	generation, err := w.catalog.Commit(ctx, s.Sandbox, change)
	if err != nil {
		w.discardMemberships(change)
	}
	return generation, err
}

func (w *Warehouse) discardMemberships(c lakeward.Change) {
	for _, m := range c.Memberships {
		w.discard(m.Table)
	}
}

func (w *Warehouse) writeMembership(s *Snapshot, id lakeward.AudienceID, members *roaring.Bitmap, at time.Time) (Membership, error) {
	old, known := s.Memberships[id]
	if !known {
		old.Members, old.Exited = roaring.New(), roaring.New()
	}
	m := Membership{Audience: id, Members: members, EvaluatedAt: at, Exited: roaring.AndNot(roaring.Or(old.Members, old.Exited), members)}
	name := strconv.FormatInt(s.Generation, 10) + "-" + lakeward.NewID() + ".parquet"
	out, err := w.create(path.Join("memberships", string(id), name), membershipColumns())
	if err != nil {
		return m, err
	}
	var before *Qualified
	if known {
		if before, err = w.OpenMembership(old); err != nil {
			w.abandon(out)
			return m, err
		}
		defer before.Close()
	}
	mw := membershipWriter{out: out, old: old, before: before, at: at.UnixMilli(), forget: at.AddDate(0, 0, -exitedDays).UnixMilli()}
	if err := mw.run(&m); err != nil {
		w.abandon(out)
		return m, err
	}
	m.rows, m.late = roaring.Or(m.Members, m.Exited), roaring.New()
	m.Table, err = w.finish(out)
	return m, err
}

// states are those of the profiles in membership files: a dictionary, since a vector of them repeats two texts.
func states() (dict *vector.Dictionary, realized, exited int32) {
	text := string(lakeward.Realized) + string(lakeward.Exited)
	return &vector.Dictionary{Offsets: []uint32{0, uint32(len(lakeward.Realized)), uint32(len(text))}, Bytes: []byte(text)}, 0, 1
}

type membershipWriter struct {
	out        *tableWriter
	old        Membership
	before     *Qualified
	at, forget int64

	is, was, left *ascending // members, members before, and those that had left before
	realized      []bool     // of the current numbers, the members
	known         []uint32   // those that keep their state, and where they stand
	places        []int
	times         []int64
}

// run writes a row for each profile of m and drops from m.Exited those that left too long ago.
func (w *membershipWriter) run(m *Membership) error {
	numbers := roaring.Or(m.Members, m.Exited).ManyIterator()
	w.is, w.was, w.left = newAscending(m.Members), newAscending(w.old.Members), newAscending(w.old.Exited)
	dict, realized, exited := states()
	most := int(min(vector.MaxRows, m.Members.GetCardinality()+m.Exited.GetCardinality()))
	window := make([]uint32, most)
	w.realized, w.times, w.known, w.places = make([]bool, most), make([]int64, most), make([]uint32, 0, most), make([]int, 0, most)
	var c vector.Chunk
	c.Columns = make([]vector.Vector, 3)
	for n := numbers.NextMany(window); n > 0; n = numbers.NextMany(window) {
		if err := w.decide(window[:n]); err != nil {
			return err
		}
		profiles, status, times := &c.Columns[0], &c.Columns[1], &c.Columns[2]
		profiles.Reset(vector.Int)
		status.Reset(vector.String)
		status.Dict = dict
		times.Reset(vector.Time)
		for i, number := range window[:n] {
			code := realized
			if !w.realized[i] {
				code = exited
				if w.times[i] < w.forget {
					m.Exited.Remove(number)
					continue
				}
			}
			profiles.AppendInt(int64(number))
			status.AppendCode(code)
			times.AppendInt(w.times[i])
		}
		c.Len = profiles.Len
		if err := w.out.add(&c); err != nil {
			return err
		}
	}
	return nil
}

// decide finds out which of the numbers are members, and when each last changed its state: now for those that change it now.
func (w *membershipWriter) decide(numbers []uint32) error {
	known, places := w.known[:0], w.places[:0]
	for i, n := range numbers {
		is, was, left := w.is.has(n), w.was.has(n), w.left.has(n)
		w.realized[i], w.times[i] = is, w.at
		if w.before != nil && was == is && (was || left) {
			known = append(known, n)
			places = append(places, i)
		}
	}
	if len(known) == 0 {
		return nil
	}
	before, err := w.before.Times(known)
	if err != nil {
		return err
	}
	for k, i := range places {
		w.times[i] = before[k]
	}
	return nil
}
