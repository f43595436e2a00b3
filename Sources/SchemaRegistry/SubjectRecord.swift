internal import ConnectorKit
internal import JSONSchema
package import JSONText

/// What the registry knows of a subject beyond its schemas: the file `subject.json`, which is there only when something
/// in it is. `registry.json` at the top of the folder says in the same words what holds for all.
struct SubjectRecord: Sendable, Equatable {
    /// What a new version must keep; nil where the registry's default holds.
    var level: CompatibilityLevel?
    /// What may be done; nil where the registry's default holds.
    var mode: RegistryMode?
    /// The versions that were deleted softly.
    var deleted: Set<Int> = []
    /// Ids that are not the ones that contents give.
    var ids: [Int: Int] = [:]
    /// The schemas that versions use.
    var references: [Int: [SchemaReference]] = [:]
    /// The highest version that there ever was, kept where its file is gone: a number is never given again.
    var lastVersion: Int?

    /// The file's name beside the versions of a subject.
    static let fileName = "subject.json"
    /// The file's name at the top, for what holds for all subjects.
    static let registryFileName = "registry.json"

    /// True when nothing needs a file.
    var isEmpty: Bool { self == SubjectRecord() }

    /// Forgets what it says of a version.
    mutating func forget(_ version: Int) {
        deleted.remove(version)
        ids[version] = nil
        references[version] = nil
    }

    /// The record as a file for people.
    var text: String {
        var object = JSONObject()
        object["compatibility"] = level.map { .string($0.rawValue) }
        object["mode"] = mode.map { .string($0.rawValue) }
        if !deleted.isEmpty { object["deleted"] = .array(deleted.sorted().map { .number(JSONNumber($0)) }) }
        if !ids.isEmpty { object["ids"] = Self.byVersion(ids) { .number(JSONNumber($0)) } }
        if !references.isEmpty {
            object["references"] = Self.byVersion(references) { .array($0.map(\.json)) }
        }
        object["last_version"] = lastVersion.map { .number(JSONNumber($0)) }
        return JSONValue.object(object).prettyText
    }

    private static func byVersion<Value>(_ values: [Int: Value], _ json: (Value) -> JSONValue) -> JSONValue {
        .object(JSONObject(values.sorted { $0.key < $1.key }.map { .init(name: "\($0.key)", value: json($0.value)) }))
    }
}

extension SchemaReference {
    /// As it stands in files and in replies.
    package var json: JSONValue {
        ["name": .string(name), "subject": .string(subject), "version": .number(JSONNumber(version))]
    }
}

// MARK: - Reading

extension SubjectRecord {
    /// Reads a file; an empty record when it is not there. In `registry.json` only level and mode may stand.
    init(file path: String) throws(ConnectorFailure) {
        if let bytes = try Folder.contents(of: path) {
            try self.init(bytes, path)
        } else {
            self.init()
        }
    }

    init(_ bytes: [UInt8], _ path: String) throws(ConnectorFailure) {
        self.init()
        let reader = try RecordReader(bytes, path)
        let isRegistry = path.hasSuffix("/" + Self.registryFileName)
        for name in reader.object.names {
            switch name {
            case "compatibility":
                let word = try reader.text(at: "/compatibility")
                guard let level = CompatibilityLevel(rawValue: word) else {
                    throw reader.problem("/compatibility", "is no level: \(Self.list(CompatibilityLevel.allCases))")
                }
                self.level = level
            case "mode":
                guard let mode = RegistryMode(rawValue: try reader.text(at: "/mode")) else {
                    throw reader.problem("/mode", "is no mode: \(Self.list(RegistryMode.allCases))")
                }
                self.mode = mode
            case "deleted" where !isRegistry: deleted = Set(try reader.numbers(at: "/deleted"))
            case "ids" where !isRegistry: ids = try reader.ids()
            case "references" where !isRegistry: references = try reader.references()
            case "last_version" where !isRegistry: lastVersion = try reader.number(at: "/last_version")
            default:
                let known = isRegistry ? "" : ", deleted, ids, references, last_version"
                let step = name.replacing("~", with: "~0").replacing("/", with: "~1")
                throw reader.problem("/" + step, "is not known here; what is: compatibility, mode\(known)")
            }
        }
    }

    private static func list<Word: RawRepresentable>(_ words: [Word]) -> String where Word.RawValue == String {
        words.map(\.rawValue).joined(separator: ", ")
    }
}

/// A record's file while it is read: everything that is wrong in it is named with its line.
private struct RecordReader {
    let bytes: [UInt8]
    let path: String
    let document: JSONValue
    let object: JSONObject

    init(_ bytes: [UInt8], _ path: String) throws(ConnectorFailure) {
        (self.bytes, self.path) = (bytes, path)
        document = try SchemaFolder.document(bytes, path)
        guard let object = document.object else {
            throw SchemaFailure.damaged(path, bytes, "", "an object was expected")
        }
        if let name = object.repeatedNames.first {
            throw SchemaFailure.damaged(path, bytes, "/" + name, "\"\(name)\" stands here more than once")
        }
        self.object = object
    }

    /// The name at the end of the pointer stands in front of the message.
    func problem(_ pointer: String, _ message: String) -> ConnectorFailure {
        SchemaFailure.damaged(path, bytes, pointer, "\"\(pointer.split(separator: "/").last ?? "")\" \(message)")
    }

    func value(at pointer: String) -> JSONValue? {
        var value: JSONValue? = document
        for step in pointer.split(separator: "/") {
            value =
                value?.array.flatMap { list in
                    Int(step).flatMap { list.indices.contains($0) ? list[$0] : nil }
                } ?? value?[String(step)]
        }
        return value
    }

    func text(at pointer: String) throws(ConnectorFailure) -> String {
        guard let text = value(at: pointer)?.string else { throw problem(pointer, "is text in quotes") }
        return text
    }

    func number(at pointer: String) throws(ConnectorFailure) -> Int {
        guard let number = Self.number(value(at: pointer)) else {
            throw problem(pointer, "is a number from 1 to \(Int32.max)")
        }
        return number
    }

    private static func number(_ value: JSONValue?) -> Int? {
        value?.number?.integer.flatMap { (1...Int(Int32.max)).contains($0) ? $0 : nil }
    }

    func numbers(at pointer: String) throws(ConnectorFailure) -> [Int] {
        guard let list = value(at: pointer)?.array else { throw problem(pointer, "is a list of versions") }
        var numbers: [Int] = []
        for (place, element) in list.enumerated() {
            guard let number = Self.number(element) else {
                throw SchemaFailure.damaged(
                    path, bytes, "\(pointer)/\(place)", "\"\(pointer.dropFirst())\" is a list of versions from 1 on")
            }
            numbers.append(number)
        }
        return numbers
    }

    func ids() throws(ConnectorFailure) -> [Int: Int] {
        var ids: [Int: Int] = [:]
        for version in try versions(at: "/ids") { ids[version] = try number(at: "/ids/\(version)") }
        return ids
    }

    func references() throws(ConnectorFailure) -> [Int: [SchemaReference]] {
        var references: [Int: [SchemaReference]] = [:]
        for version in try versions(at: "/references") {
            let pointer = "/references/\(version)"
            guard let list = value(at: pointer)?.array else { throw problem(pointer, "is a list of references") }
            for place in list.indices {
                let inner = "\(pointer)/\(place)"
                references[version, default: []].append(
                    SchemaReference(
                        name: try text(at: inner + "/name"), subject: try text(at: inner + "/subject"),
                        version: try number(at: inner + "/version")))
            }
        }
        return references
    }

    /// The names of an object whose names are versions.
    private func versions(at pointer: String) throws(ConnectorFailure) -> [Int] {
        guard let object = value(at: pointer)?.object else {
            throw problem(pointer, "is an object with versions as names")
        }
        var versions: [Int] = []
        for name in object.names {
            guard let version = Int(name), version > 0, name == String(version), !versions.contains(version) else {
                throw problem(pointer + "/" + name, "is no version, or stands here twice")
            }
            versions.append(version)
        }
        return versions
    }
}
