package lakeward

import "slices"

// FileType is the format of the exported files.
type FileType string

// The file types (FMT-01).
const (
	CSV     FileType = "CSV"
	JSON    FileType = "JSON" // one object a line
	Parquet FileType = "PARQUET"
)

// Compression is the compression of the exported files (CMP-01). In Parquet it is that of the pages: the file stays one.
type Compression string

// The compressions. All but the first two are extensions.
const (
	NoCompression Compression = "NONE"
	Gzip          Compression = "GZIP"
	Zstd          Compression = "ZSTD"
	Snappy        Compression = "SNAPPY"
	LZ4           Compression = "LZ4"
)

// suffix is what a compressed file's name gets: behind the extension, or before that of Parquet (CMP-02).
func (c Compression) suffix(t FileType) string {
	switch c {
	case Gzip:
		return ".gz"
	case Zstd:
		if t == Parquet {
			return ".zstd" // as Spark names it
		}
		return ".zst"
	case Snappy:
		if t == Parquet {
			return ".snappy"
		}
		return ".sz" // the framing format, which is not the .snappy of Hadoop
	case LZ4:
		return ".lz4"
	}
	return ""
}

// Extension is what a data file's name ends in, with its dots, before it is encrypted (CMP-02).
func (d Destination) Extension() string {
	packed := d.Compression.suffix(d.FileType)
	switch d.FileType {
	case JSON:
		return ".json" + packed
	case Parquet:
		return packed + ".parquet"
	}
	return ".csv" + packed
}

// Around is the compression of the file as a whole: that of Parquet lies inside.
func (d Destination) Around() Compression {
	if d.FileType == Parquet {
		return NoCompression
	}
	return d.Compression
}

// CSVOptions are the formatting options of CSV files (FMT-05). Compression, the sixth, is the destination's.
type CSVOptions struct {
	Delimiter string `json:"delimiter"`
	Quote     string `json:"quote"`  // `"`, or "" for none
	Escape    string `json:"escape"` // `\` or `'`
	Empty     string `json:"emptyValue"`
	Null      string `json:"nullValue"`
	// What follows are extensions.
	HeaderOff bool `json:"headerOff,omitempty"`
	BOM       bool `json:"bom,omitempty"`      // the file begins with the byte order mark of UTF-8
	CRLF      bool `json:"crlf,omitempty"`     // records end in CR LF
	QuoteAll  bool `json:"quoteAll,omitempty"` // every value and header has quotes; null and empty are written as their options say
}

// DefaultCSV returns the safe options: double quotes, so that no value can break a row (D30).
func DefaultCSV() CSVOptions {
	return CSVOptions{Delimiter: ",", Quote: `"`, Escape: `\`, Empty: "", Null: "null"}
}

// extended lists the JSON names of the extensions that are used.
func (o CSVOptions) extended() []string {
	var out []string
	for _, x := range []struct {
		name string
		on   bool
	}{{"headerOff", o.HeaderOff}, {"bom", o.BOM}, {"crlf", o.CRLF}, {"quoteAll", o.QuoteAll}} {
		if x.on {
			out = append(out, x.name)
		}
	}
	return out
}

// checkFormat checks what the files look like. Options of CSV that were given for another file type are refused
// unless they are the defaults, which are dropped (FMT-03).
func (d *Destination) checkFormat(errs *fieldErrors) {
	switch d.FileType {
	case CSV:
		d.CSV.check(errs)
		if d.Nested {
			errs.add("/exportArraysMapsObjects", "CSV-1013", "CSV cannot hold arrays, maps and objects; choose JSON or PARQUET")
		}
	case JSON, Parquet:
		if d.CSV != (CSVOptions{}) && d.CSV != DefaultCSV() {
			errs.add("/csvOptions", "CSV-1010", "the options of CSV apply to file type CSV only, not to %s", d.FileType)
		}
		d.CSV = CSVOptions{}
	default:
		errs.add("/fileType", "CSV-1010", "the file type is CSV, JSON or PARQUET, not %s", Quote(string(d.FileType)))
	}
	switch {
	case d.Compression == NoCompression, d.Compression == Gzip:
	case !d.Extensions:
		errs.add("/compression", "CSV-1011", "compression is NONE or GZIP, not %s; ZSTD, SNAPPY and LZ4 need extensions: true", Quote(string(d.Compression)))
	case !slices.Contains([]Compression{Zstd, Snappy, LZ4}, d.Compression):
		errs.add("/compression", "CSV-1011", "compression is NONE, GZIP, ZSTD, SNAPPY or LZ4, not %s", Quote(string(d.Compression)))
	}
	d.checkExtensions(errs)
}

// checkExtensions refuses extensions on a destination without them (C10).
func (d *Destination) checkExtensions(errs *fieldErrors) {
	if d.Extensions {
		return
	}
	for _, name := range d.CSV.extended() {
		errs.add("/csvOptions/"+name, "JSON-1004", "%s is an option beyond the reference; set extensions: true to use it", name)
	}
	if d.SuccessFile {
		errs.add("/successFile", "JSON-1004", "successFile is an option beyond the reference; set extensions: true to use it")
	}
}

func (o CSVOptions) check(errs *fieldErrors) {
	if !slices.Contains([]string{",", "\t", "|", ";", ":"}, o.Delimiter) {
		errs.add("/csvOptions/delimiter", "CSV-1001", `the delimiter is one of , \t | ; : and not %s`, Quote(o.Delimiter))
	}
	if o.Quote != `"` && o.Quote != "" {
		errs.add("/csvOptions/quote", "CSV-1003", `the quote character is " or none, not %s`, Quote(o.Quote))
	}
	if o.Escape != `\` && o.Escape != "'" {
		errs.add("/csvOptions/escape", "CSV-1003", `the escape character is \ or ', not %s`, Quote(o.Escape))
	}
	if o.QuoteAll && o.Quote == "" {
		errs.add("/csvOptions/quoteAll", "CSV-1003", "quoteAll needs a quote character")
	}
	for pointer, v := range map[string]string{"/csvOptions/emptyValue": o.Empty, "/csvOptions/nullValue": o.Null} {
		if v != "" && v != "null" && v != `""` {
			errs.add(pointer, "CSV-1012", `the value is one of null, "" or nothing, not %s`, Quote(v))
		}
	}
}
