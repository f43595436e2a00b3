internal import ConnectorKit

extension SchemaStore {
    private static let beforeRemoval = HaltPoint("schema.before_removal")

    /// Deletes all versions of a subject: softly those that were not yet, or permanently when all were. Returns them.
    ///
    /// What was set for the subject goes with it. Its numbers are never given again.
    package func delete(subject: String, permanently: Bool) throws(RegistryFailure) -> [Int] {
        try checkWritable(subject)
        _ = try versions(of: subject, .all)
        return try locked(subject) { folder throws(RegistryFailure) in
            let state = try read { index throws(ConnectorFailure) in try index.subject(subject) }
            let wanted = state.versions(permanently ? .all : .live)
            if wanted.isEmpty {
                throw state.versions.isEmpty ? Self.unknown(subject) : Self.softlyDeleted(subject, nil)
            }
            if permanently, let live = state.versions(.live).first {
                throw Self.notSoftlyDeleted(subject, live, isSubject: true)
            }
            try refuseReferred(subject, wanted, permanently)
            var record = state.record
            (record.level, record.mode) = (nil, nil)
            try delete(wanted, of: subject, permanently, &record, in: folder)
            return wanted
        }
    }

    /// Deletes a version: softly, or permanently when it was deleted softly before. Returns it.
    package func delete(
        subject: String, _ version: VersionSelector, permanently: Bool
    ) throws(RegistryFailure) -> Int {
        try checkWritable(subject)
        _ = try versions(of: subject, .all)
        return try locked(subject) { folder throws(RegistryFailure) in
            let state = try read { index throws(ConnectorFailure) in try index.subject(subject) }
            guard let number = Self.select(version, from: state.versions(version == .latest ? .live : .all)) else {
                throw Self.unknown(version, of: subject)
            }
            let isDeleted = state.record.deleted.contains(number)
            if isDeleted && !permanently { throw Self.softlyDeleted(subject, number) }
            if !isDeleted && permanently { throw Self.notSoftlyDeleted(subject, number, isSubject: false) }
            try refuseReferred(subject, [number], permanently)
            var record = state.record
            try delete([number], of: subject, permanently, &record, in: folder)
            return number
        }
    }

    /// The record is written before a file goes: after a crash in between, the version is still deleted softly, and the
    /// number is never given again.
    private func delete(
        _ versions: [Int], of subject: String, _ permanently: Bool, _ record: inout SubjectRecord,
        in folder: borrowing Folder
    ) throws(RegistryFailure) {
        do throws(ConnectorFailure) {
            record.deleted.formUnion(versions)
            if permanently { record.lastVersion = max(record.lastVersion ?? 0, versions.max() ?? 0) }
            try self.folder.write(record, in: folder)
            guard permanently else { return }
            for version in versions {
                Self.beforeRemoval.reached()
                try folder.remove(self.folder.fileName(version))
            }
            try folder.sync()
            for version in versions { record.forget(version) }
            // A file that is there says by its name what the record need not say.
            if let last = try self.folder.allVersions(of: subject).last, last >= record.lastVersion ?? 0 {
                record.lastVersion = nil
            }
            try self.folder.write(record, in: folder)
        } catch {
            throw RegistryFailure(error)
        }
    }

    private func checkWritable(_ subject: String) throws(RegistryFailure) {
        if try effectiveMode(of: subject) == .readOnly { throw Self.readOnly(subject) }
    }

    /// A schema that others use stays: softly deleted users count only where it would be gone for good.
    private func refuseReferred(
        _ subject: String, _ versions: [Int], _ permanently: Bool
    ) throws(RegistryFailure) {
        let targets = Set(versions.map { SubjectVersion(subject: subject, version: $0) })
        let users = try referrers(of: targets, permanently ? .all : .live).filter { !targets.contains($0) }
        guard let first = users.first else { return }
        let more = users.count > 1 ? " and \(users.count - 1) more" : ""
        throw RegistryFailure(
            .referenceExists, "\(subject) is used by \(first.subject) version \(first.version)\(more)",
            hint: "delete what uses it first")
    }

    private static func softlyDeleted(_ subject: String, _ version: Int?) -> RegistryFailure {
        let name = version.map { "\(subject) version \($0)" } ?? subject
        return RegistryFailure(
            version == nil ? .subjectSoftDeleted : .versionSoftDeleted, "\(name) was deleted already",
            hint:
                "to remove it for good: millrace schema delete \(subject)\(version.map { "@\($0)" } ?? "") --permanent")
    }

    private static func notSoftlyDeleted(
        _ subject: String, _ version: Int, isSubject: Bool
    ) -> RegistryFailure {
        RegistryFailure(
            isSubject ? .subjectNotSoftDeleted : .versionNotSoftDeleted,
            "\(subject) version \(version) is not deleted yet",
            hint:
                "delete it first, and then for good: millrace schema delete \(subject)\(isSubject ? "" : "@\(version)")"
        )
    }
}
