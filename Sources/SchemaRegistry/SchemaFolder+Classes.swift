package import ConnectorKit
internal import JSONText

extension SchemaFolder {
    /// How sensitive the columns of a subject's table are. Versions that were deleted softly still count: what they
    /// classified is not less secret for that.
    package func classes(of subject: String) throws(ConnectorFailure) -> TableClasses {
        var versions: [(version: Int, schema: JSONValue)] = []
        for version in try allVersions(of: subject) {
            if let schema = try schema(of: subject, version: version) { versions.append((version, schema)) }
        }
        return TableClasses(versions)
    }

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
