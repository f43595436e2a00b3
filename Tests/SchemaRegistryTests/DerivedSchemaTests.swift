import ChangeModel
import JSONText
import SchemaRegistry
import Testing

@Suite struct DerivedSchemaTests {
    @Test func firstVersionIsAFileForPeople() throws {
        let place = try Workplace()
        let columns = [
            Column(name: "region", type: .text, typeName: "text", keyPosition: 1, isNullable: false),
            Column(name: "id", type: .int64, typeName: "bigint", keyPosition: 0, isNullable: false),
            Column(name: "paid", type: .boolean, typeName: "boolean"),
            Column(name: "rate", type: .float64, typeName: "double precision"),
            Column(name: "amount", type: .numeric, typeName: "numeric(12,2)", isNullable: false),
            Column(name: "scan", type: .bytes, typeName: "bytea"), Column(name: "more", type: .json, typeName: "jsonb"),
            Column(name: "ref", type: .uuid, typeName: "uuid", isNullable: false),
            Column(name: "any", type: .dynamic, typeName: ""),
            Column(name: "at", type: .timestampTZ, typeName: "timestamp with time zone"),
        ]
        #expect(try place.folder.register(derivedFrom: relation(columns), subject: "shop.public.orders") == 1)
        #expect(try place.names() == ["shop.public.orders"])
        #expect(try place.names("shop.public.orders") == ["v1.schema.json"])
        #expect(try place.text("shop.public.orders/v1.schema.json") == expectedText)
    }

    @Test func tableWithoutKeyRequiresNothing() throws {
        let place = try Workplace()
        let table = relation([Column(name: "a", type: .text, typeName: "text")])
        _ = try place.folder.register(derivedFrom: table, subject: "s")
        let schema = try #require(try place.folder.latest(of: "s")?.schema)
        #expect(schema["required"] == nil && schema["x-millrace"]?["key"]?.compactText == "[]")
    }
}

private let expectedText = """
    {
      "$schema": "https://json-schema.org/draft/2020-12/schema",
      "title": "public.orders",
      "type": "object",
      "properties": {
        "region": {
          "type": "string"
        },
        "id": {
          "type": "integer"
        },
        "paid": {
          "type": ["boolean", "null"]
        },
        "rate": {
          "type": ["number", "string", "null"],
          "pattern": "^(NaN|-?Infinity)$"
        },
        "amount": {
          "type": "string"
        },
        "scan": {
          "type": ["string", "null"],
          "contentEncoding": "base64"
        },
        "more": {
          "type": ["string", "null"],
          "contentMediaType": "application/json"
        },
        "ref": {
          "type": "string",
          "format": "uuid"
        },
        "any": {
          "type": ["string", "number", "null"]
        },
        "at": {
          "type": ["string", "null"]
        }
      },
      "required": ["id", "region"],
      "x-millrace": {
        "schema": "public",
        "table": "orders",
        "key": ["id", "region"],
        "columns": {
          "region": "text",
          "id": "bigint",
          "paid": "boolean",
          "rate": "double precision",
          "amount": "numeric(12,2)",
          "scan": "bytea",
          "more": "jsonb",
          "ref": "uuid",
          "any": "",
          "at": "timestamp with time zone"
        },
        "not_null": ["amount", "ref"]
      }
    }

    """
