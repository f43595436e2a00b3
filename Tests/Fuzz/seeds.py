#!/usr/bin/env python3
"""Writes what fuzzing of JSON Schema begins with: the cases of the test suite, each a schema, a zero byte and a document.

seeds.py FOLDER …: into each of the folders. Run by scripts/fuzz.
"""
import hashlib
import json
import os
import pathlib
import sys

suite = pathlib.Path(__file__).parent.parent / "JSONSchemaTests" / "Suite" / "tests"
cases = set()
for file in sorted(suite.rglob("*.json")):
    for group in json.loads(file.read_text()):
        for test in group["tests"]:
            schema, document = (
                json.dumps(part, separators=(",", ":"), ensure_ascii=False) for part in (group["schema"], test["data"]))
            cases.add(f"{schema}\0{document}".encode(errors="surrogatepass"))
for folder in sys.argv[1:]:
    os.makedirs(folder, exist_ok=True)
    for case in cases:
        if len(case) <= 4096:
            (pathlib.Path(folder) / hashlib.sha1(case).hexdigest()).write_bytes(case)
