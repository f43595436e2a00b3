#!/usr/bin/env python3
"""Compares the JSON Schema validator with PyPI's jsonschema-rs on the same schemas and documents.

Run by scripts/bench. Rounds of both are interleaved; figures are medians in microseconds of processor time for one document. "text" is from
the bytes to the verdict (jsonschema-rs behind orjson), "value" is the verdict on what was read before. "row" is the verdict on the same
values column by column, from bytes that are no JSON text, as rows are checked.
"""
import argparse
import json
import os
import statistics
import subprocess
import time

import jsonschema_rs
import orjson

ENVELOPE = {
    "specversion": "1.0", "id": "shop-00000000016B3748-0000000A", "source": "/millrace/shop", "type": "public.orders.update",
    "subject": "42", "time": "2026-01-21T10:00:00.123456Z", "datacontenttype": "application/json",
    "dataschema": "/subjects/shop.public.orders/versions/3", "sequence": "00000000016B3748-0000000A", "partitionkey": "42",
    "data": {
        "op": "update", "schema": "public", "table": "orders", "key": {"id": 42}, "previous_key": None, "before": None,
        "after": {"id": 42, "status": "paid", "total": 1999, "placed_at": "2026-01-21T09:59:58.5Z"},
        "unchanged": ["note"], "transaction": {"id": "771", "position": 10}, "committed_at": "2026-01-21T10:00:00.123456Z",
    },
}

# For each kind of column: its schema, and a value.
PLAIN = [
    ({"type": "integer"}, 1042),
    ({"type": "string", "maxLength": 80}, "some text of a row"),
    ({"type": ["number", "null"], "minimum": 0}, 14.5),
    ({"type": "string", "pattern": "^[a-z]+-[0-9]+$"}, "order-3"),
    ({"type": "boolean"}, True),
    ({"type": "string", "enum": ["new", "paid", "sent", "done"]}, "paid"),
]
FORMATTED = [
    ({"type": "string", "format": "date-time"}, "2026-01-21T10:00:00.123456Z"),
    ({"type": "string", "format": "uuid"}, "2eb8aa08-aa98-11ea-b4aa-73b441d16380"),
    ({"type": "string", "format": "email"}, "someone@mail.example.org"),
    ({"type": "string", "format": "date"}, "2026-01-21"),
    ({"type": "string", "format": "ipv4"}, "192.0.2.17"),
    ({"type": "integer", "minimum": 1, "maximum": 1000000, "multipleOf": 5}, 1040),
]


def row(kinds, count):
    columns = [kinds[number % len(kinds)] for number in range(count)]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "properties": {f"column_{number}": column[0] for number, column in enumerate(columns)},
        "required": [f"column_{number}" for number in range(count)], "additionalProperties": False,
    }
    return schema, {f"column_{number}": column[1] for number, column in enumerate(columns)}


def measure(body, times):
    start = time.thread_time_ns()
    for _ in range(times):
        body()
    return (time.thread_time_ns() - start) / times / 1000


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--program", required=True)
    options.add_argument("--work", required=True)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--times", type=int, default=50_000)
    options = options.parse_args()

    with open("Schemas/event-envelope.schema.json") as file:
        envelope = json.load(file)
    cases = {
        "event envelope": (envelope, ENVELOPE), "wide row (50 columns)": row(PLAIN, 50),
        "row with formats (12)": row(FORMATTED, 12),
    }
    print("| document | bytes | text: millrace | jsonschema-rs | ratio | value: millrace | jsonschema-rs | ratio | row |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, (schema, document) in cases.items():
        paths = [os.path.join(options.work, kind) for kind in ("schema.json", "document.json")]
        text = json.dumps(document).encode()
        for path, content in zip(paths, (json.dumps(schema).encode(), text)):
            with open(path, "wb") as file:
                file.write(content)
        theirs = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        assert theirs.is_valid(document)
        rounds = []
        for _ in range(options.rounds):
            run = subprocess.run(
                [options.program, *paths, str(options.times)], check=True, capture_output=True, text=True)
            mine = [float(figure) / 1000 for figure in run.stdout.split()]
            rounds.append((
                mine[0], measure(lambda: theirs.is_valid(orjson.loads(text)), options.times),
                mine[1], measure(lambda: theirs.is_valid(document), options.times), mine[2]))
        whole, their_whole, check, their_check, columns = (statistics.median(column) for column in zip(*rounds))
        print(f"| {name} | {len(text)} | {whole:.2f} | {their_whole:.2f} | {whole / their_whole:.2f} "
              f"| {check:.2f} | {their_check:.2f} | {check / their_check:.2f} | {columns:.2f} |")


main()
