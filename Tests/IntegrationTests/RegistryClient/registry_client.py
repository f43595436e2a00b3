"""What applications do with a schema registry, done with confluent-kafka's own client against a running one.

Usage: registry_client.py URL TOKEN. Prints the names of the checks that passed; the first failure ends it.
"""

import json
import sys
from uuid import uuid4

from confluent_kafka.schema_registry import (
    Schema,
    SchemaReference,
    SchemaRegistryClient,
    SchemaRegistryError,
    header_schema_id_serializer,
)
from confluent_kafka.schema_registry.json_schema import JSONDeserializer, JSONSerializer
from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

url, token = sys.argv[1], sys.argv[2]


def client(**more):
    return SchemaRegistryClient({"url": url, "basic.auth.user.info": f"anybody:{token}", "max.retries": 0, **more})


def refused(code, action, *arguments, **options):
    """The error that an action ends with; its code must be the expected one."""
    try:
        action(*arguments, **options)
    except SchemaRegistryError as error:
        assert error.error_code == code, f"expected {code}, got {error}"
        assert error.http_status_code == int(str(code)[:3]), error
        return error
    raise AssertionError(f"no error {code}")


def text(properties, required=(), **more):
    schema = {"type": "object", "properties": properties, **more}
    if required:
        schema["required"] = list(required)
    return json.dumps(schema)


def fresh():
    return f"clients-{uuid4()}"


ORDER = text({"id": {"type": "integer"}, "status": {"type": "string"}}, required=["id"])
MORE = text(
    {"id": {"type": "integer"}, "status": {"type": "string"}, "note": {"type": "string"}}, required=["id"]
)
BROKEN = text({"id": {"type": "string"}}, required=["id"])


def registers_looks_up_and_fetches():
    registry, subject = client(), fresh()
    first = registry.register_schema(subject, Schema(ORDER, "JSON"))
    assert registry.register_schema(subject, Schema(ORDER, "JSON"), normalize_schemas=True) == first
    reordered = json.dumps(json.loads(ORDER), indent=4, sort_keys=True)
    assert client().register_schema(subject, Schema(reordered, "JSON")) == first
    full = client().register_schema_full_response(subject, Schema(ORDER, "JSON"))
    assert (full.schema_id, full.version, full.subject) == (first, 1, subject), full
    assert full.guid, full
    second = registry.register_schema(subject, Schema(MORE, "JSON"))
    assert second != first
    other = client()
    assert other.get_versions(subject) == [1, 2]
    assert json.loads(other.get_schema(first).schema_str) == json.loads(ORDER)
    assert other.get_schema(first, subject_name=subject).schema_type == "JSON"
    assert json.loads(other.get_schema_by_guid(full.guid).schema_str) == json.loads(ORDER)
    latest = other.get_latest_version(subject)
    assert (latest.version, latest.schema_id) == (2, second)
    assert other.get_version(subject, 1).schema_id == first
    found = other.lookup_schema(subject, Schema(ORDER, "JSON"))
    assert (found.version, found.schema_id, found.subject) == (1, first, subject)
    assert subject in other.get_subjects()
    assert other.get_subjects(subject_prefix=subject) == [subject]
    assert other.get_subjects_by_schema_id(second) == [subject]
    uses = other.get_schema_versions(second)
    assert [(use.subject, use.version) for use in uses] == [(subject, 2)], uses
    assert other.get_schema_types() == ["JSON"]
    assert other.get_contexts() == ["."]


def the_same_schema_has_one_id_everywhere():
    registry, one, two = client(), fresh(), fresh()
    schema = Schema(text({one: {"type": "null"}}), "JSON")
    first = registry.register_schema(one, schema)
    assert client().register_schema(two, schema) == first
    assert sorted(client().get_subjects_by_schema_id(first)) == sorted([one, two])


def serializers_and_deserializers_go_round():
    registry = client()
    topic = fresh()
    context = SerializationContext(topic, MessageField.VALUE)
    order = {"id": 42, "status": "paid"}
    serializer = JSONSerializer(ORDER, registry)
    data = serializer(order, context)
    assert data[0] == 0 and int.from_bytes(data[1:5], "big") == registry.get_latest_version(f"{topic}-value").schema_id
    assert JSONDeserializer(None, schema_registry_client=client())(data, context) == order
    assert JSONDeserializer(ORDER, schema_registry_client=client())(data, context) == order
    latest = JSONSerializer(None, client(), conf={"auto.register.schemas": False, "use.latest.version": True})
    assert JSONDeserializer(None, schema_registry_client=client())(latest(order, context), context) == order
    try:
        serializer({"id": "no number"}, context)
    except SerializationError:
        pass
    else:
        raise AssertionError("a message that the schema forbids was serialized")


def the_guid_in_a_header_leads_back_to_the_schema():
    registry, topic, headers = client(), fresh(), []
    context = SerializationContext(topic, MessageField.VALUE, headers)
    serializer = JSONSerializer(ORDER, registry, conf={"schema.id.serializer": header_schema_id_serializer})
    data = serializer({"id": 1}, context)
    assert json.loads(data) == {"id": 1}, "the payload is untouched"
    assert JSONDeserializer(None, schema_registry_client=client())(data, context) == {"id": 1}


def references_are_resolved():
    registry, part, whole = client(), fresh(), fresh()
    registry.register_schema(part, Schema(text({"street": {"type": "string"}}, additionalProperties=False), "JSON"))
    schema = Schema(
        text({"address": {"$ref": "https://example.com/address"}}), "JSON",
        [SchemaReference("https://example.com/address", part, 1)],
    )
    whole_id = registry.register_schema(whole, schema)
    assert client().get_schema(whole_id).references[0].subject == part
    assert client().get_referenced_by(part, 1) == [whole_id]
    context = SerializationContext(whole.removesuffix("-value"), MessageField.VALUE)
    conf = {"auto.register.schemas": False, "use.latest.version": True, "subject.name.strategy": lambda c, r, *_: whole}
    serializer = JSONSerializer(schema, client(), conf=conf)
    data = serializer({"address": {"street": "x"}}, context)
    reader = JSONDeserializer(None, schema_registry_client=client())
    assert reader(data, context) == {"address": {"street": "x"}}
    try:
        serializer({"address": {"street": 1}}, context)
    except SerializationError:
        pass
    else:
        raise AssertionError("a message that the referenced schema forbids was serialized")
    refused(42206, registry.delete_version, part, 1)
    registry.delete_subject(whole)


def incompatible_schemas_are_refused_with_the_reason():
    registry, subject = client(), fresh()
    registry.register_schema(subject, Schema(ORDER, "JSON"))
    error = refused(40901, client().register_schema, subject, Schema(BROKEN, "JSON"))
    assert "/properties/id" in str(error), error
    assert registry.test_compatibility(subject, Schema(BROKEN, "JSON")) is False
    assert registry.test_compatibility(subject, Schema(MORE, "JSON"), version=1, verbose=True) is True
    assert registry.test_compatibility_all_versions(subject, Schema(BROKEN, "JSON")) is False
    assert registry.test_compatibility(fresh(), Schema(BROKEN, "JSON")) is True
    registry.set_compatibility(subject, "NONE")
    client().register_schema(subject, Schema(BROKEN, "JSON"))


def levels_and_modes_are_kept_per_subject():
    registry, subject = client(), fresh()
    registry.register_schema(subject, Schema(ORDER, "JSON"))
    refused(40408, registry.get_compatibility, subject)
    assert registry.get_compatibility() == "BACKWARD"
    for level in [
        "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE",
    ]:
        assert registry.set_compatibility(subject, level)["compatibility"] == level
        assert registry.get_compatibility(subject) == level
        assert registry.get_config(subject).compatibility_level == level
    assert registry.delete_config(subject).compatibility_level == "FULL_TRANSITIVE"
    refused(40408, registry.get_compatibility, subject)
    refused(42203, registry.set_compatibility, subject, "SIDEWAYS")
    assert registry.get_global_mode() == "READWRITE"
    refused(40409, registry.get_mode, subject)
    assert registry.update_mode(subject, "READONLY") == "READONLY"
    assert registry.get_mode(subject) == "READONLY"
    refused(42205, client().register_schema, subject, Schema(MORE, "JSON"))
    assert registry.delete_mode(subject) == "READONLY"
    client().register_schema(subject, Schema(MORE, "JSON"))


def deletion_takes_two_steps():
    registry, subject = client(), fresh()
    first = registry.register_schema(subject, Schema(ORDER, "JSON"))
    registry.register_schema(subject, Schema(MORE, "JSON"))
    refused(40407, client()._rest_client.delete, f"subjects/{subject}/versions/1?permanent=true")
    refused(40405, client()._rest_client.delete, f"subjects/{subject}?permanent=true")
    assert client().delete_version(subject, 1) == 1
    refused(40406, client().delete_version, subject, 1)
    assert client().get_versions(subject) == [2]
    assert client().get_versions(subject, deleted=True) == [1, 2]
    assert client().get_versions(subject, deleted_only=True) == [1]
    refused(40402, client().get_version, subject, 1)
    assert client().get_version(subject, 1, deleted=True).schema_id == first
    assert json.loads(client().get_schema(first).schema_str) == json.loads(ORDER), "data that is out there needs it"
    assert client().register_schema(subject, Schema(ORDER, "JSON")) == first
    assert client().get_versions(subject) == [2, 3]
    assert client().delete_subject(subject) == [2, 3]
    refused(40404, client().delete_subject, subject)
    refused(40401, client().get_versions, subject)
    assert subject not in client().get_subjects()
    assert subject in client().get_subjects(deleted=True)
    assert client().delete_subject(subject, permanent=True) == [1, 2, 3]
    refused(40401, client().get_versions, subject)
    refused(40401, client().delete_subject, subject)


def fresh_registered():
    subject = fresh()
    client().register_schema(subject, Schema(text({subject: {"type": "null"}}), "JSON"))
    return subject


def any_name_is_a_subject():
    registry = client()
    for name in ["a/b", "../../etc/passwd", "ü ñ 表", "per%cent%2F", "q?a=b&c#d", "+ plus", ".hidden", "-dash", "a\\b"]:
        subject = f"{uuid4()}{name}" if not name.startswith(".") else f"{name}{uuid4()}"
        schema_id = registry.register_schema(subject, Schema(text({name: {"type": "null"}}), "JSON"))
        assert client().get_versions(subject) == [1], name
        assert client().get_latest_version(subject).subject == subject, name
        assert subject in client().get_subjects_by_schema_id(schema_id), name
        assert subject in client().get_subjects(), name
        assert client().delete_subject(subject) == [1], name


def other_kinds_of_schemas_are_refused():
    registry = client()
    refused(42201, registry.register_schema, fresh(), Schema('{"type": "string"}', "AVRO"))
    refused(42201, registry.register_schema, fresh(), Schema('syntax = "proto3";', "PROTOBUF"))
    refused(42201, registry.register_schema, fresh(), Schema('{"type": "nonsense"}', "JSON"))
    refused(42201, registry.register_schema, fresh(), Schema("{", "JSON"))


def what_is_not_there_is_said():
    registry = client()
    refused(40401, registry.get_versions, fresh())
    refused(40401, registry.get_latest_version, fresh())
    refused(40403, registry.get_schema, 1)
    refused(40403, registry.get_schema_by_guid, str(uuid4()))
    refused(40401, registry.lookup_schema, fresh(), Schema(ORDER, "JSON"))
    refused(40403, registry.lookup_schema, fresh_registered(), Schema(ORDER, "JSON"))
    refused(42202, registry.get_version, fresh_registered(), "zero")


def only_the_token_opens():
    bearer = SchemaRegistryClient(
        {
            "url": url, "bearer.auth.credentials.source": "STATIC_TOKEN", "bearer.auth.token": token,
            "bearer.auth.logical.cluster": "lsrc-1", "bearer.auth.identity.pool.id": "pool-1",
        }
    )
    assert isinstance(bearer.get_subjects(), list)
    for wrong in ["", token[:-1], token + "x", token.swapcase()]:
        error = None
        try:
            SchemaRegistryClient({"url": url, "basic.auth.user.info": f"u:{wrong}"}).get_subjects()
        except SchemaRegistryError as raised:
            error = raised
        assert error is not None and error.http_status_code == 401, error


for check in [
    registers_looks_up_and_fetches, the_same_schema_has_one_id_everywhere, serializers_and_deserializers_go_round,
    the_guid_in_a_header_leads_back_to_the_schema, references_are_resolved,
    incompatible_schemas_are_refused_with_the_reason, levels_and_modes_are_kept_per_subject, deletion_takes_two_steps,
    any_name_is_a_subject, other_kinds_of_schemas_are_refused, what_is_not_there_is_said, only_the_token_opens,
]:
    try:
        check()
    except BaseException as error:
        print(f"{check.__name__}: {type(error).__name__}: {error}", file=sys.stderr)
        raise
    print(check.__name__)
