package parquet_test

import (
	"bytes"
	"fmt"
	"testing"

	lib "github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

func deliver(t *testing.T, c lakeward.Compression, columns []parquet.Column, chunks ...*vector.Chunk) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := parquet.NewDelivery(&b, columns, c)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range chunks {
		if err := w.Write(k); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func open(t *testing.T, data []byte) *lib.File {
	t.Helper()
	f, err := lib.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// FMT-16, FMT-17: columns are optional and keep the order of the mapping, pages are V1 under the codec that was asked
// for, and the rows come back.
func TestDelivery(t *testing.T) {
	columns := []parquet.Column{{Path: "z", Kind: vector.String}, {Path: "a", Kind: vector.Int}, {Path: "Full name", Kind: vector.String}, {Path: "m", Kind: vector.Bool}}
	codecs := map[lakeward.Compression]format.CompressionCodec{lakeward.NoCompression: format.Uncompressed, lakeward.Gzip: format.Gzip,
		lakeward.Zstd: format.Zstd, lakeward.Snappy: format.Snappy}
	for packed, codec := range codecs {
		t.Run(string(packed), func(t *testing.T) {
			c := &vector.Chunk{Columns: make([]vector.Vector, len(columns))}
			for i := range columns {
				c.Columns[i].Reset(columns[i].Kind)
			}
			for row := range 9000 {
				c.Columns[0].AppendString(fmt.Appendf(nil, "few %d", row%7))
				c.Columns[1].AppendInt(int64(row))
				c.Columns[2].AppendString(fmt.Appendf(nil, "many %d", row))
				if row%3 == 0 {
					c.Columns[3].AppendNull()
				} else {
					c.Columns[3].AppendBool(row%2 == 0)
				}
				c.Len++
			}
			f := open(t, deliver(t, packed, columns, c))
			for i, col := range f.Root().Columns() {
				if col.Name() != columns[i].Path || !col.Optional() {
					t.Errorf("column %d is %s, optional %t, want %s, optional", i, col.Name(), col.Optional(), columns[i].Path)
				}
			}
			for i, col := range f.Metadata().RowGroups[0].Columns {
				if col.MetaData.Codec != codec {
					t.Errorf("column %d has codec %s, want %s", i, col.MetaData.Codec, codec)
				}
				for _, s := range col.MetaData.EncodingStats {
					if s.PageType != format.DataPage {
						t.Errorf("column %d has pages of type %s", i, s.PageType)
					}
				}
			}
			if packed == lakeward.LZ4 {
				return // the library misreads LZ4, as leafOf knows; pyarrow and DuckDB read it in TestFormatMatrix
			}
			rows := f.RowGroups()[0].Rows()
			defer rows.Close()
			buf := make([]lib.Row, 9000)
			n, _ := rows.ReadRows(buf)
			if n != 9000 {
				t.Fatalf("%d rows came back", n)
			}
			for i, r := range buf {
				if r[0].String() != fmt.Sprintf("few %d", i%7) || r[1].Int64() != int64(i) || r[2].String() != fmt.Sprintf("many %d", i) || r[3].IsNull() != (i%3 == 0) {
					t.Fatalf("row %d is %v", i, r)
				}
			}
		})
	}
	if _, err := parquet.NewDelivery(&bytes.Buffer{}, columns, "BZIP2"); lakeward.CodeOf(err) != "CSV-1011" {
		t.Errorf("an unknown codec: %v", err)
	}
}

// FMT-17: the statistics of a column are true bounds, also of texts; long texts have none.
func TestDeliveryStatistics(t *testing.T) {
	columns := []parquet.Column{{Path: "code", Kind: vector.String}, {Path: "text", Kind: vector.String}, {Path: "long", Kind: vector.String}, {Path: "flag", Kind: vector.Bool}, {Path: "none", Kind: vector.String}}
	c := &vector.Chunk{Columns: make([]vector.Vector, len(columns))}
	for i := range columns {
		c.Columns[i].Reset(columns[i].Kind)
	}
	for row := range 5000 { // more than a dictionary holds
		c.Columns[0].AppendString([]byte{'a' + byte(row%5)})
		c.Columns[1].AppendString(fmt.Appendf(nil, "v%05d", (row*7919)%5000))
		c.Columns[2].AppendString(bytes.Repeat([]byte("x"), 300))
		c.Columns[3].AppendBool(row == 17)
		c.Columns[4].AppendNull()
		c.Len++
	}
	want := [][2]string{{"a", "e"}, {"v00000", "v04999"}, {"", ""}, {"\x00", "\x01"}, {"", ""}}
	for i, col := range open(t, deliver(t, lakeward.Gzip, columns, c)).Metadata().RowGroups[0].Columns {
		s := col.MetaData.Statistics
		if got := [2]string{string(s.MinValue), string(s.MaxValue)}; got != want[i] {
			t.Errorf("column %s is bounded by %q, want %q", columns[i].Path, got, want[i])
		}
		if nulls := int64(len(columns) - 1 - i); (s.NullCount == 5000) != (nulls == 0) {
			t.Errorf("column %s has %d nulls", columns[i].Path, s.NullCount)
		}
	}
}
