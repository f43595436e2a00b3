internal import ConnectorKit
package import JSONSchema

/// What is wrong in a whole schema folder.
package struct FolderExamination: Sendable {
    /// Something that is wrong.
    package struct Finding: Sendable {
        /// What kind of thing.
        package var kind: Kind
        /// The file.
        package var file: String
        /// What is wrong with it.
        package var message: String
        /// Why a new version is incompatible.
        package var breaks: [CompatibilityBreak] = []
    }

    /// Kinds of findings.
    package enum Kind: String, Sendable {
        /// Something cannot be read or used.
        case unusable
        /// A file looks like a version and is none.
        case stray
        /// A version is not what it was.
        case changed
        /// A version that was there is gone.
        case gone
        /// A new version is incompatible with earlier ones.
        case incompatible
    }

    /// How many subjects have versions.
    package var subjectCount = 0
    /// How many versions there are.
    package var versionCount = 0
    /// What is wrong, by subject and version.
    package var findings: [Finding] = []
}

extension SchemaStore {
    /// Looks at everything in the folder. With `base`, the same folder as it was before: a version that was there must
    /// be as it was, and a new one compatible with those before it, as its subject's level asks.
    package func examine(against base: SchemaStore? = nil) throws(RegistryFailure) -> FolderExamination {
        var result = FolderExamination()
        let names = try onFiles { () throws(ConnectorFailure) in try self.folder.subjects() }
        for subject in names {
            do throws(RegistryFailure) {
                let versions = try read { index throws(ConnectorFailure) in try index.subject(subject).versions }
                try findStrays(of: subject, &result)
                if versions.isEmpty { continue }
                result.subjectCount += 1
                result.versionCount += versions.count
                for version in versions { try examine(subject, version, base, &result) }
            } catch {
                result.findings.append(unusable(subject, nil, error))
            }
        }
        if let base { try findMissing(base, &result) }
        try findConflicts(&result)
        return result
    }

    /// Names that a version or a proposal could have but for how its number is written: such a file is never read.
    private func findStrays(
        of subject: String, _ result: inout FolderExamination
    ) throws(RegistryFailure) {
        let names = try onFiles { () throws(ConnectorFailure) in try self.folder.strayFiles(of: subject) }
        for file in names {
            result.findings.append(
                .init(
                    kind: .stray, file: file,
                    message: "this file is passed over: a version is named v1.schema.json, v2.schema.json and so on"))
        }
    }

    private func examine(
        _ subject: String, _ version: Int, _ base: SchemaStore?, _ result: inout FolderExamination
    ) throws(RegistryFailure) {
        let place = SubjectVersion(subject: subject, version: version)
        let file = try file(of: place)
        do throws(RegistryFailure) {
            _ = try validator(of: subject, version: version)
            guard let base else { return }
            let mine = try read { index throws(ConnectorFailure) in try index.entry(place) }
            let before = try base.read { index throws(ConnectorFailure) in try index.entry(place) }
            if let before {
                if before.fingerprint != mine?.fingerprint {
                    result.findings.append(
                        .init(
                            kind: .changed, file: file,
                            message: "version \(version) is not what it was; a version never "
                                + "changes: register the new schema as the next one"))
                }
            } else if mine?.isDeleted == false, let found = try incompatibility(subject, version, file) {
                result.findings.append(found)
            }
        } catch {
            result.findings.append(unusable(subject, file, error))
        }
    }

    /// Compares a version with those before it.
    private func incompatibility(
        _ subject: String, _ version: Int, _ file: String
    ) throws(RegistryFailure) -> FolderExamination.Finding? {
        let level = try effectiveLevel(of: subject)
        let earlier = try versions(of: subject).filter { $0 < version }.reversed()
        var old: [VersionedSchema] = []
        for number in level.isTransitive ? Array(earlier) : Array(earlier.prefix(1)) {
            old.append(try versioned(subject, number))
        }
        let verdict = level.verdict(on: try versioned(subject, version), against: old)
        if verdict.isCompatible { return nil }
        return .init(
            kind: .incompatible, file: file,
            message: "version \(version) is incompatible with versions before it (level \(level.rawValue))",
            breaks: verdict.breaks)
    }

    private func findMissing(_ base: SchemaStore, _ result: inout FolderExamination) throws(RegistryFailure) {
        for subject in try base.subjects() {
            let mine = (try? read { index throws(ConnectorFailure) in try index.subject(subject).versions })
            // What cannot be read is named already.
            guard let mine else { continue }
            for version in try base.versions(of: subject) where !mine.contains(version) {
                result.findings.append(
                    .init(
                        kind: .gone, file: try file(of: SubjectVersion(subject: subject, version: version)),
                        message: "version \(version) was there and is gone: events name it; delete it softly first"))
            }
        }
    }

    private func findConflicts(_ result: inout FolderExamination) throws(RegistryFailure) {
        let ids = try read { index throws(ConnectorFailure) in
            _ = try index.lookAtAll()
            return index.sharedIDs
        }
        for id in ids.sorted() {
            do throws(RegistryFailure) { _ = try holders(of: id) } catch {
                result.findings.append(unusable("", nil, error))
            }
        }
    }

    /// A message that begins with the file does not name it twice.
    private func unusable(
        _ subject: String, _ file: String?, _ failure: RegistryFailure
    ) -> FolderExamination.Finding {
        let file = file ?? (try? folder.path(of: subject)) ?? folder.directory
        let isNamed = failure.message.utf8.starts(with: (file + ":").utf8)
        return .init(
            kind: .unusable, file: file,
            message: isNamed ? String(failure.message.dropFirst(file.count + 1)) : failure.message)
    }

    private func file(of place: SubjectVersion) throws(RegistryFailure) -> String {
        try onFiles { () throws(ConnectorFailure) in
            try self.folder.file(of: place.subject, version: place.version)
        }
    }
}
