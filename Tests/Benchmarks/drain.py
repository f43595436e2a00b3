#!/usr/bin/env python3
"""Drains the same backlog by several clients in turn, and prints rates, CPU, memory and ratios.

Run by scripts/bench, which starts the server. Each run reads a fresh copy of one slot, so all drain the same changes. Rounds are
interleaved (A B C A B C …); figures are medians. "other CPU" is what everything else on the machine used meanwhile: a round in
which it is large says little.
"""
import argparse
import json
import os
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
    tables: [public.orders]
    slot: {slot}
    publication: bench_pub
sinks:
  out:
    file: {{{file}}}
"""

# What files are written, and how they are read back.
FILES = {
    "millrace to a file": ("path: out.jsonl", "cat out.jsonl"),
    "millrace to gzip": ("path: out.jsonl, compress: gzip", "gzip -dc out.jsonl.gz"),
    "millrace to zstd": ("path: out.jsonl, compress: zstd", "zstd -dcq out.jsonl.zst"),
    "millrace, rotated zstd": (
        "path: out.jsonl, compress: zstd, rotate: {size: 16MiB, finish_on_stop: true}", "zstd -dcq out-*.jsonl.zst"),
}

# Six constraints: a pattern, an enum, a bound, a length, a format and a condition. Every row keeps to them.
CONTRACT = {
    "type": "object",
    "properties": {
        "id": {"minimum": -1000, "maximum": 10 ** 12},
        "status": {"enum": ["new", "paid", "packed", "shipped", "done"]},
        "amount": {"pattern": "^-?[0-9]+\\.[0-9]+$"},
        "note": {"maxLength": 200},
        "created_at": {"format": "date-time"},
    },
    "if": {"properties": {"status": {"const": "shipped"}}, "required": ["status"]},
    "then": {"properties": {"amount": {"minLength": 4}}},
}


def drain(contender, end, options):
    """One run of one contender on a fresh copy of the slot."""
    slot = f"run_{os.getpid()}"
    sql(f"SELECT pg_copy_logical_replication_slot('base', '{slot}')")
    folder = tempfile.mkdtemp(prefix="millrace-bench.", dir=options.work)
    try:
        if contender == "pg_recvlogical":
            command = [
                os.environ["MILLRACE_PGBIN"] + "/pg_recvlogical", "-d", os.environ["PGDATABASE"], "-S", slot, "--start",
                "--no-loop", "-f", "/dev/null", f"--endpos={end}", "-o", "proto_version=1", "-o", "publication_names=bench_pub"]
        else:
            file, reading = FILES.get(contender, ("path: /dev/null", None))
            if contender == "millrace, rich contract":
                os.makedirs(f"{folder}/Schemas/bench.public.orders")
                with open(f"{folder}/Schemas/bench.public.orders/v1.schema.json", "w") as file:
                    json.dump(CONTRACT, file)
            with open(f"{folder}/millrace.yaml", "w") as file:
                file.write(CONFIGURATION.format(
                    user=os.environ["PGUSER"], host=os.environ["PGHOST"], port=os.environ["PGPORT"],
                    database=os.environ["PGDATABASE"], slot=slot, file=file))
            command = [options.millrace, "run", "--until-caught-up"]
        figures = measure(command, folder)
        if contender == "millrace, rich contract":
            waiting = subprocess.run([options.millrace, "deadletters", "list"], cwd=folder, capture_output=True, text=True, check=True)
            if waiting.stdout or sorted(os.listdir(f"{folder}/Schemas/bench.public.orders")) != ["v1.schema.json"]:
                raise SystemExit(f"the contract was not kept to: {waiting.stdout}")
        if contender in FILES:
            lines = int(subprocess.run(reading + " | wc -l", shell=True, cwd=folder, capture_output=True, text=True, check=True).stdout)
            figures["file_mb"] = sum(entry.stat().st_size for entry in os.scandir(folder) if entry.name.startswith("out")) / 1e6
            if lines < options.changes:
                raise SystemExit(f"only {lines} of {options.changes} events arrived")
        return figures
    finally:
        shutil.rmtree(folder)
        for _ in range(100):
            if subprocess.run(["psql", "-XAtqc", f"SELECT pg_drop_replication_slot('{slot}')"], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--millrace", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--changes", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    subprocess.run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", os.path.dirname(os.path.abspath(__file__)) + "/orders.sql"], check=True)
    sql("SELECT pg_create_logical_replication_slot('base', 'pgoutput')")
    print(f"making a backlog of {options.changes} changes …", flush=True)
    sql(f"CALL orders_backlog({options.changes // 100})")
    end = sql("SELECT pg_current_wal_insert_lsn()")
    sql("INSERT INTO orders SELECT * FROM orders_rows(1000000002, 1000000002)")
    sql("CHECKPOINT")
    contenders = ["pg_recvlogical", "millrace to /dev/null", "millrace, rich contract", *FILES]
    runs = {contender: [] for contender in contenders}
    for number in range(options.rounds):
        for contender in contenders:
            figures = drain(contender, end, options)
            runs[contender].append(figures)
            print(f"round {number + 1}: {contender}: {options.changes / figures['seconds']:,.0f} rows/s, other CPU {figures['other_cpu']:.1f} s", flush=True)
    report(contenders, runs, options)


def report(contenders, runs, options):
    median = {c: {k: statistics.median(r[k] for r in runs[c]) for k in runs[c][0]} for c in contenders}
    base = median["pg_recvlogical"]["seconds"]
    print(f"\n{'client':24} {'rows/s':>10} {'CPU s':>7} {'walsender CPU s':>16} {'peak MB':>8} {'other CPU s':>12} {'ratio':>6}")
    for contender in contenders:
        m = median[contender]
        # The ratio is taken round by round, so that a slow minute of the machine hits both sides of it.
        ratio = statistics.median(a["seconds"] / b["seconds"] for a, b in zip(runs["pg_recvlogical"], runs[contender]))
        m["ratio"] = ratio
        m["rows_per_second"] = options.changes / m["seconds"]
        print(f"{contender:24} {m['rows_per_second']:>10,.0f} {m['cpu']:>7.2f} {m['walsender_cpu']:>16.2f} {m['peak_mb']:>8.1f} {m['other_cpu']:>12.2f} {ratio:>6.2f}")
    for contender in FILES:
        print(f"{contender}: files of {median[contender]['file_mb']:,.0f} MB")
    rates = [a["seconds"] / b["seconds"] for a, b in zip(runs["millrace to /dev/null"], runs["millrace, rich contract"])]
    print(f"rich contract against the derived one: {statistics.median(rates):.2f} of the rate")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"changes": options.changes, "median": median, "runs": runs}, file, indent=2)
        print(f"written to {options.json}")


main()
