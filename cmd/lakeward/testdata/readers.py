"""Reads what the demo delivered with Python's csv and gzip and with DuckDB, and compares every value
with rows that are computed here from the sample's source. Usage: readers.py SOURCE IMPORT DEMO_JSON"""

import csv
import gzip
import json
import sys

import duckdb

source, imported, demo = sys.argv[1:]
with open(source, newline="", encoding="utf-8") as f:
    people = list(csv.DictReader(f))
with open(imported, newline="", encoding="utf-8") as f:
    listed = [row["email"] for row in csv.DictReader(f)]
with open(demo, encoding="utf-8") as f:
    result = json.load(f)

COLUMNS = ["crm.customerId", "person.name.firstName", "person.name.lastName", "person.birthDate", "homeAddress.city", "homeAddress.countryCode",
           "loyalty.tier", "loyalty.points", "lifetimeValue", "optIn", "lastPurchase", "notes"]
HEADER = ["email", "customer", "first_name", "last_name", "birthday", "city", "country", "tier", "points", "lifetime_value", "newsletter", "last_purchase", "notes"]


def value(person, field):
    v = person.get(field, "").strip("".join(map(chr, range(33))))
    if v == "":
        return None
    if field == "lifetimeValue":
        return repr(float(v))
    if field == "lastPurchase":
        return v.replace("Z", ".000Z")
    return v


def mails(person):
    out = []
    for field in ("personalEmail.address", "workEmail.address"):
        if person[field] and person[field] not in out:
            out.append(person[field])
    return out


def expected(members):
    return [[mail] + [value(p, c) for c in COLUMNS] for p in members for mail in mails(p)]


def member_rows(audience):
    if audience == "Gold with newsletter":
        return expected(p for p in people if p["loyalty.tier"] in ("gold", "platinum") and p["optIn"] == "true")
    if audience == "Good customers abroad":
        return expected(p for p in people if p["lifetimeValue"] and float(p["lifetimeValue"]) >= 1500 and p["homeAddress.countryCode"] not in ("", "US", "CH"))
    known = {m: p for p in people for m in mails(p)}
    inside = set(listed)
    rows = expected(p for p in people if inside & set(mails(p)))
    return rows + [[m] + [None] * len(COLUMNS) for m in listed if m not in known]


files = 0
for run in result["runs"]:
    got_python, got_duckdb = [], []
    for f in run["files"]:
        files += 1
        with gzip.open(f["localPath"], "rt", newline="", encoding="utf-8") as z:
            rows = list(csv.reader(z, quotechar='"', escapechar="\\", doublequote=False))
        assert rows[0] == HEADER, rows[0]
        got_python += [[None if v == "null" else v for v in r] for r in rows[1:]]
        rel = duckdb.sql(f"""SELECT * FROM read_csv('{f["localPath"]}', header = true, quote = '"', escape = '\\', nullstr = 'null', all_varchar = true)""")
        assert rel.columns == HEADER, rel.columns
        got_duckdb += [list(r) for r in rel.fetchall()]
    want = member_rows(run["audience"])
    for name, got in (("python", got_python), ("duckdb", got_duckdb)):
        assert len(got) == len(want) == run["rows"], (name, run["audience"], len(got), len(want), run["rows"])
        for i, (g, w) in enumerate(zip(got, want)):
            assert g == w, (name, run["audience"], i, g, w)

stored = duckdb.sql(f"""SELECT count(*), count(DISTINCT crm.customerId), count(loyalty.tier), sum(loyalty.points), sum(CAST(optIn AS INT)), min(lastPurchase)
    FROM read_parquet('{result["dataDir"]}/datasets/*/*/*.parquet', union_by_name = true) WHERE crm IS NOT NULL""").fetchall()[0]
want = (len(people), len(people), sum(1 for p in people if p["loyalty.tier"]), sum(int(p["loyalty.points"]) for p in people), sum(p["optIn"] == "true" for p in people))
assert tuple(stored[:5]) == want, (stored, want)
members = duckdb.sql(f"""SELECT count(*) FROM read_parquet('{result["dataDir"]}/memberships/*/*.parquet') WHERE status = 'realized'""").fetchall()[0][0]
assert members == sum(r["members"] for r in result["runs"]), (members, [r["members"] for r in result["runs"]])
print(f"{files} files, {sum(r['rows'] for r in result['runs'])} rows equal in Python and DuckDB {duckdb.__version__}")
