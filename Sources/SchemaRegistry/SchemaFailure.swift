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
