#!/usr/bin/env python3
"""Measures what classes of sensitivity cost a sink: the same log is drained to a file without classes, with classes that the
sink is cleared for, and with classes that hide two of six columns from it.

Run by scripts/bench. The log is filled once and copied for each run, so what is measured is the way from the log to the file. What
a run costs that has nothing to deliver is taken off. Rounds are interleaved; ratios are taken round by round, and are medians.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import time

from measuring import machine_busy

CONFIGURATION = """\
name: bench
source:
  sqlite: {{path: bench.db}}
log: {{directory: log}}
mask_salt: a salt of the benchmark
sensitivity:
  masks: {{confidential: {mask}, restricted: {mask}}}
{sinks}
"""

SINK = """\
sinks:
  out:
    file: {{path: out.jsonl}}
    clearance: [{clearance}]
"""

CLASSES = {"email": "confidential", "card": "restricted"}
MILD_CLASSES = {"email": "confidential", "card": "confidential"}
ALL = "public, internal, confidential, restricted"
# Classes, clearance and mask of each.
CONTENDERS = {
    "no classes": ({}, "public, internal", "drop"),
    "cleared for all there are": (CLASSES, ALL, "drop"),
    "cleared for those in use": (MILD_CLASSES, "public, internal, confidential", "drop"),
    "two columns dropped": (CLASSES, "public, internal", "drop"),
    "two columns hashed": (CLASSES, "public, internal", "hash"),
}


def configure(folder, sinks, mask="drop"):
    with open(f"{folder}/millrace.yaml", "w", encoding="utf-8") as file:
        file.write(CONFIGURATION.format(sinks=sinks, mask=mask))


def fill(options, folder):
    print(f"filling a log with {options.events} events …", flush=True)
    os.makedirs(folder)
    subprocess.run(["sqlite3", f"{folder}/bench.db"], check=True, text=True, input=f"""
        PRAGMA journal_mode = WAL;
        CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, city TEXT, note TEXT, email TEXT, card TEXT);
        WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {options.events})
            INSERT INTO customers SELECT i, 'customer ' || i, 'Brno', printf('%060d', i), 'mail' || i || '@example.org',
                printf('4000%012d', i) FROM n;""", stdout=subprocess.DEVNULL)
    configure(folder, "")
    subprocess.run([options.millrace, "run", "--until-caught-up"], cwd=folder, check=True, stderr=subprocess.DEVNULL)


def classify(folder, classes):
    if not classes:
        return
    versions = f"{folder}/Schemas/bench.main.customers"
    with open(f"{versions}/v1.schema.json", encoding="utf-8") as file:
        schema = json.load(file)
    for column, name in classes.items():
        schema["properties"][column]["x-sensitivity"] = name
    with open(f"{versions}/v2.schema.json", "w", encoding="utf-8") as file:
        json.dump(schema, file)


def cost(options, folder):
    before, busy, start = os.times(), machine_busy(), time.monotonic()
    subprocess.run([options.millrace, "run", "--until-caught-up"], cwd=folder, check=True, stderr=subprocess.DEVNULL)
    seconds, after = time.monotonic() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return seconds, cpu, machine_busy() - busy - cpu


def run(contender, options, folder):
    classes, clearance, mask = CONTENDERS[contender]
    work = f"{folder}.run"
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(folder, work)
    classify(work, classes)
    configure(work, SINK.format(clearance=clearance), mask)
    seconds, cpu, other = cost(options, work)
    with open(f"{work}/out.jsonl", "rb") as file:
        line = json.loads(file.readline())
        count = 1 + sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    if count != options.events:
        raise SystemExit(f"{contender}: {count} of {options.events} events arrived")
    hidden = contender.startswith("two columns")
    after = line["data"]["after"]
    if hidden == (after.get("email") == "mail1@example.org") or ("email" in after) == (mask == "drop" and hidden):
        raise SystemExit(f"{contender}: the first event is {line}")
    idle_seconds, idle_cpu, _ = cost(options, work)
    return {"seconds": seconds - idle_seconds, "cpu": cpu - idle_cpu, "other_cpu": other}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--millrace", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    options = parser.parse_args()
    folder = f"{options.work}/bench"
    fill(options, folder)
    runs = {contender: [] for contender in CONTENDERS}
    for number in range(options.rounds):
        for contender in CONTENDERS:
            runs[contender].append(run(contender, options, folder))
            print(f"round {number + 1}: {contender}: {options.events / runs[contender][-1]['seconds']:,.0f} events/s", flush=True)
    print(f"\n{'sink':28} {'events/s':>10} {'CPU µs/event':>13} {'other CPU s':>12} {'rate':>6} {'CPU':>6}")
    result = {}
    for contender, found in runs.items():
        seconds = statistics.median(each["seconds"] for each in found)
        cpu = statistics.median(each["cpu"] for each in found)
        other = statistics.median(each["other_cpu"] for each in found)
        pairs = list(zip(runs["no classes"], found))
        rate = statistics.median(a["seconds"] / b["seconds"] for a, b in pairs)
        cpu_ratio = statistics.median(b["cpu"] / a["cpu"] for a, b in pairs)
        result[contender] = {"events_per_second": options.events / seconds, "rate_ratio": rate, "cpu_ratio": cpu_ratio}
        print(f"{contender:28} {options.events / seconds:>10,.0f} {cpu / options.events * 1e6:>13.2f} {other:>12.1f} "
              f"{rate:>6.2f} {cpu_ratio:>6.2f}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump({"events": options.events, "result": result, "runs": runs}, file, indent=2)
        print(f"written to {options.json}")


main()
