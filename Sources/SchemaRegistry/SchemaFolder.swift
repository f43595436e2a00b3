package import ConnectorKit
package import JSONText

/// The contracts of tables as files that people read, review and keep in version control.
///
///     Schemas/
///       shop.public.orders/          one folder a subject; odd characters in its name are percent-encoded
///         v1.schema.json             one file a version, a JSON Schema; never changed once it is there
///         v2.schema.json
///
/// A version's number is in its file's name and nowhere else. The next version is the highest number plus one. Other
/// files in these folders are left alone, so that what a registry knows beyond schemas can lie beside them.
///
/// Any number of processes may use the same folder: a new file appears whole or not at all, and never takes the place
/// of another.
package struct SchemaFolder: Sendable {
    /// The folder's path.
    package let directory: String

    private static let beforeRename = HaltPoint("schema.before_rename")

    /// The folder at a path; it is made when the first version is written.
    package init(directory: String) { self.directory = directory }

    /// The version that equals `schema`; a new one when there is none.
    func register(_ schema: JSONValue, subject: String) throws(ConnectorFailure) -> Int {
        let path = try path(of: subject)
        if let version = try version(of: subject, equalTo: schema) {
            try makeDurable(path)
            return version
        }
        try Folder.make(directory)
        try Folder.make(path)
        let folder = try Folder(opening: path)
        try folder.lock()
        // Others may have written while this process waited, and those who do not lock may write even now.
        for _ in 0..<16 {
            if let version = try version(of: subject, equalTo: schema) {
                try makeDurable(path)
                return version
            }
            let version = (try versions(of: subject).last ?? 0) + 1
            let isWritten = try folder.write(
                schema.prettyText, as: fileName(version), beforeRename: Self.beforeRename.reached)
            if isWritten {
                try makeDurable(path)
                return version
            }
        }
        throw SchemaFailure.locked(path)
    }

    /// The highest version of `subject` that equals `schema`; nil without one.
    func version(of subject: String, equalTo schema: JSONValue) throws(ConnectorFailure) -> Int? {
        for version in try versions(of: subject).reversed() {
            if let found = try self.schema(of: subject, version: version), found.isEquivalent(to: schema) {
                return version
            }
        }
        return nil
    }

    /// The path of a version's file, whether or not it is there.
    package func file(of subject: String, version: Int) throws(ConnectorFailure) -> String {
        try path(of: subject) + "/" + fileName(version)
    }

    /// The highest version of `subject` with its schema; nil for a subject without versions.
    package func latest(of subject: String) throws(ConnectorFailure) -> (version: Int, schema: JSONValue)? {
        guard let version = try versions(of: subject).last else { return nil }
        guard let schema = try schema(of: subject, version: version) else { return nil }
        return (version, schema)
    }

    /// The versions of `subject`, lowest first; empty for a subject that is not there.
    package func versions(of subject: String) throws(ConnectorFailure) -> [Int] {
        try Folder.names(in: path(of: subject)).compactMap(version(ofFile:)).sorted()
    }

    /// A schema; nil for a version that is not there.
    package func schema(of subject: String, version: Int) throws(ConnectorFailure) -> JSONValue? {
        try Self.schema(in: file(of: subject, version: version))
    }

    /// The schema in a file; nil when the file is not there.
    static func schema(in file: String) throws(ConnectorFailure) -> JSONValue? {
        guard let bytes = try Folder.contents(of: file) else { return nil }
        let schema: JSONValue
        do { schema = try JSONValue(parsing: bytes) } catch { throw SchemaFailure.damaged(file, error) }
        guard schema.object != nil || schema.bool != nil else { throw SchemaFailure.notASchema(file) }
        return schema
    }

    /// The names of all subjects that have a folder, sorted by code points.
    package func subjects() throws(ConnectorFailure) -> [String] {
        try Folder.names(in: directory).compactMap(SubjectName.subject(ofFolder:))
            .sorted { $0.unicodeScalars.lexicographicallyPrecedes($1.unicodeScalars) }
    }

    /// Makes the names of a subject's files durable: whoever gave them may have died before that.
    func makeDurable(_ path: String) throws(ConnectorFailure) {
        try Folder(opening: path).sync()
        try Folder(opening: directory).sync()
    }

    func path(of subject: String) throws(ConnectorFailure) -> String {
        guard let name = SubjectName.folderName(of: subject) else { throw SchemaFailure.subjectName(subject) }
        return directory + "/" + name
    }

    private func fileName(_ version: Int) -> String { "v\(version).schema.json" }

    /// The version that a file holds; nil for a name that ``fileName(_:)`` does not give.
    private func version(ofFile name: String) -> Int? {
        guard name.hasPrefix("v"), name.hasSuffix(".schema.json"), let version = Int(name.dropFirst().dropLast(12)),
            version > 0, name == fileName(version)
        else { return nil }
        return version
    }
}
