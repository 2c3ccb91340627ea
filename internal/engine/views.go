package engine

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// Views is SQL that DuckDB runs to see the data at rest as it is: a view for each dataset, one of all
// profiles for each merge policy, one for each evaluated audience. dir is the data directory.
//
// Of a profile in several files the newest row wins; its number is the same in all of them and in the audiences.
func (e *Engine) Views(ctx context.Context, sandbox, dir string) (string, error) {
	var b strings.Builder
	datasets, err := e.store.Datasets(ctx, sandbox)
	if err != nil {
		return "", err
	}
	names := viewNames{}
	for _, d := range datasets {
		names.count("dataset " + d.Name)
	}
	for _, d := range datasets {
		stored, err := e.batchFiles(ctx, d)
		if err != nil {
			return "", err
		}
		var files []string
		for _, f := range stored {
			files = append(files, sqlPath(dir, f))
		}
		if len(files) > 0 {
			fmt.Fprintf(&b, "CREATE OR REPLACE VIEW %s AS SELECT * FROM read_parquet([%s], union_by_name = true);\n", names.of("dataset "+d.Name, string(d.ID)), strings.Join(files, ", "))
		}
	}
	policies, err := e.store.MergePolicies(ctx, sandbox)
	if err != nil {
		return "", err
	}
	audiences, err := e.store.Audiences(ctx, sandbox)
	if err != nil {
		return "", err
	}
	for _, a := range audiences {
		names.count("audience " + a.Name)
	}
	for _, p := range policies {
		names.count("profiles " + p.Name)
	}
	for i, p := range policies {
		snap, err := e.warehouse.Snapshot(ctx, sandbox, p.ID, 0)
		if err != nil {
			return "", err
		}
		name := "profiles"
		if i > 0 {
			name = names.of("profiles "+p.Name, string(p.ID))
		}
		b.WriteString(profilesView(snap, name, dir))
		for _, a := range audiences {
			if m, ok := snap.Memberships[a.ID]; ok {
				b.WriteString(audienceView(m, snap.All(), names.of("audience "+a.Name, string(a.ID)), dir))
			}
		}
	}
	return b.String(), nil
}

func profilesView(snap *warehouse.Snapshot, name, dir string) string {
	var parts []string
	for i, f := range snap.Profiles {
		if f.Table.Path != "" {
			parts = append(parts, fmt.Sprintf("  SELECT %d AS \"lw file\", * FROM read_parquet(%s)", i, sqlPath(dir, f.Table)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return fmt.Sprintf("CREATE OR REPLACE VIEW %s AS SELECT * EXCLUDE (\"lw file\") FROM (\n%s\n)%s QUALIFY row_number() OVER (PARTITION BY number ORDER BY \"lw file\" DESC) = 1;\n",
		name, strings.Join(parts, "\n  UNION ALL BY NAME\n"), without(snap.Gone()))
}

func audienceView(m warehouse.Membership, all *roaring.Bitmap, name, dir string) string {
	return fmt.Sprintf("CREATE OR REPLACE VIEW %s AS SELECT number, status, lastQualificationTime FROM read_parquet(%s)%s%s;\n",
		name, sqlPath(dir, m.Table), without(m.Stale(all)), lateMembers(m.Late(), m.EvaluatedAt))
}

// without leaves numbers out: of profiles that are gone, whose rows stay until the files are written anew.
func without(numbers *roaring.Bitmap) string {
	if numbers.IsEmpty() {
		return ""
	}
	return " WHERE number NOT IN (" + numberList(numbers) + ")"
}

// lateMembers adds those that carry on members since the evaluation, and have no row yet.
func lateMembers(numbers *roaring.Bitmap, at time.Time) string {
	if numbers.IsEmpty() {
		return ""
	}
	return fmt.Sprintf(" UNION ALL SELECT unnest([%s])::INTEGER, '%s', TIMESTAMPTZ '%s'", numberList(numbers), lakeward.Realized, at.UTC().Format("2006-01-02 15:04:05.000Z"))
}

func numberList(numbers *roaring.Bitmap) string {
	var b strings.Builder
	for it := numbers.Iterator(); it.HasNext(); {
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(it.Next()), 10))
	}
	return b.String()
}

// viewNames counts the names: DuckDB does not tell upper from lower case, and ours may stand twice (D20).
type viewNames map[string]int

func (v viewNames) count(name string) { v[strings.ToLower(name)]++ }

// of is the quoted name of a view, with the id where the name alone would hide another view.
func (v viewNames) of(name, id string) string {
	if v[strings.ToLower(name)] > 1 {
		name += " " + id
	}
	return sqlName(name)
}

// sqlName quotes a name, sqlPath the path of a file.
func sqlName(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

func sqlPath(dir string, f lakeward.DataFile) string {
	return "'" + strings.ReplaceAll(filepath.Join(dir, filepath.FromSlash(f.Path)), "'", "''") + "'"
}
