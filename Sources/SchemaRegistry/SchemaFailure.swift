internal import ConnectorKit
internal import Glibc
internal import JSONText

/// What can go wrong with the schema folder. Every code stands in `docs/reference/errors.md`.
enum SchemaFailure {
    /// A path of the folder is something else or cannot be used.
    static func directory(_ path: String, _ reason: String) -> ConnectorFailure {
        ConnectorFailure(
            "schema.directory", .stop, "the schema folder \(path) cannot be used: \(reason)",
            setting: "schemas.directory",
            hint: "name a folder that this user may read and write, or remove what is in its place")
    }

    /// A file cannot be read.
    static func read(_ path: String, _ error: Int32) -> ConnectorFailure {
        ConnectorFailure(
            "schema.read", .stop, "\(path) cannot be read: \(text(of: error))", setting: "schemas.directory",
            hint: "let this user read the file: chmod u+r '\(path)'")
    }

    /// A file cannot be written; nothing of it is left behind under its name.
    static func write(_ path: String, _ error: Int32) -> ConnectorFailure {
        ConnectorFailure(
            "schema.write", .stop, "\(path) cannot be written: \(text(of: error))", setting: "schemas.directory",
            hint: "make room or let this user write in the folder, then start again")
    }

    /// A file holds no JSON.
    static func damaged(_ path: String, _ error: JSONError) -> ConnectorFailure {
        ConnectorFailure(
            "schema.damaged", .stop, "\(path):\(error.line):\(error.column): \(error.message)",
            setting: "schemas.directory",
            hint: "mend the file, or take it from version control: git checkout -- '\(path)'")
    }

    /// A file holds JSON that is no schema.
    static func notASchema(_ path: String) -> ConnectorFailure {
        damaged(path, JSONError(message: "a JSON Schema is an object, true or false", line: 1, column: 1))
    }

    /// A file is JSON and says something that it cannot say; `pointer` leads to the place.
    static func damaged(_ path: String, _ bytes: [UInt8], _ pointer: String, _ message: String) -> ConnectorFailure {
        let place = JSONPlace(of: pointer, in: bytes)
        return damaged(path, JSONError(message: message, line: place.line, column: place.column))
    }

    /// A file holds what a version control system leaves where two branches meet; nil when it does not.
    static func merge(_ path: String, _ bytes: [UInt8]) -> ConnectorFailure? {
        let lines = bytes.split(separator: 0x0A, omittingEmptySubsequences: false)
        guard let number = lines.firstIndex(where: { $0.starts(with: Array("<<<<<<< ".utf8)) }) else { return nil }
        let name = path.split(separator: "/").last ?? ""
        let isVersion = name.hasPrefix("v") && name.hasSuffix(".schema.json")
        return ConnectorFailure(
            "schema.merge_conflict", .stop,
            "\(path):\(number + 1): an unresolved merge: two branches "
                + (isVersion ? "added version \(name.dropFirst().prefix { $0.isNumber })" : "changed this file"),
            setting: "schemas.directory",
            hint: isVersion
                ? "keep the side whose events are out (git checkout --ours or --theirs), and register the other again: "
                    + "millrace schema register SUBJECT FILE" : "keep what both sides say, and take the marks out")
    }

    /// Two schemas have the same id.
    static func idConflict(_ id: Int, _ paths: [String]) -> ConnectorFailure {
        ConnectorFailure(
            "schema.id_conflict", .stop,
            "\(paths.count) schemas have the id \(id): \(paths.joined(separator: " and "))",
            setting: "schemas.directory",
            hint: "give the one that no consumer knows yet another id, in subject.json beside it: "
                + #""ids": {"VERSION": ID}"#)
    }

    /// The system's library of hashes has no SHA-256.
    static func hashUnavailable() -> ConnectorFailure {
        ConnectorFailure(
            "schema.hash_unavailable", .stop, "OpenSSL cannot hash by SHA-256, on which ids of schemas rest",
            hint: "see whether a policy of this machine forbids it: openssl dgst -sha256 /dev/null")
    }

    /// Another process holds the subject.
    static func locked(_ path: String) -> ConnectorFailure {
        ConnectorFailure(
            "schema.locked", .retry, "another process has been writing in \(path) for 10 seconds",
            setting: "schemas.directory", hint: "see which one: fuser -v '\(path)'")
    }

    /// A subject cannot be the name of a folder.
    static func subjectName(_ subject: String) -> ConnectorFailure {
        ConnectorFailure(
            "schema.subject_name", .stop,
            subject.isEmpty
                ? "a subject without a name" : "the name of subject \(subject.prefix(80))… is too long for a folder",
            hint:
                "give the table or the pipeline a shorter name: 255 bytes is the limit, with %XX for special characters"
        )
    }

    private static func text(of error: Int32) -> String { String(cString: strerror(error)) }
}
