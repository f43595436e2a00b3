package import ChangeModel
package import ConnectorKit
package import JSONText

/// The contracts of tables as files that people read, review and keep in version control.
///
///     Schemas/
///       shop.public.orders/          one folder a subject; odd characters in its name are percent-encoded
///         v1.schema.json             one file a version, a JSON Schema; never changed once it is there
///         v2.schema.json
///         subject.json               only where there is more to say of the subject: see `SubjectRecord`
///       registry.json                only where there is something to say of all subjects
///
/// A version's number is in its file's name and nowhere else. The next version is the highest number plus one. Other
/// files in these folders are left alone.
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
    func register(
        _ schema: JSONValue, subject: String, references: [SchemaReference] = []
    ) throws(ConnectorFailure) -> Int {
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
            let record = try record(of: subject)
            let version = try nextVersion(of: subject, record)
            if try add(schema, as: version, of: subject, record, references: references, in: folder) { return version }
        }
        throw SchemaFailure.locked(path)
    }

    /// Writes a version and what the record says about it, durably; false when the number is taken by now. The folder
    /// is the subject's and locked.
    ///
    /// The record comes first: what it says of a version without a file means nothing, and is forgotten here when a
    /// process died between the two.
    func add(
        _ schema: JSONValue, as version: Int, of subject: String, _ record: SubjectRecord,
        id: Int? = nil, references: [SchemaReference] = [], in folder: borrowing Folder
    ) throws(ConnectorFailure) -> Bool {
        var wanted = record
        wanted.forget(version)
        wanted.ids[version] = id
        if !references.isEmpty { wanted.references[version] = references }
        if wanted != record { try write(wanted, in: folder) }
        let isWritten = try folder.write(
            schema.prettyText, as: fileName(version), beforeRename: Self.beforeRename.reached)
        if isWritten { try makeDurable(try path(of: subject)) }
        return isWritten
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

    /// The versions of `subject` that were not deleted, lowest first; empty for a subject that is not there.
    package func versions(of subject: String) throws(ConnectorFailure) -> [Int] {
        let all = try allVersions(of: subject)
        if all.isEmpty { return [] }
        let deleted = try record(of: subject).deleted
        return deleted.isEmpty ? all : all.filter { !deleted.contains($0) }
    }

    /// The versions of `subject` that have a file, those that were deleted softly too, lowest first.
    package func allVersions(of subject: String) throws(ConnectorFailure) -> [Int] {
        try Folder.names(in: path(of: subject)).compactMap(version(ofFile:)).sorted()
    }

    /// Throws `schema.directory` for a folder that is not there.
    package static func require(_ directory: String) throws(ConnectorFailure) { _ = try Folder(opening: directory) }

    /// The highest number that a version has or, as the subject's record knows, had before it was deleted for good; 0
    /// without any.
    package func highestVersion(of subject: String) throws(ConnectorFailure) -> Int {
        try nextVersion(of: subject, try record(of: subject)) - 1
    }

    /// The number that the next version gets: higher than any that there ever was.
    func nextVersion(of subject: String, _ record: SubjectRecord) throws(ConnectorFailure) -> Int {
        max(try allVersions(of: subject).last ?? 0, record.lastVersion ?? 0) + 1
    }

    /// A schema, also one that was deleted softly; nil for a version that is not there.
    package func schema(of subject: String, version: Int) throws(ConnectorFailure) -> JSONValue? {
        try Self.schema(in: file(of: subject, version: version))
    }

    /// The schema that is derived from a table.
    package static func schema(derivedFrom relation: Relation) -> JSONValue { JSONValue.schema(derivedFrom: relation) }

    /// The schema in a file; nil when the file is not there.
    static func schema(in file: String) throws(ConnectorFailure) -> JSONValue? {
        guard let bytes = try Folder.contents(of: file) else { return nil }
        let schema = try document(bytes, file)
        guard schema.object != nil || schema.bool != nil else { throw SchemaFailure.notASchema(file) }
        return schema
    }

    /// The JSON in the bytes of a file.
    static func document(_ bytes: [UInt8], _ file: String) throws(ConnectorFailure) -> JSONValue {
        do { return try JSONValue(parsing: bytes) } catch {
            throw SchemaFailure.merge(file, bytes) ?? SchemaFailure.damaged(file, error)
        }
    }

    /// The names of all subjects that have a folder, sorted by code points.
    package func subjects() throws(ConnectorFailure) -> [String] {
        try Folder.names(in: directory, foldersOnly: true).compactMap(SubjectName.subject(ofFolder:))
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

    func fileName(_ version: Int) -> String { "v\(version).schema.json" }

    /// Files of a subject that end like versions and are none, by their paths.
    func strayFiles(of subject: String) throws(ConnectorFailure) -> [String] {
        let path = try path(of: subject)
        return try Folder.names(in: path).sorted().filter { name in
            name.hasSuffix(".schema.json") && !name.hasPrefix(".") && version(ofFile: name) == nil
                && Self.proposalNumber(ofFile: name) == nil
        }.map { path + "/" + $0 }
    }

    /// The version that a file holds; nil for a name that ``fileName(_:)`` does not give.
    private func version(ofFile name: String) -> Int? {
        guard name.hasPrefix("v"), name.hasSuffix(".schema.json"), let version = Int(name.dropFirst().dropLast(12)),
            version > 0, name == fileName(version)
        else { return nil }
        return version
    }
}
