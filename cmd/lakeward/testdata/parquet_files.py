"""Writes one table with every common Parquet writer and option into a folder, and the rows as JSON beside them."""
import datetime, decimal, json, os, random, sys

import duckdb
import polars
import pyarrow as pa
import pyarrow.parquet as pq

out = sys.argv[1]
rnd = random.Random(5)
UTC = datetime.timezone.utc


def maybe(value):
    return None if rnd.random() < 0.2 else value


def row(i):
    return {
        "id": f"p{i}",
        "home": {"city": maybe(rnd.choice(["Bern", "Zürich", "", "x" * 40]))},
        "n": maybe(rnd.randint(-2**31, 2**31 - 1)),
        "big": maybe(rnd.randint(-2**62, 2**62)),
        "score": maybe(rnd.choice([0.5, -1.25, 1e300, 0.1])),
        "price": maybe(decimal.Decimal(rnd.randint(-10**6, 10**6)) / 100),
        "vip": maybe(rnd.random() < 0.5),
        "born": maybe(datetime.date(1900, 1, 1) + datetime.timedelta(days=rnd.randint(0, 50000))),
        "seen": maybe(datetime.datetime(1960, 1, 1, tzinfo=UTC) + datetime.timedelta(milliseconds=rnd.randint(0, 10**12))),
        "tags": maybe([maybe(rnd.choice("abc")) for _ in range(rnd.randint(0, 4))]),
        "prefs": maybe([(k, maybe(rnd.choice(["de", "fr"]))) for k in rnd.sample(["a", "b", "c"], rnd.randint(0, 3))]),
        "orders": maybe([
            maybe({"sku": maybe("s%d" % rnd.randint(0, 9)), "lines": maybe([{"n": maybe(rnd.randint(0, 9))} for _ in range(rnd.randint(0, 3))])})
            for _ in range(rnd.randint(0, 3))]),
    }


rows = [row(i) for i in range(700)]
schema = pa.schema([
    pa.field("id", pa.string(), nullable=False), ("home", pa.struct([("city", pa.string())])), ("n", pa.int32()), ("big", pa.int64()), ("score", pa.float64()),
    ("price", pa.decimal128(12, 2)), ("vip", pa.bool_()), ("born", pa.date32()), ("seen", pa.timestamp("ms", tz="UTC")), ("tags", pa.list_(pa.string())),
    ("prefs", pa.map_(pa.string(), pa.string())), ("orders", pa.list_(pa.struct([("sku", pa.string()), ("lines", pa.list_(pa.struct([("n", pa.int64())])))]))),
])
table = pa.Table.from_pylist(rows, schema)


def text(v):
    return v.strftime("%Y-%m-%dT%H:%M:%S.") + "%03dZ" % (v.microsecond // 1000)


def clean(v):
    """The value as the product writes it in JSON: null fields of objects are left out."""
    if isinstance(v, dict):
        return {k: clean(x) for k, x in v.items() if x is not None}
    if isinstance(v, list):
        return [clean(x) for x in v]
    return v


def expected(r):
    e = []
    for name in schema.names:
        v = r["home"]["city"] if name == "home" else r[name]
        if v is None:
            e.append("")
        elif name == "prefs":
            e.append(dict(v))
        elif name in ("tags", "orders"):
            e.append(clean(v))
        elif name == "seen":
            e.append(text(v))
        elif name == "price":
            e.append("%.2f" % v)
        elif name == "vip":
            e.append("true" if v else "false")
        elif name == "score":
            e.append(v)
        else:
            e.append(str(v))
    return e


json.dump([expected(r) for r in rows], open(os.path.join(out, "rows.json"), "w"))
columns = [n for n in schema.names if n != "vip"]


def write(name, t=table, **options):
    pq.write_table(t, os.path.join(out, name + ".parquet"), **options)


for codec in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
    write(("refused-" if codec == "lz4" else "") + "arrow-" + codec, compression=codec)
write("arrow-plain", use_dictionary=False)
write("arrow-page-v2-no-booleans", table.select(columns), data_page_version="2.0")
write("refused-arrow-page-v2-booleans", data_page_version="2.0")
write("arrow-version-1", version="1.0")
write("arrow-int96", use_deprecated_int96_timestamps=True)
write("arrow-micros", coerce_timestamps="us")
write("arrow-small-pages", data_page_size=64, write_batch_size=16, row_group_size=100)
write("arrow-small-pages-index", data_page_size=64, write_batch_size=16, row_group_size=300, write_page_index=True)
write("arrow-decimal-integer", store_decimal_as_integer=True)
write("arrow-element-names", use_compliant_nested_type=False)
write("arrow-byte-stream-split", use_dictionary=False, column_encoding={"score": "BYTE_STREAM_SPLIT", "born": "DELTA_BINARY_PACKED", "big": "DELTA_BINARY_PACKED", "id": "DELTA_BYTE_ARRAY", "home.city": "DELTA_LENGTH_BYTE_ARRAY"})
write("arrow-large-types", table.set_column(0, pa.field("id", pa.large_string(), nullable=False), table["id"].cast(pa.large_string())))
write("arrow-nanos", table.set_column(8, "seen", table["seen"].cast(pa.timestamp("ns", tz="UTC"))))
write("arrow-float32", table.set_column(4, "score", pa.array([None if r["score"] is None else 0.5 for r in rows], pa.float32())))
write("refused-time-of-day", table.set_column(3, "big", pa.array([None if r["big"] is None else datetime.time(1) for r in rows], pa.time64("us"))))
write("refused-text-for-number", table.set_column(2, "n", pa.array(["1"] * len(rows))))
write("refused-unknown-column", table.append_column("other", pa.array([1] * len(rows))))
write("refused-list-for-text", table.set_column(1, "home", pa.array([{"city": ["a"]}] * len(rows))))
polars.from_arrow(table.select([n for n in columns if n != "prefs"])).write_parquet(os.path.join(out, "polars.parquet"))
db = duckdb.connect()
db.execute("SET TimeZone='UTC'")
db.register("t", table)
for version in ("v1", "v2"):  # the wide numbers of n need differences of 33 bits in v2
    name = "duckdb-v1" if version == "v1" else "refused-duckdb-wide-deltas"
    db.execute(f"COPY (SELECT * FROM t) TO '{out}/{name}.parquet' (FORMAT parquet, PARQUET_VERSION {version}, ROW_GROUP_SIZE 2048)")
db.execute(f"COPY (SELECT * REPLACE (NULL::INTEGER AS n) FROM t) TO '{out}/duckdb-v2-no-n.parquet' (FORMAT parquet, PARQUET_VERSION v2)")
open(os.path.join(out, "refused-cut.parquet"), "wb").write(open(os.path.join(out, "arrow-snappy.parquet"), "rb").read()[:-100])
