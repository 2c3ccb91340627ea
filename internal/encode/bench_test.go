package encode_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/vector"
)

// writer is what the encoders have in common.
type writer interface {
	Write(*vector.Chunk) error
}

// benchChunk has 22 flat columns, a fifth of them codes, two with nulls.
func benchChunk() (fields []lakeward.Field, names []string, chunk *vector.Chunk) {
	rnd := rand.New(rand.NewPCG(1, 2))
	chunk = &vector.Chunk{Len: vector.MaxRows}
	kinds := []lakeward.FieldType{lakeward.TypeString, lakeward.TypeString, lakeward.TypeString, lakeward.TypeLong, lakeward.TypeDouble, lakeward.TypeDate, lakeward.TypeDateTime, lakeward.TypeBoolean}
	for i := range 22 {
		f := lakeward.Field{Name: fmt.Sprintf("column_%d", i), Type: kinds[i%len(kinds)]}
		var v vector.Vector
		v.ResetTo(vector.ShapeOfField(f))
		if i%8 == 0 {
			v = dict("gold", "silver", "platinum", "basic")
			v.Reset(vector.String)
			v.Dict = dict("gold", "silver", "platinum", "basic").Dict
		}
		for range vector.MaxRows {
			switch {
			case i%11 == 4 && rnd.IntN(4) == 0:
				v.AppendNull()
			case v.Dict != nil:
				v.AppendCode(int32(rnd.IntN(4)))
			case v.Kind == vector.String:
				v.AppendString(fmt.Appendf(nil, "value %d", rnd.IntN(1e6)))
			case v.Kind == vector.Float:
				v.AppendFloat(float64(rnd.IntN(1e6)) / 100)
			case v.Kind == vector.Bool:
				v.AppendBool(rnd.IntN(2) == 0)
			case v.Kind == vector.Date:
				v.AppendInt(int64(rnd.IntN(20000)))
			default:
				v.AppendInt(int64(rnd.IntN(2e9)))
			}
		}
		fields, names, chunk.Columns = append(fields, f), append(names, f.Name), append(chunk.Columns, v)
	}
	return fields, names, chunk
}

func BenchmarkRows(b *testing.B) {
	fields, names, chunk := benchChunk()
	parquet := func(c lakeward.Compression) writer {
		w, err := encode.NewParquet(io.Discard, fields, c)
		if err != nil {
			b.Fatal(err)
		}
		return w
	}
	csv, err := encode.NewCSV(io.Discard, names, lakeward.DefaultCSV())
	if err != nil {
		b.Fatal(err)
	}
	for _, bench := range []struct {
		name string
		w    writer
	}{{"CSV", csv}, {"JSON", encode.NewJSON(io.Discard, names, true)}, {"Parquet", parquet(lakeward.NoCompression)}, {"ParquetGzip", parquet(lakeward.Gzip)}, {"ParquetSnappy", parquet(lakeward.Snappy)}} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bench.w.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(chunk.Len), "ns/row")
		})
	}
}
