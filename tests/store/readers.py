"""Reads what a crawl has stored with other people's programs.

    readers.py records FORMAT DIR   pos, outcome and a digest of the body of every record, as JSON, a line each
    readers.py columns parquet DIR  the number of records, of sources and of times, by columns whose names need no quotation
    readers.py duckdb FORMAT DIR    the number of records, of positions, and the sum of them, as DuckDB sees them
"""

import glob
import json
import sys
from hashlib import sha256


def ndjson(directory):
    import duckdb

    return duckdb.sql(
        f"""select pos, outcome, status, "from", body::varchar from
            read_json('{directory}/*.ndjson.zst', format='newline_delimited', compression='zstd',
                      columns={{pos: 'UBIGINT', outcome: 'VARCHAR', status: 'INTEGER', "from": 'VARCHAR', body: 'JSON'}})"""
    ).fetchall()


def parquet(directory):
    import pyarrow.parquet

    for name in sorted(glob.glob(f"{directory}/*.parquet")):
        table = pyarrow.parquet.read_table(name)
        for row in table.to_pylist():
            yield row["pos"], row["outcome"], row["status"], row["source"], row["body"]


def warc(directory):
    from warcio.archiveiterator import ArchiveIterator

    for name in sorted(glob.glob(f"{directory}/*.warc.gz")):
        with open(name, "rb") as file:
            for record in ArchiveIterator(file, check_digests="raise"):
                fields = record.rec_headers
                # One that led elsewhere is no item's.
                if record.rec_type == "response" and fields.get_header("V6kit-Pos"):
                    body = record.content_stream().read().decode()
                    status = int(record.http_headers.get_statuscode())
                    outcome = fields.get_header("V6kit-Outcome")
                    yield int(fields.get_header("V6kit-Pos")), outcome, status, fields.get_header("V6kit-From"), body
                elif record.rec_type == "metadata":
                    line = json.loads(record.content_stream().read())
                    yield line["pos"], line["outcome"], line.get("status"), line.get("from"), None


def records(form, directory):
    for pos, outcome, status, source, body in {"ndjson": ndjson, "parquet": parquet, "warc": warc}[form](directory):
        body = body and sha256(body.encode()).hexdigest()
        print(json.dumps({"pos": pos, "outcome": outcome, "status": status, "from": source, "body": body}))


def duck(form, directory):
    import duckdb

    table = {
        "ndjson": f"read_ndjson_auto('{directory}/*.ndjson.zst')",
        "parquet": f"read_parquet('{directory}/*.parquet')",
    }[form]
    print(*duckdb.sql(f"select count(*), count(distinct pos), sum(pos)::bigint from {table}").fetchall()[0])


def columns(form, directory):
    import duckdb

    table = f"read_{form}('{directory}/*.parquet')"
    print(*duckdb.sql(f"select count(pos), count(source), count(fetched_at) from {table}").fetchall()[0])


if __name__ == "__main__":
    {"records": records, "duckdb": duck, "columns": columns}[sys.argv[1]](sys.argv[2], sys.argv[3])
