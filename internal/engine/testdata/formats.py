"""Reads what the matrix of formats delivered with readers that are not ours and compares every value, type and null with
the rows that were uploaded. Usage: formats.py JOBS_JSON"""

import csv
import datetime
import decimal
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import time

import duckdb
import pyarrow
import pyarrow.parquet

with open(sys.argv[1], encoding="utf-8") as f:
    work = json.load(f)
for row in [r for list_ in work["rows"].values() for r in list_]:
    row["score"] = None if row["score"] is None else float(row["score"])
    row["price"] = None if row["price"] is None else decimal.Decimal(row["priceText"])
scratch = tempfile.mkdtemp()
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
spent = {}


def decrypt(data):
    cmd = ["gpg", "--homedir", work["gpgHome"], "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", "", "--decrypt"]
    return subprocess.run(cmd, input=data, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True).stdout


def unsnappy(data):
    """The framing format: chunks of type, length, checksum and a bare block."""
    assert data[:10] == b"\xff\x06\x00\x00sNaPpY", data[:10]
    at, out = 10, b""
    while at < len(data):
        kind, size = data[at], int.from_bytes(data[at + 1 : at + 4], "little")
        body = data[at + 8 : at + 4 + size]
        at += 4 + size
        if kind == 1:
            out += body
        elif kind == 0:
            length = shift = i = 0
            while True:
                length |= (body[i] & 127) << shift
                shift += 7
                i += 1
                if body[i - 1] < 128:
                    break
            out += pyarrow.Codec("snappy").decompress(body, length).to_pybytes()
        else:
            assert kind >= 128, kind
    return out


def unpack(data, compression):
    if compression == "GZIP":
        return gzip.decompress(data)
    if compression == "SNAPPY":
        return unsnappy(data)
    if compression in ("ZSTD", "LZ4"):
        return pyarrow.CompressedInputStream(pyarrow.BufferReader(data), compression.lower()).read()
    return data


def stored(data, name):
    path = os.path.join(scratch, name)
    with open(path, "wb") as out:
        out.write(data)
    return path


def csv_text(value, column, row):
    if isinstance(value, bool):
        return "true" if value else "false"
    if column in ("score", "price"):
        return row[column + "Text"]
    return str(value)


def expected_csv(rows, columns, o):
    def token(s):
        return "" if s == '""' and o["quote"] else s

    out = []
    for row in rows:
        cells = []
        for c in columns:
            v = row[c]
            if v is None:
                cells.append(token(o["nullValue"]))
                continue
            text = csv_text(v, c, row).strip("".join(map(chr, range(33))))
            cells.append(token(o["emptyValue"]) if text == "" else text)
        out.append(cells)
    return out


def read_csv(job, data):
    o, columns = job["csv"], job["columns"]
    if o.get("bom"):
        assert data.startswith(b"\xef\xbb\xbf")
    options = {"header": not o.get("headerOff"), "delim": o["delimiter"], "quote": o["quote"], "escape": o["escape"] if o["quote"] else ""}
    text = ", ".join(f"{k} = {v}" if isinstance(v, bool) else f"{k} = '" + v.replace("'", "''") + "'" for k, v in options.items())
    names = "{" + ", ".join(f"'{c}': 'VARCHAR'" for c in columns) + "}"
    newline = r"\r\n" if o.get("crlf") else r"\n"
    rel = db.execute(f"SELECT * FROM read_csv('{stored(data, 'f.csv')}', auto_detect = false, nullstr = '<never>', new_line = '{newline}', columns = {names}, {text})").fetchall()
    yield "duckdb", [["" if v is None else v for v in r] for r in rel]
    if o["quote"] == "" or o.get("quoteAll") and o["escape"] == "\\":
        kind = {"quoting": csv.QUOTE_NONE} if o["quote"] == "" else {"quotechar": '"', "escapechar": "\\", "doublequote": False}
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig" if o.get("bom") else "utf-8"), newline=""), delimiter=o["delimiter"], **kind))
        if not o.get("headerOff"):
            assert rows[0] == columns, rows[0]
            rows = rows[1:]
        yield "python", rows


def plain(v):
    """Brings the values of both readers of Parquet to one form."""
    if isinstance(v, datetime.datetime):
        return v.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.") + f"{v.microsecond // 1000:03d}Z"
    if isinstance(v, datetime.date):
        return v.isoformat()
    if isinstance(v, list) and v and isinstance(v[0], tuple):
        return dict(v)
    if isinstance(v, list):
        return [plain(x) for x in v]
    if isinstance(v, dict):
        return {k: plain(x) for k, x in v.items()}
    return v


def same(a, b, column):
    if column == "points" and a == [] and b == {}:  # pyarrow lists the pairs of a map
        return True
    return a == b and type(a) is type(b)


TYPES = {"mail": "string", "text": "string", "score": "double", "big": "int64", "age": "int32", "born": "date32[day]", "seen": "timestamp[ms, tz=UTC]", "vip": "bool",
         "price": "decimal128(18, 2)", "tags": "list<element: string>", "points": "map<string, int64>", "person": "struct<name: struct<first: string, last: string>>", "status": "string"}


def read_parquet(job, data):
    path = stored(data, "f.parquet")
    table = pyarrow.parquet.read_table(path)
    for c in job["columns"]:
        kind = TYPES[c].replace("list<element: string>", str(table.schema.field("tags").type) if c == "tags" else "")
        got = str(table.schema.field(c).type).replace(" ('points')", "")
        assert kind == got and table.schema.field(c).nullable, (c, got)
    assert table.schema.names == job["columns"], table.schema.names
    yield "pyarrow", [[plain(r[c]) for c in job["columns"]] for r in table.to_pylist()]
    rel = db.execute(f"SELECT * FROM read_parquet('{path}')")
    assert [d[0] for d in rel.description] == job["columns"]
    yield "duckdb", [[plain(v) for v in r] for r in rel.fetchall()]
    if "big" in job["columns"]:  # a filter that row groups are skipped by
        n = db.execute(f"SELECT count(*) FROM read_parquet('{path}') WHERE big = 9007199254740993 OR text = 'tame 1'").fetchone()[0]
        yield "filter", n


def read_json(job, data):
    text = data.decode("utf-8")
    assert text.endswith("\n")
    rows = [json.loads(line, parse_float=decimal.Decimal) for line in text.split("\n")[:-1]]
    for r in rows:
        assert list(r) == job["columns"], list(r)
        if isinstance(r["score"], decimal.Decimal):
            r["score"] = float(r["score"])
    yield "python", [[r[c] for c in job["columns"]] for r in rows]
    names = "{mail: 'VARCHAR', text: 'VARCHAR', score: 'DOUBLE', big: 'BIGINT', vip: 'BOOLEAN'}"
    rel = db.execute(f"SELECT * FROM read_json('{stored(data, 'f.json')}', format = 'newline_delimited', columns = {names})").fetchall()
    yield "duckdb", [list(r) for r in rel]


counts = {}
for job in work["jobs"]:
    start = time.monotonic()
    rows, columns = work["rows"][job["audience"]], job["columns"]
    got = {}
    for n, name in enumerate(job["files"]):
        with open(name, "rb") as f:
            data = f.read()
        if job["encrypted"]:
            data = decrypt(data)
        if job["fileType"] != "PARQUET":
            data = unpack(data, job["compression"])
        read = {"CSV": read_csv, "JSON": read_json, "PARQUET": read_parquet}[job["fileType"]]
        for reader, values in read(job, data):
            if reader == "filter":
                got[reader] = got.get(reader, 0) + values
            else:
                got.setdefault(reader, []).extend(values)
    assert got, job
    for reader, values in got.items():
        label = (reader, job["name"])
        if reader == "filter":
            want = sum(r["big"] == 9007199254740993 or r["text"] == "tame 1" for r in rows)
            assert values == want, (label, values, want)
            continue
        names = columns
        if job["fileType"] == "CSV":
            want = expected_csv(rows, columns, job["csv"])
        elif job["fileType"] == "JSON" and reader == "duckdb":
            names = ["mail", "text", "score", "big", "vip"]
            want = [[r[c] for c in names] for r in rows]
        else:
            want = [[r[c] for c in columns] for r in rows]
        assert len(values) == len(want), (label, len(values), len(want))
        for i, (g, w) in enumerate(zip(values, want)):
            for c, a, b in zip(names, g, w):
                assert same(a, b, c), (label, i, c, a, b)
        key = job["fileType"] + " by " + reader
        counts[key] = counts.get(key, 0) + 1
    spent[job["fileType"]] = spent.get(job["fileType"], 0) + time.monotonic() - start
print(f"{len(work['jobs'])} combinations, {sum(len(j['files']) for j in work['jobs'])} files equal:", ", ".join(f"{n} {k}" for k, n in sorted(counts.items())))
