#!/usr/bin/env python3
"""Reads the same tables by psql's COPY and by a snapshot of Millrace in turn, and prints rates, CPU, memory and ratios.

Run by scripts/bench, which starts the server. The tables have the same rows: one with a key in the order in which they
were written, one with a random key, one without a key. Millrace's file holds an event for each row and is synced, psql's
holds the bare rows and is not; a third contender copies nothing and writes as many bytes as Millrace's file has, synced,
to show what the disk alone would take.
"""
import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time

from measuring import measure, sql

CONFIGURATION = """\
name: bench
source:
  postgres:
    url: postgresql://{user}@{host}:{port}/{database}
    tables: [public.{table}]
    slot: bench
    publication: bench_{table}
sinks:
  out:
    file: {{path: "out.jsonl"}}
"""

TABLES = {
    "orders": "INSERT INTO orders SELECT * FROM orders_rows(1, {rows})",
    "orders_random": """
        CREATE TABLE orders_random (LIKE orders);
        ALTER TABLE orders_random ALTER id TYPE uuid USING gen_random_uuid();
        INSERT INTO orders_random SELECT gen_random_uuid(), customer_id, status, amount, note, paid, created_at, updated_at
            FROM orders_rows(1, {rows});
        ALTER TABLE orders_random ADD PRIMARY KEY (id)""",
    "orders_keyless": """
        CREATE TABLE orders_keyless (LIKE orders);
        ALTER TABLE orders_keyless REPLICA IDENTITY FULL;
        INSERT INTO orders_keyless SELECT * FROM orders_rows(1, {rows})""",
}

ROW = re.compile(rb'"op":"snapshot".*?"after":\{"id":"?([^",]+)')


def fill(table, rows):
    print(f"filling {table} with {rows} rows …", flush=True)
    sql("SET synchronous_commit = off; " + TABLES[table].format(rows=rows))
    sql(f"CREATE PUBLICATION bench_{table} FOR TABLE {table}")
    sql(f"VACUUM ANALYZE {table}")
    return int(sql(f"SELECT count(*) FROM {table}"))


def check(path, rows):
    """Every row must be told once."""
    keys = set()
    told = 0
    with open(path, "rb") as file:
        for line in file:
            row = ROW.search(line)
            if row:
                told += 1
                keys.add(row.group(1))
    if told != rows or len(keys) != rows:
        raise SystemExit(f"{told} events of {len(keys)} rows arrived, but there are {rows} rows")


def drop_slot():
    for _ in range(100):
        query = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = 'bench'"
        if subprocess.run(["psql", "-XAtqc", query], capture_output=True).returncode == 0:
            return
        time.sleep(0.1)


def run(contender, table, rows, options, size):
    """One run of one contender."""
    folder = tempfile.mkdtemp(prefix="millrace-bench.", dir=options.work)
    os.sync()
    try:
        if contender == "psql":
            with open(f"{folder}/out.copy", "wb") as file:
                return measure(["psql", "-Xc", f"COPY {table} TO STDOUT"], folder, file, watches_walsender=False)
        if contender == "disk":
            command = ["dd", "if=/dev/zero", "of=out", "bs=1M", "iflag=count_bytes", f"count={size}", "conv=fdatasync"]
            return measure(command, folder, watches_walsender=False)
        with open(f"{folder}/millrace.yaml", "w") as file:
            file.write(CONFIGURATION.format(
                user=os.environ["PGUSER"], host=os.environ["PGHOST"], port=os.environ["PGPORT"],
                database=os.environ["PGDATABASE"], table=table))
        figures = measure([options.millrace, "run", "--until-caught-up"], folder, watches_walsender=False)
        figures["bytes"] = os.path.getsize(f"{folder}/out.jsonl")
        check(f"{folder}/out.jsonl", rows)
        return figures
    finally:
        shutil.rmtree(folder)
        drop_slot()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--millrace", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tables", default=",".join(TABLES), help="which of " + ", ".join(TABLES))
    parser.add_argument("--json")
    options = parser.parse_args()
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", here + "/orders.sql"], check=True)
    results = {}
    for table in options.tables.split(","):
        rows = fill(table, options.rows)
        sql("CHECKPOINT")
        runs = {contender: [] for contender in ["psql", "millrace", "disk"]}
        for number in range(options.rounds):
            for contender, figures in runs.items():
                size = runs["millrace"][-1]["bytes"] if contender == "disk" else 0
                figures.append(run(contender, table, rows, options, size))
                rate = rows / figures[-1]["seconds"]
                print(f"round {number + 1}: {contender}: {rate:,.0f} rows/s, other CPU {figures[-1]['other_cpu']:.1f} s", flush=True)
        results[table] = report(table, rows, runs)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=2)
        print(f"written to {options.json}")


def report(table, rows, runs):
    print(f"\n{table:24} {'rows/s':>10} {'CPU s':>7} {'server CPU s':>13} {'peak MB':>8} {'other CPU s':>12} {'ratio':>6}")
    median = {}
    for contender, figures in runs.items():
        m = median[contender] = {key: statistics.median(f[key] for f in figures) for key in figures[0]}
        # The ratio is taken round by round, so that a slow minute of the machine hits both sides of it.
        m["ratio"] = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(runs["psql"], figures))
        m["rows_per_second"] = rows / m["seconds"]
        print(
            f"{contender:24} {m['rows_per_second']:>10,.0f} {m['cpu']:>7.2f} {m['server_cpu']:>13.2f} "
            f"{m['peak_mb']:>8.1f} {m['other_cpu']:>12.2f} {m['ratio']:>6.2f}")
    print()
    return {"rows": rows, "median": median, "runs": runs}


main()
