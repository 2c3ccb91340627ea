package lakeward_test

import (
	"testing"

	"github.com/lakeward/lakeward"
)

// S15, S16, S31, S32, CMP-01, CMP-02, FMT-01, FMT-17: which compressions a file type takes, what its files are called,
// and what needs extensions.
func TestFormats(t *testing.T) {
	for _, test := range []struct {
		fileType    lakeward.FileType
		compression lakeward.Compression
		extension   string
		plain       string // code without extensions
	}{
		{lakeward.CSV, lakeward.NoCompression, ".csv", ""},
		{lakeward.CSV, lakeward.Gzip, ".csv.gz", ""},
		{lakeward.CSV, lakeward.Zstd, ".csv.zst", "CSV-1011"},
		{lakeward.CSV, lakeward.Snappy, ".csv.sz", "CSV-1011"},
		{lakeward.CSV, lakeward.LZ4, ".csv.lz4", "CSV-1011"},
		{lakeward.JSON, lakeward.NoCompression, ".json", ""},
		{lakeward.JSON, lakeward.Gzip, ".json.gz", ""},
		{lakeward.JSON, lakeward.Zstd, ".json.zst", "CSV-1011"},
		{lakeward.JSON, lakeward.Snappy, ".json.sz", "CSV-1011"},
		{lakeward.JSON, lakeward.LZ4, ".json.lz4", "CSV-1011"},
		{lakeward.Parquet, lakeward.NoCompression, ".parquet", ""},
		{lakeward.Parquet, lakeward.Gzip, ".gz.parquet", ""},
		{lakeward.Parquet, lakeward.Zstd, ".zstd.parquet", "CSV-1011"},
		{lakeward.Parquet, lakeward.Snappy, ".snappy.parquet", "CSV-1011"},
		{lakeward.Parquet, lakeward.LZ4, ".lz4.parquet", "CSV-1011"},
		{lakeward.Parquet, "BZIP2", ".parquet", "CSV-1011"},
	} {
		d := lakeward.Destination{Name: "d", FileType: test.fileType, Compression: test.compression, CSV: lakeward.DefaultCSV()}
		if err := d.Validate(); lakeward.CodeOf(err) != test.plain {
			t.Errorf("%s with %s: %v, want code %q", test.fileType, test.compression, err, test.plain)
		}
		if got := d.Extension(); got != test.extension {
			t.Errorf("%s with %s ends in %s, want %s", test.fileType, test.compression, got, test.extension)
		}
		d.CSV, d.Extensions = lakeward.DefaultCSV(), true
		if err := d.Validate(); (err != nil) != (test.compression == "BZIP2") {
			t.Errorf("%s with %s and extensions: %v", test.fileType, test.compression, err)
		}
	}
}

// C10, FMT-03, CAL-05, decision 13: options of CSV are for CSV, and what goes beyond the reference asks for extensions.
func TestFormatOptions(t *testing.T) {
	for _, test := range []struct {
		name       string
		change     func(*lakeward.Destination)
		plain, ext string // codes without and with extensions
	}{
		{"header off", func(d *lakeward.Destination) { d.CSV.HeaderOff = true }, "JSON-1004", ""},
		{"byte order mark", func(d *lakeward.Destination) { d.CSV.BOM = true }, "JSON-1004", ""},
		{"CR LF", func(d *lakeward.Destination) { d.CSV.CRLF = true }, "JSON-1004", ""},
		{"quote all", func(d *lakeward.Destination) { d.CSV.QuoteAll = true }, "JSON-1004", ""},
		{"quote all without a quote", func(d *lakeward.Destination) { d.CSV.QuoteAll, d.CSV.Quote = true, "" }, "CSV-1003", "CSV-1003"},
		{"success file", func(d *lakeward.Destination) { d.SuccessFile = true }, "JSON-1004", ""},
		{"arrays into CSV", func(d *lakeward.Destination) { d.Nested = true }, "CSV-1013", "CSV-1013"},
		{"arrays into JSON", func(d *lakeward.Destination) { d.Nested, d.FileType = true, lakeward.JSON }, "", ""},
		{"CSV options for JSON", func(d *lakeward.Destination) { d.FileType, d.CSV.Delimiter = lakeward.JSON, "|" }, "CSV-1010", "CSV-1010"},
		{"CSV options for Parquet", func(d *lakeward.Destination) { d.FileType, d.CSV.BOM = lakeward.Parquet, true }, "CSV-1010", "CSV-1010"},
	} {
		for _, extensions := range []bool{false, true} {
			d := lakeward.Destination{Name: "d", FileType: lakeward.CSV, Compression: lakeward.Gzip, CSV: lakeward.DefaultCSV(), Extensions: extensions}
			test.change(&d)
			want := test.plain
			if extensions {
				want = test.ext
			}
			if err := d.Validate(); lakeward.CodeOf(err) != want {
				t.Errorf("%s, extensions %t: %v, want code %q", test.name, extensions, err, want)
			}
		}
	}
}
