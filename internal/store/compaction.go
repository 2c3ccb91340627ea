package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lakeward/lakeward"
)

// movedSince reports whether the profile store left the state that a change was computed from. A compaction
// needs the very generation; what others computed stays right when files were merged meanwhile.
func movedSince(ctx context.Context, q querier, sandbox string, c lakeward.Change, head int64) (bool, error) {
	if head <= c.Base || c.Kind == lakeward.CompactionChange {
		return head != c.Base, nil
	}
	var others int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM generation WHERE sandbox = $1 AND no > $2 AND kind <> $3`, sandbox, c.Base, lakeward.CompactionChange).Scan(&others)
	return others > 0, err
}

// supersede ends the life of the profile files with the given tables at the generation before this one.
func (w *commitWriter) supersede(ctx context.Context, tables []string) error {
	if len(tables) == 0 {
		return nil
	}
	current, err := listProfileFiles(ctx, w.tx, `WHERE sandbox = $1 AND to_generation IS NULL`, w.sandbox)
	if err != nil {
		return err
	}
	for _, path := range tables {
		i := slices.IndexFunc(current, func(f profileFileRow) bool { return len(f.files) > 0 && f.files[0].Path == path })
		if i < 0 {
			return &lakeward.Error{Kind: lakeward.Conflict, Code: "DATA-1002", Msg: "a profile file was replaced meanwhile; run the command again"}
		}
		f := current[i]
		w.link("-"+f.files[0].Path, []byte(f.files[0].SHA256))
		if _, err := w.tx.ExecContext(ctx, `UPDATE profile_file SET to_generation = $1 WHERE sandbox = $2 AND from_generation = $3 AND seq = $4`, w.no, w.sandbox, f.from, f.seq); err != nil {
			return err
		}
	}
	return nil
}

// profileFileRow is a row of profile_file without its bitmap. It is part of the generations from up to to, not
// including to, which is 0 while it is part of the newest.
type profileFileRow struct {
	from, seq, to int64
	files         []lakeward.DataFile // table, identities, fragments; those that there are
}

func listProfileFiles(ctx context.Context, q querier, where string, args ...any) ([]profileFileRow, error) {
	rows, err := q.QueryContext(ctx, `SELECT from_generation, seq, coalesce(to_generation, 0), profiles, identities, fragments FROM profile_file `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list profile files: %w", err)
	}
	defer rows.Close()
	var out []profileFileRow
	for rows.Next() {
		var f profileFileRow
		var docs [3]string
		if err := rows.Scan(&f.from, &f.seq, &f.to, &docs[0], &docs[1], &docs[2]); err != nil {
			return nil, err
		}
		for _, doc := range docs {
			var d lakeward.DataFile
			if doc == "" {
				continue
			}
			if err := json.Unmarshal([]byte(doc), &d); err != nil {
				return nil, err
			}
			if d.Path != "" {
				f.files = append(f.files, d)
			}
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// readKept notes on a snapshot what was removed of its generation; one whose memberships are gone is refused.
func readKept(ctx context.Context, q querier, snap *lakeward.Snapshot) error {
	var profiles, members bool
	err := q.QueryRowContext(ctx, `SELECT profiles_kept <> 0, members_kept <> 0 FROM generation WHERE sandbox = $1 AND no = $2`, snap.Sandbox, snap.Generation).Scan(&profiles, &members)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read generation %d: %w", snap.Generation, err)
	}
	if !members {
		return &lakeward.Error{Kind: lakeward.NotFound, Code: "DATA-1007", Msg: fmt.Sprintf("generation %d was removed, because no run needed it any more", snap.Generation)}
	}
	snap.ProfilesGone = !profiles
	return nil
}

// GenerationHash returns the hash of a generation; it is known as long as the store lives (DLV-125).
func (s *Store) GenerationHash(ctx context.Context, sandbox string, generation int64) (string, error) {
	hash, err := readHash(ctx, s.read, sandbox, generation)
	if errors.Is(err, sql.ErrNoRows) {
		return "", &lakeward.Error{Kind: lakeward.NotFound, Code: "DATA-1005", Msg: fmt.Sprintf("there is no generation %d", generation)}
	}
	return hash, err
}

// CheckChain computes the hash of each generation again from what it added (DLV-125).
func (s *Store) CheckChain(ctx context.Context, sandbox string) ([]lakeward.Problem, error) {
	before, err := readHash(ctx, s.read, sandbox, 0)
	if err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(ctx, `SELECT no, hash, links FROM generation WHERE sandbox = $1 ORDER BY no`, sandbox)
	if err != nil {
		return nil, fmt.Errorf("read generations: %w", err)
	}
	defer rows.Close()
	var out []lakeward.Problem
	for want := int64(1); rows.Next(); want++ {
		var no int64
		var hash, links string
		if err := rows.Scan(&no, &hash, &links); err != nil {
			return nil, err
		}
		switch {
		case no != want:
			return append(out, lakeward.Problem{What: fmt.Sprintf("generation %d is missing in the chain of hashes", want)}), nil
		case links != "" && hash != chainHash(before, links): // those of before this column cannot be computed
			out = append(out, lakeward.Problem{What: fmt.Sprintf("the hash of generation %d is not that of what it added", no)})
		}
		before = hash
	}
	return out, rows.Err()
}

// Sandboxes lists the sandboxes that have a profile store.
func (s *Store) Sandboxes(ctx context.Context) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT sandbox FROM head ORDER BY sandbox`)
	if err != nil {
		return nil, fmt.Errorf("list sandboxes: %w", err)
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, rows.Err()
}

// Forget removes the rows of files that no needed generation names and returns the files, which nothing names
// then (DLV-114). held are generations that somebody reads without a pin.
//
// Profile files are needed by the newest generation, by pins and open runs, and by who holds one; memberships also
// by what an incremental run starts from and by the breakdown of each audience's latest evaluation. The rows of
// the generations stay: they are the chain of hashes and say when identities changed.
func (s *Store) Forget(ctx context.Context, sandbox string, held []int64) ([]lakeward.DataFile, error) {
	var out []lakeward.DataFile
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		out = nil
		profiles, err := generations(ctx, tx, neededProfiles, sandbox)
		if err != nil {
			return err
		}
		members, err := generations(ctx, tx, neededMembers, sandbox)
		if err != nil {
			return err
		}
		f := forgetter{tx: tx, sandbox: sandbox, profiles: sorted(profiles, held), members: sorted(profiles, members, held)}
		err = errors.Join(f.profileFiles(ctx), f.eventFiles(ctx), f.memberships(ctx), f.withheld(ctx))
		out = f.files
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

const (
	openRun        = `state IN ('queued', 'running', 'retrying', 'cancelling', 'blocked')`
	neededProfiles = `SELECT generation FROM head WHERE sandbox = $1
		UNION SELECT generation FROM pin WHERE sandbox = $1
		UNION SELECT to_generation FROM run WHERE sandbox = $1 AND ` + openRun
	neededMembers = `SELECT coalesce(baseline_generation, 0) FROM flow_item WHERE sandbox = $1
		UNION SELECT coalesce(from_generation, 0) FROM run WHERE sandbox = $1 AND (owed = 1 OR ` + openRun + `)
		UNION SELECT to_generation FROM run WHERE sandbox = $1 AND owed = 1
		UNION SELECT max(generation) FROM membership WHERE sandbox = $1 GROUP BY audience_id
		UNION SELECT max(generation) - 1 FROM membership WHERE sandbox = $1 GROUP BY audience_id`
)

func generations(ctx context.Context, q querier, query, sandbox string) ([]int64, error) {
	rows, err := q.QueryContext(ctx, query, sandbox)
	if err != nil {
		return nil, fmt.Errorf("list needed generations: %w", err)
	}
	defer rows.Close()
	var out []int64
	for rows.Next() {
		var no int64
		if err := rows.Scan(&no); err != nil {
			return nil, err
		}
		out = append(out, no)
	}
	return out, rows.Err()
}

func sorted(lists ...[]int64) []int64 {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return all
}

// forgetter removes what no needed generation names.
type forgetter struct {
	tx                *sql.Tx
	sandbox           string
	profiles, members []int64 // needed generations, sorted
	files             []lakeward.DataFile
}

// within reports whether one of the sorted generations is from or later and before to.
func within(needed []int64, from, to int64) bool {
	i, _ := slices.BinarySearch(needed, from)
	return i < len(needed) && needed[i] < to
}

func (f *forgetter) profileFiles(ctx context.Context) error {
	old, err := listProfileFiles(ctx, f.tx, `WHERE sandbox = $1 AND to_generation IS NOT NULL`, f.sandbox)
	if err != nil {
		return err
	}
	for _, p := range old {
		if within(f.profiles, p.from, p.to) {
			continue
		}
		if _, err := f.tx.ExecContext(ctx, `DELETE FROM profile_file WHERE sandbox = $1 AND from_generation = $2 AND seq = $3`, f.sandbox, p.from, p.seq); err != nil {
			return err
		}
		if _, err := f.tx.ExecContext(ctx, `UPDATE generation SET profiles_kept = 0 WHERE sandbox = $1 AND no >= $2 AND no < $3`, f.sandbox, p.from, p.to); err != nil {
			return err
		}
		f.files = append(f.files, p.files...)
	}
	return nil
}

// membershipRow is a row of membership without its bitmaps.
type membershipRow struct {
	audience   string
	generation int64
	table      lakeward.DataFile
}

func (f *forgetter) memberships(ctx context.Context) error {
	list, err := f.listMemberships(ctx)
	if err != nil {
		return err
	}
	for i, m := range list {
		if i+1 == len(list) || list[i+1].audience != m.audience {
			continue // the newest of its audience
		}
		until := list[i+1].generation
		if within(f.members, m.generation, until) {
			continue
		}
		if _, err := f.tx.ExecContext(ctx, `DELETE FROM membership WHERE sandbox = $1 AND audience_id = $2 AND generation = $3`, f.sandbox, m.audience, m.generation); err != nil {
			return err
		}
		if _, err := f.tx.ExecContext(ctx, `UPDATE generation SET members_kept = 0 WHERE sandbox = $1 AND no >= $2 AND no < $3`, f.sandbox, m.generation, until); err != nil {
			return err
		}
		f.files = append(f.files, m.table)
	}
	return nil
}

// keptWithheld is how many runs of an item keep whom they left out, for those who ask what became of a profile.
const keptWithheld = 100

// withheld forgets whom a run left out once the memberships of its generation are gone, so that no window begins there any
// more; and of old runs that no window begins with.
func (f *forgetter) withheld(ctx context.Context) error {
	_, err := f.tx.ExecContext(ctx, `DELETE FROM withheld WHERE run IN (SELECT w.run FROM withheld w JOIN run r ON r.id = w.run JOIN generation g ON g.sandbox = r.sandbox AND g.no = r.to_generation
		WHERE r.sandbox = $1 AND g.members_kept = 0 AND NOT r.`+openRun+`)`, f.sandbox)
	if err != nil {
		return err
	}
	_, err = f.tx.ExecContext(ctx, `UPDATE withheld SET at_start = NULL, at_end = NULL WHERE run IN (SELECT w.run FROM withheld w JOIN run r ON r.id = w.run
		WHERE (w.at_start IS NOT NULL OR w.at_end IS NOT NULL) AND r.sandbox = $1 AND r.owed = 0 AND NOT r.`+openRun+`
			AND NOT EXISTS (SELECT 1 FROM flow_item i WHERE i.flow = r.flow AND i.item = r.item AND i.baseline_run = r.id)
			AND EXISTS (SELECT 1 FROM run n WHERE n.flow = r.flow AND n.item = r.item AND n.created_at > r.created_at ORDER BY n.created_at LIMIT 1 OFFSET $2))`, f.sandbox, keptWithheld-1)
	return err
}

func (f *forgetter) listMemberships(ctx context.Context) ([]membershipRow, error) {
	rows, err := f.tx.QueryContext(ctx, `SELECT audience_id, generation, data FROM membership WHERE sandbox = $1 ORDER BY audience_id, generation`, f.sandbox)
	if err != nil {
		return nil, fmt.Errorf("list memberships: %w", err)
	}
	defer rows.Close()
	var out []membershipRow
	for rows.Next() {
		var m membershipRow
		var data string
		if err := rows.Scan(&m.audience, &m.generation, &data); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(data), &m.table); err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, rows.Err()
}
