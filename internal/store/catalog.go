package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lakeward/lakeward"
)

// Deletions lists what was deleted, oldest first.
func (s *Store) Deletions(ctx context.Context, sandbox string) ([]lakeward.Deletion, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT generation, created_at, sums FROM deletion WHERE sandbox = $1 ORDER BY generation`, sandbox)
	if err != nil {
		return nil, fmt.Errorf("read deletions: %w", err)
	}
	defer rows.Close()
	var out []lakeward.Deletion
	for rows.Next() {
		var d lakeward.Deletion
		var at int64
		if err := rows.Scan(&d.Generation, &at, &d.Sums); err != nil {
			return nil, err
		}
		d.At = fromMillis(at)
		out = append(out, d)
	}
	return out, rows.Err()
}

// IdentityChanges lists what changed identities up to a generation, newest first.
func (s *Store) IdentityChanges(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, generation int64) ([]lakeward.IdentityChange, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT g.created_at, c.numbers FROM identity_change c JOIN generation g ON g.sandbox = c.sandbox AND g.no = c.generation
		WHERE c.sandbox = $1 AND c.policy = $2 AND c.generation <= $3 AND length(c.numbers) > 0 ORDER BY c.generation DESC`, sandbox, policy, generation)
	if err != nil {
		return nil, fmt.Errorf("read changes of identities: %w", err)
	}
	defer rows.Close()
	var out []lakeward.IdentityChange
	for rows.Next() {
		var c lakeward.IdentityChange
		var at int64
		if err := rows.Scan(&at, &c.Numbers); err != nil {
			return nil, err
		}
		c.At = fromMillis(at)
		out = append(out, c)
	}
	return out, rows.Err()
}

// Commit makes a change current in one transaction (DLV-120). A change other than a compaction may be computed from
// before compactions that were committed since: they changed no profile and no membership.
func (s *Store) Commit(ctx context.Context, sandbox string, c lakeward.Change) (int64, error) {
	var no int64
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		head, err := readHead(ctx, tx, sandbox)
		if err != nil {
			return err
		}
		moved, err := movedSince(ctx, tx, sandbox, c, head)
		if err != nil {
			return err
		}
		if moved {
			return &lakeward.Error{Kind: lakeward.Conflict, Code: "DATA-1002", Msg: "the profile store changed meanwhile; run the command again"}
		}
		no = head + 1
		before, err := readHash(ctx, tx, sandbox, head)
		if err != nil {
			return err
		}
		if err := s.replaceNouns(ctx, tx, sandbox, c); err != nil {
			return err
		}
		if c.Task != nil {
			if err := endEvaluation(ctx, tx, *c.Task, no); err != nil {
				return err
			}
		}
		w := &commitWriter{tx: tx, sandbox: sandbox, no: no}
		if err := w.write(ctx, c); err != nil {
			return err
		}
		links := w.links.String()
		if _, err := tx.ExecContext(ctx, `INSERT INTO generation (sandbox, no, kind, hash, links, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
			sandbox, no, c.Kind, chainHash(before, links), links, millis(c.At)); err != nil {
			return err
		}
		if err := afterUpload(ctx, tx, sandbox, c, no); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO head (sandbox, generation) VALUES ($1, $2) ON CONFLICT (sandbox) DO UPDATE SET generation = excluded.generation`, sandbox, no)
		return err
	})
	return no, err
}

// replaceNouns stores what of the configuration changes together with the profiles.
func (s *Store) replaceNouns(ctx context.Context, tx *sql.Tx, sandbox string, c lakeward.Change) error {
	if c.Audience != nil {
		if err := s.replace(ctx, tx, audienceDocument(*c.Audience)); err != nil {
			return err
		}
	}
	for _, p := range c.Policies {
		if err := s.replace(ctx, tx, policyDocument(p)); err != nil {
			return err
		}
	}
	if c.Dropped == "" {
		return nil
	}
	return s.remove(ctx, tx, policyKind, sandbox, string(c.Dropped))
}

// afterUpload queues the exports that the upload of an audience makes due: it is as good as an evaluation (D15).
func afterUpload(ctx context.Context, tx *sql.Tx, sandbox string, c lakeward.Change, generation int64) error {
	if c.Audience == nil || c.Batch == nil {
		return nil
	}
	return queueAfter(ctx, tx, membersSet{sandbox: sandbox, slot: lakeward.EvaluationSlot(lakeward.TaskID(c.Batch.ID)), at: c.At, generation: generation, audiences: []string{string(c.Audience.ID)}})
}

// commitWriter writes the rows of one generation and extends the chain of hashes (DLV-125).
type commitWriter struct {
	tx      *sql.Tx
	sandbox string
	no      int64
	links   strings.Builder
	place   int64 // of profile files
	seq     int   // of the next profile file
	events  int   // of the next event file
}

// chainHash is the hash of a generation, from that of the one before and what it adds.
func chainHash(before, links string) string {
	sum := sha256.Sum256([]byte(before + links))
	return hex.EncodeToString(sum[:])
}

// link adds a file or bitmap to the chain.
func (w *commitWriter) link(name string, content []byte) {
	sum := sha256.Sum256(content)
	_, _ = fmt.Fprintf(&w.links, "|%s %x", name, sum)
}

func (w *commitWriter) write(ctx context.Context, c lakeward.Change) error {
	if c.Batch != nil {
		if err := w.batch(ctx, *c.Batch); err != nil {
			return err
		}
	}
	if err := errors.Join(w.supersede(ctx, c.Replaced), w.supersedeEvents(ctx, c.ReplacedEvents)); err != nil {
		return err
	}
	if w.place = w.no; c.Place > 0 {
		w.place = c.Place
	}
	for _, p := range c.ByPolicy() {
		if err := w.profiles(ctx, c.Kind, p); err != nil {
			return err
		}
	}
	if len(c.Deleted) > 0 {
		w.link("#deleted", c.Deleted)
		if _, err := w.tx.ExecContext(ctx, `INSERT INTO deletion (sandbox, generation, created_at, sums) VALUES ($1, $2, $3, $4)`, w.sandbox, w.no, millis(c.At), c.Deleted); err != nil {
			return err
		}
	}
	for _, m := range c.Memberships {
		if err := w.membership(ctx, c.ByPolicy()[0].Of, m); err != nil {
			return err
		}
	}
	return nil
}

// profiles writes what a commit adds to the profiles of a policy.
func (w *commitWriter) profiles(ctx context.Context, kind string, p lakeward.ProfileChange) error {
	if p.Rebuilt {
		// They stay readable for who has pinned an older generation.
		w.link("#rebuilt "+string(p.Of), nil)
		for _, table := range []string{"profile_file", "event_file"} {
			if _, err := w.tx.ExecContext(ctx, `UPDATE `+table+` SET to_generation = $1 WHERE sandbox = $2 AND policy = $3 AND to_generation IS NULL`, w.no, w.sandbox, p.Of); err != nil {
				return err
			}
		}
	}
	for _, f := range p.Profiles {
		if err := w.profileFile(ctx, p.Of, f); err != nil {
			return err
		}
	}
	for _, f := range p.Events {
		if err := w.eventFile(ctx, p.Of, f); err != nil {
			return err
		}
	}
	if kind != "evaluation" && kind != "compaction" && kind != "dataset" {
		if len(p.Heirs) > 0 {
			w.link("#heirs "+string(p.Of), p.Heirs)
		}
		if _, err := w.tx.ExecContext(ctx, `INSERT INTO identity_change (sandbox, generation, policy, numbers, heirs) VALUES ($1, $2, $3, $4, $5)`,
			w.sandbox, w.no, p.Of, blob(p.Identities), blob(p.Heirs)); err != nil {
			return err
		}
	}
	_, err := w.tx.ExecContext(ctx, `INSERT INTO policy_head (sandbox, policy, next_number) VALUES ($1, $2, $3) ON CONFLICT (sandbox, policy) DO UPDATE SET next_number = excluded.next_number`,
		w.sandbox, p.Of, p.NextNumber)
	return err
}

func (w *commitWriter) profileFile(ctx context.Context, policy lakeward.MergePolicyID, f lakeward.ProfileFile) error {
	table, identities, err := pair(f.Table, f.Identities)
	if err != nil {
		return err
	}
	fragments := ""
	if f.Fragments.Path != "" {
		doc, err := json.Marshal(f.Fragments)
		if err != nil {
			return err
		}
		fragments = string(doc)
		w.link(f.Fragments.Path, []byte(f.Fragments.SHA256))
	}
	w.link(f.Table.Path, []byte(f.Table.SHA256))
	w.link(f.Identities.Path, []byte(f.Identities.SHA256))
	w.link(f.Table.Path+"#numbers", f.Numbers)
	_, err = w.tx.ExecContext(ctx, `INSERT INTO profile_file (sandbox, policy, from_generation, seq, place, profiles, identities, fragments, numbers) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		w.sandbox, policy, w.no, w.seq, w.place, table, identities, fragments, blob(f.Numbers))
	w.seq++
	return err
}

func (w *commitWriter) batch(ctx context.Context, b lakeward.Batch) error {
	doc, err := json.Marshal(b)
	if err != nil {
		return err
	}
	all := slices.Concat(b.Files, b.Payload)
	files, err := json.Marshal(all)
	if err != nil {
		return err
	}
	for _, f := range all {
		w.link(f.Path, []byte(f.SHA256))
	}
	_, err = w.tx.ExecContext(ctx, `INSERT INTO batch (sandbox, id, dataset_id, generation, rows, doc, files, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		w.sandbox, b.ID, b.DatasetID, w.no, b.Rows, string(doc), string(files), millis(b.CreatedAt))
	return err
}

func (w *commitWriter) membership(ctx context.Context, policy lakeward.MergePolicyID, m lakeward.Membership) error {
	data, err := json.Marshal(m.Table)
	if err != nil {
		return err
	}
	w.link(m.Table.Path, []byte(m.Table.SHA256))
	w.link(m.Table.Path+"#members", m.Members)
	w.link(m.Table.Path+"#exited", m.Exited)
	_, err = w.tx.ExecContext(ctx, `INSERT INTO membership (sandbox, audience_id, policy, generation, data, members, exited, member_count, evaluated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		w.sandbox, m.Audience, policy, w.no, string(data), blob(m.Members), blob(m.Exited), m.Count, millis(m.EvaluatedAt))
	return err
}

func pair(a, b lakeward.DataFile) (string, string, error) {
	x, err := json.Marshal(a)
	if err != nil {
		return "", "", err
	}
	y, err := json.Marshal(b)
	return string(x), string(y), err
}

// Named lists all files that a row names, by path; what else lies beside them is garbage.
func (s *Store) Named(ctx context.Context) (map[string]lakeward.DataFile, error) {
	out := map[string]lakeward.DataFile{}
	for _, query := range []string{`SELECT profiles FROM profile_file`, `SELECT identities FROM profile_file`, `SELECT fragments FROM profile_file WHERE fragments <> ''`, `SELECT data FROM membership`, `SELECT data FROM event_file`, `SELECT files FROM batch`} {
		if err := s.namePaths(ctx, query, out); err != nil {
			return nil, fmt.Errorf("list files: %w", err)
		}
	}
	return out, nil
}

// namePaths adds the files in a column, each one file or a list of them.
func (s *Store) namePaths(ctx context.Context, query string, out map[string]lakeward.DataFile) error {
	rows, err := s.read.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return err
		}
		files := make([]lakeward.DataFile, 1)
		if strings.HasPrefix(text, "[") {
			err = json.Unmarshal([]byte(text), &files)
		} else {
			err = json.Unmarshal([]byte(text), &files[0])
		}
		if err != nil {
			return err
		}
		for _, f := range files {
			if f.Path != "" {
				out[f.Path] = f
			}
		}
	}
	return rows.Err()
}

// blob is a bitmap as a column value, never NULL.
func blob(b lakeward.Bitmap) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
