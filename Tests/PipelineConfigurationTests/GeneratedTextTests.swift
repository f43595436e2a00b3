import ConnectorKit
import Foundation
import PipelineConfiguration
import Testing

struct GeneratedTextTests {
    @Test func theSchemaIsJSONAndTheSameEveryTime() throws {
        let text = ConfigurationSchema(tables: sampleTables).text
        #expect(text == ConfigurationSchema(tables: sampleTables).text)
        let root = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        #expect(root["$schema"] as? String == "https://json-schema.org/draft/2020-12/schema")
        #expect(root["required"] as? [String] == ["name", "source"])
        let properties = try #require(root["properties"] as? [String: Any])
        #expect(
            Set(properties.keys) == [
                "name", "transforms", "mask_salt", "outbox", "schemas", "sensitivity", "log", "source", "sinks",
            ])
        #expect(text.contains(#""default": "10GiB""#))
        #expect(text.contains(#""maximum": 64"#))
        #expect(text.hasSuffix("}\n"))
    }

    @Test func theManualHasEverySettingWithItsDefault() {
        let text = ConfigurationManual(tables: sampleTables).text
        for row in [
            "| `name` | text | required | The pipeline's name:",
            "| `log.retention.age` | duration | `7d` | Events younger",
            "| `url` | text, secret | required | The server's address. |",
            "| `window` | number from 1 to 64 | `8` |", "| `keepalive` | duration | `10s` |",
            "| `roll` | settings |  | When a new file begins. |", "| `roll.size` | size | `256MiB` |",
            "| `roll.age` | duration | none |", "| `sync` | `true` or `false` | `true` |",
            "| `compress` | `none`, `gzip` | `none` |", "`{table}` is the table \\| schema. |",
            "| `tables` | list | `[\"*\"]` |", "### source.sqlite\n", "### sinks.NAME.file\n",
        ] { #expect(text.contains(row), "\(row)") }
        #expect(text == ConfigurationManual(tables: sampleTables).text)
    }
}
