package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lakeward/lakeward"
)

// Snapshot returns the profile store of a sandbox at a generation, the newest one for 0, as a merge policy sees it.
func (s *Store) Snapshot(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, generation int64, only []lakeward.AudienceID) (lakeward.Snapshot, error) {
	snap := lakeward.Snapshot{Sandbox: sandbox, Policy: policy}
	tx, err := s.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return snap, err
	}
	defer func() { _ = tx.Rollback() }()
	head, err := readHead(ctx, tx, sandbox)
	if err != nil {
		return snap, err
	}
	snap.Generation = head
	if snap.NextNumber, err = readNext(ctx, tx, sandbox, policy); err != nil {
		return snap, err
	}
	if generation != 0 {
		if generation > head {
			return snap, &lakeward.Error{Kind: lakeward.NotFound, Code: "DATA-1005", Msg: fmt.Sprintf("generation %d lies after the newest, %d", generation, head)}
		}
		snap.Generation = generation
	}
	if err := readKept(ctx, tx, &snap); err != nil {
		return snap, err
	}
	if snap.Hash, err = readHash(ctx, tx, sandbox, snap.Generation); err != nil {
		return snap, err
	}
	if !snap.ProfilesGone {
		if err := readProfiles(ctx, tx, &snap); err != nil {
			return snap, err
		}
		if err := readEvents(ctx, tx, &snap); err != nil {
			return snap, err
		}
	}
	if snap.IdentityState, err = readIdentityState(ctx, tx, snap); err != nil {
		return snap, err
	}
	if err := readMembershipsOf(ctx, tx, &snap, only); err != nil {
		return snap, err
	}
	return snap, readHeirs(ctx, tx, &snap)
}

// readIdentityState finds the newest generation that may have changed who has which identity.
func readIdentityState(ctx context.Context, q querier, snap lakeward.Snapshot) (string, error) {
	var hash string
	err := q.QueryRowContext(ctx, `SELECT g.hash FROM identity_change c JOIN generation g ON g.sandbox = c.sandbox AND g.no = c.generation
		WHERE c.sandbox = $1 AND c.policy = $2 AND c.generation <= $3 ORDER BY c.generation DESC LIMIT 1`, snap.Sandbox, snap.Policy, snap.Generation).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return hash, err
}

// readHeirs reads those that a membership of the snapshot does not know yet.
func readHeirs(ctx context.Context, q querier, snap *lakeward.Snapshot) error {
	oldest := snap.Generation
	for _, m := range snap.Memberships {
		oldest = min(oldest, m.Generation)
	}
	var err error
	snap.Heirs, err = heirs(ctx, q, snap.Sandbox, snap.Policy, oldest, snap.Generation)
	return err
}

// Heirs lists who carries on whom since a generation, up to another one.
func (s *Store) Heirs(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, after, upTo int64) ([]lakeward.Heirs, error) {
	return heirs(ctx, s.read, sandbox, policy, after, upTo)
}

func heirs(ctx context.Context, q querier, sandbox string, policy lakeward.MergePolicyID, after, upTo int64) ([]lakeward.Heirs, error) {
	return queryHeirs(ctx, q, `SELECT generation, heirs FROM identity_change WHERE sandbox = $1 AND policy = $2 AND generation > $3 AND generation <= $4 AND length(heirs) > 0 ORDER BY generation`,
		sandbox, policy, after, upTo)
}

// queryHeirs reads generations and who carries on whom since each.
func queryHeirs(ctx context.Context, q querier, query string, args ...any) ([]lakeward.Heirs, error) {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read joined profiles: %w", err)
	}
	defer rows.Close()
	var out []lakeward.Heirs
	for rows.Next() {
		var h lakeward.Heirs
		if err := rows.Scan(&h.Generation, &h.Pairs); err != nil {
			return nil, err
		}
		out = append(out, h)
	}
	return out, rows.Err()
}

func readHead(ctx context.Context, q querier, sandbox string) (generation int64, err error) {
	err = q.QueryRowContext(ctx, `SELECT generation FROM head WHERE sandbox = $1`, sandbox).Scan(&generation)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return generation, err
}

func readNext(ctx context.Context, q querier, sandbox string, policy lakeward.MergePolicyID) (next uint32, err error) {
	err = q.QueryRowContext(ctx, `SELECT next_number FROM policy_head WHERE sandbox = $1 AND policy = $2`, sandbox, policy).Scan(&next)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return next, err
}

func readHash(ctx context.Context, q querier, sandbox string, generation int64) (string, error) {
	var hash string
	err := q.QueryRowContext(ctx, `SELECT hash FROM generation WHERE sandbox = $1 AND no = $2`, sandbox, generation).Scan(&hash)
	if errors.Is(err, sql.ErrNoRows) && generation == 0 {
		return hex.EncodeToString(make([]byte, sha256.Size)), nil
	}
	return hash, err
}

func readProfiles(ctx context.Context, q querier, snap *lakeward.Snapshot) error {
	rows, err := q.QueryContext(ctx, `SELECT profiles, identities, fragments, numbers FROM profile_file
		WHERE sandbox = $1 AND from_generation <= $2 AND (to_generation IS NULL OR to_generation > $2) AND policy = $3 ORDER BY place, from_generation, seq`, snap.Sandbox, snap.Generation, snap.Policy)
	if err != nil {
		return fmt.Errorf("read profile files: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var table, identities, fragments string
		var f lakeward.ProfileFile
		if err := rows.Scan(&table, &identities, &fragments, &f.Numbers); err != nil {
			return err
		}
		if err := errors.Join(json.Unmarshal([]byte(table), &f.Table), json.Unmarshal([]byte(identities), &f.Identities)); err != nil {
			return err
		}
		if fragments != "" {
			if err := json.Unmarshal([]byte(fragments), &f.Fragments); err != nil {
				return err
			}
		}
		snap.Profiles = append(snap.Profiles, f)
	}
	return rows.Err()
}

// readMembershipsOf reads those of some audiences; nil is all.
func readMembershipsOf(ctx context.Context, q querier, snap *lakeward.Snapshot, only []lakeward.AudienceID) error {
	if only == nil {
		return readMemberships(ctx, q, snap, "")
	}
	for _, audience := range only {
		if err := readMemberships(ctx, q, snap, audience); err != nil {
			return err
		}
	}
	return nil
}

// readMemberships reads that of an audience, or all for "".
func readMemberships(ctx context.Context, q querier, snap *lakeward.Snapshot, audience lakeward.AudienceID) error {
	rows, err := q.QueryContext(ctx, `SELECT audience_id, generation, data, members, exited, member_count, evaluated_at FROM membership m WHERE sandbox = $1 AND policy = $3
		AND ($4 = '' OR audience_id = $4) AND generation = (SELECT max(generation) FROM membership n WHERE n.sandbox = m.sandbox AND n.audience_id = m.audience_id AND n.generation <= $2)`, snap.Sandbox, snap.Generation, snap.Policy, audience)
	if err != nil {
		return fmt.Errorf("read memberships: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var m lakeward.Membership
		var data string
		var at int64
		if err := rows.Scan(&m.Audience, &m.Generation, &data, &m.Members, &m.Exited, &m.Count, &at); err != nil {
			return err
		}
		m.EvaluatedAt = fromMillis(at)
		if err := json.Unmarshal([]byte(data), &m.Table); err != nil {
			return err
		}
		snap.Memberships = append(snap.Memberships, m)
	}
	return rows.Err()
}
