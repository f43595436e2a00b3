import ChangeModel
import Foundation
import SchemaRegistry

/// A new folder that is gone after the test.
final class Workplace {
    let path: String
    var folder: SchemaFolder { SchemaFolder(directory: path + "/deep/Schemas") }

    /// A registry over the folder that has read nothing yet.
    var store: SchemaStore { SchemaStore(directory: folder.directory) }

    init() throws {
        path = FileManager.default.temporaryDirectory.path + "/millrace-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { folder.directory + "/" + name }
    func text(_ name: String) throws -> String { try String(contentsOfFile: file(name), encoding: .utf8) }
    func write(_ text: String, _ name: String) throws {
        try text.write(toFile: file(name), atomically: false, encoding: .utf8)
    }
    func makeFolder(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: file(name), withIntermediateDirectories: true)
    }
    func names(_ folder: String = "") throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: file(folder)).sorted()
    }
}

func relation(_ columns: [Column], schema: String = "public", name: String = "orders") -> Relation {
    Relation(sourceID: 1, schema: schema, name: name, columns: columns)
}

/// A table that has `width` columns beside its key.
func relation(width: Int) -> Relation {
    relation(
        [Column(name: "id", type: .int64, typeName: "bigint", keyPosition: 0, isNullable: false)]
            + (0..<width).map { Column(name: "c\($0)", type: .text, typeName: "text") })
}

/// An object schema of members with their types, all of them required where `required` says nothing else.
func schema(_ members: [String: String], required: [String] = []) -> SubmittedSchema {
    let properties = members.sorted { $0.key < $1.key }.map { "\"\($0.key)\": {\"type\": \"\($0.value)\"}" }
    let names = required.map { "\"\($0)\"" }.joined(separator: ", ")
    return SubmittedSchema(
        "{\"type\": \"object\", \"properties\": {\(properties.joined(separator: ", "))}, \"required\": [\(names)]}")
}

/// The code of the failure that a call ends with; nil when it does not fail.
func code<Result>(_ body: () throws -> Result) -> RegistryFailure.Code? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? RegistryFailure)?.code
    }
}
