internal import ConnectorKit
package import JSONSchema

extension SchemaStore {
    /// The level that was set for a subject, nil where none was; without a subject, the one that holds where no other
    /// was set.
    package func level(of subject: String?) throws(RegistryFailure) -> CompatibilityLevel? {
        let level = try record(of: subject).level
        return subject == nil ? level ?? .standard : level
    }

    /// The level that holds for a subject.
    package func effectiveLevel(of subject: String) throws(RegistryFailure) -> CompatibilityLevel {
        if let level = try record(of: subject).level { return level }
        return try record(of: nil).level ?? .standard
    }

    /// Sets the level of a subject, which need not have a version yet, or of the registry.
    package func setLevel(_ level: CompatibilityLevel, of subject: String?) throws(RegistryFailure) {
        try change(subject) { record in record.level = level }
    }

    /// Takes back what was set. Returns the level that was.
    @discardableResult
    package func clearLevel(of subject: String?) throws(RegistryFailure) -> CompatibilityLevel {
        guard let before = try level(of: subject) else {
            throw RegistryFailure(.subjectLevelNotSet, "\(subject ?? "") has no compatibility level of its own")
        }
        try change(subject) { record in record.level = nil }
        return before
    }

    /// The mode that was set for a subject, nil where none was; without a subject, the one that holds where no other
    /// was set.
    package func mode(of subject: String?) throws(RegistryFailure) -> RegistryMode? {
        let mode = try record(of: subject).mode
        return subject == nil ? mode ?? .standard : mode
    }

    /// The mode that holds for a subject.
    package func effectiveMode(of subject: String) throws(RegistryFailure) -> RegistryMode {
        if let mode = try record(of: subject).mode { return mode }
        return try record(of: nil).mode ?? .standard
    }

    /// Sets the mode of a subject or of the registry. Schemas are imported only where there are none yet, unless
    /// `force` says that somebody knows better.
    package func setMode(
        _ mode: RegistryMode, of subject: String?, force: Bool = false
    ) throws(RegistryFailure) {
        if mode == .importing, !force, try effectiveMode(ofAny: subject) != .importing {
            if try hasLiveVersions(subject) {
                throw RegistryFailure(
                    .notPermitted, "there are schemas already\(subject.map { " in \($0)" } ?? "")",
                    hint: "delete them first, or force the mode")
            }
        }
        try change(subject) { record in record.mode = mode }
    }

    /// Takes back what was set. Returns the mode that was.
    @discardableResult
    package func clearMode(of subject: String?) throws(RegistryFailure) -> RegistryMode {
        guard let before = try mode(of: subject) else {
            throw RegistryFailure(.subjectModeNotSet, "\(subject ?? "") has no mode of its own")
        }
        try change(subject) { record in record.mode = nil }
        return before
    }

    private func effectiveMode(ofAny subject: String?) throws(RegistryFailure) -> RegistryMode {
        if let subject { return try effectiveMode(of: subject) }
        return try record(of: nil).mode ?? .standard
    }

    private func hasLiveVersions(_ subject: String?) throws(RegistryFailure) -> Bool {
        guard let subject else { return try !subjects().isEmpty }
        return try read { index throws(ConnectorFailure) in try !index.subject(subject).versions(.live).isEmpty }
    }

    private func record(of subject: String?) throws(RegistryFailure) -> SubjectRecord {
        guard let subject else {
            return try onFiles { () throws(ConnectorFailure) in try self.folder.registryRecord() }
        }
        return try read { index throws(ConnectorFailure) in try index.subject(subject).record }
    }

    /// Changes what is written down, alone.
    private func change(
        _ subject: String?, _ body: (inout SubjectRecord) -> Void
    ) throws(RegistryFailure) {
        guard let subject else {
            do throws(ConnectorFailure) {
                try Folder.make(folder.directory)
                let all = try Folder(opening: folder.directory)
                try all.lock()
                var record = try folder.registryRecord()
                body(&record)
                return try folder.writeRegistry(record, in: all)
            } catch {
                throw RegistryFailure(error)
            }
        }
        try Self.check(subject: subject)
        try locked(subject) { folder throws(RegistryFailure) in
            do throws(ConnectorFailure) {
                var record = try self.folder.record(of: subject)
                body(&record)
                try self.folder.write(record, in: folder)
            } catch {
                throw RegistryFailure(error)
            }
        }
    }
}
