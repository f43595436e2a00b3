package import ConnectorKit
internal import JSONText

extension SchemaFolder {
    /// How sensitive the columns of a subject's table are. A version that was deleted softly still says what it said.
    package func classes(of subject: String) throws(ConnectorFailure) -> TableClasses {
        var versions: [(version: Int, schema: JSONValue)] = []
        for version in try allVersions(of: subject) {
            if let schema = try schema(of: subject, version: version) { versions.append((version, schema)) }
        }
        return TableClasses(versions, documents: try documents(of: subject))
    }

    /// The schemas of other subjects that those of a subject refer to, and those that these refer to, by the names that
    /// are used for them.
    private func documents(of subject: String) throws(ConnectorFailure) -> [String: [JSONValue]] {
        var documents: [String: [JSONValue]] = [:]
        var waiting = try record(of: subject).references.values.flatMap(\.self)
        var known: Set<String> = []
        while let next = waiting.popLast(), known.count < Self.documentsMax {
            guard known.insert("\(next.name) \(next.subject) \(next.version)").inserted else { continue }
            if let schema = try schema(of: next.subject, version: next.version) {
                documents[next.name, default: []].append(schema)
            }
            waiting += try record(of: next.subject).references[next.version] ?? []
        }
        return documents
    }

    /// More schemas of others are not looked at.
    private static let documentsMax = 1000

    /// What tells that a subject's folder has other entries than before; nil for one that is not there.
    func folderStamp(of subject: String) throws(ConnectorFailure) -> FileStamp? {
        try FileStamp(path(of: subject))
    }

    /// What tells that one of a subject's versions was changed, written or removed.
    func versionStamps(of subject: String) throws(ConnectorFailure) -> [FileStamp] {
        var stamps: [FileStamp] = []
        for version in try allVersions(of: subject) {
            if let stamp = try FileStamp(file(of: subject, version: version)) { stamps.append(stamp) }
        }
        return stamps
    }
}
