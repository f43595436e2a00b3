"""Checks recorded requests with the clients that receivers use: standardwebhooks and cloudevents.

webhook_client.py REQUESTS SECRET…: each line of the file is a request. Prints how many events of each mode passed.
"""
import base64
import json
import sys

from cloudevents.v1.http import from_http, from_json
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

counts = {"structured": 0, "binary": 0, "batch": 0}
ids = {mode: set() for mode in counts}
secrets = sys.argv[2:]


def verify(headers, body):
    for secret in secrets:
        Webhook(secret).verify(body.decode(), headers)
    for changed in (body + b" ", body.replace(b"orders", b"Orders")):
        try:
            Webhook(secrets[0]).verify(changed.decode(), headers)
        except WebhookVerificationError:
            continue
        raise SystemExit("a changed body passes")


def check(event, mode):
    assert event["specversion"] == "1.0" and event["source"] == "/millrace/shop", event
    assert event["type"].startswith("main.orders."), event
    assert event.data["table"] == "orders", event.data
    ids[mode].add(event["id"])
    counts[mode] += 1


for line in open(sys.argv[1], encoding="utf-8"):
    request = json.loads(line)
    headers, body = request["headers"], base64.b64decode(request["body"])
    mode = request["path"].split("/")[1].split("?")[0]
    verify(headers, body)
    assert "." not in headers["webhook-id"]
    if mode == "batch":
        assert headers["content-type"] == "application/cloudevents-batch+json"
        for item in json.loads(body):
            check(from_json(json.dumps(item)), mode)
    else:
        event = from_http(headers, body)
        assert ("ce-id" in headers) == (mode == "binary")
        assert headers["webhook-id"] == event["id"]
        check(event, mode)

assert ids["structured"] == ids["binary"] == ids["batch"] and len(ids["batch"]) == 5, ids
for mode, count in counts.items():
    print(mode, count)
