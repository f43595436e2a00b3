internal import ConnectorKit
internal import JSONSchema
internal import JSONText

extension SchemaStore {
    /// Makes a schema the next version of a subject, or finds the version that it already is: one with the same members
    /// in any order, however white space and numbers are written. Durable on return.
    package func register(
        _ submitted: SubmittedSchema, subject: String
    ) throws(RegistryFailure) -> RegisteredSchema {
        try Self.check(subject: subject)
        let mode = try effectiveMode(of: subject)
        try Self.check(submitted, subject, mode)
        let known = try prepared(submitted)
        if let same = try existing(known, submitted, subject, mode) { return same }
        let place = try locked(subject) { folder throws(RegistryFailure) in
            // Others may have written while this process waited.
            if let same = try existing(known, submitted, subject, mode) { return same.place }
            if mode != .importing { try self.check(known, subject) }
            return try add(known, submitted, subject, mode, in: folder)
        }
        guard let schema = try registered(place) else {
            throw RegistryFailure(.versionNotFound, "\(subject) version \(place.version) was removed meanwhile")
        }
        return schema
    }

    /// Runs while no other process registers or deletes, with the subject's folder, which is made.
    func locked<Result>(
        _ subject: String, _ body: (borrowing Folder) throws(RegistryFailure) -> Result
    ) throws(RegistryFailure) -> Result {
        let outcome: Swift.Result<Result, RegistryFailure>
        do throws(ConnectorFailure) {
            let path = try folder.path(of: subject)
            let all = try Folder.held(folder.directory)
            let one = try Folder.held(path)
            outcome = all.whileOpen { () throws(RegistryFailure) in try body(one) }
        } catch {
            throw RegistryFailure(error)
        }
        return try outcome.get()
    }

    /// Runs something of the folder.
    func onFiles<Result>(
        _ body: () throws(ConnectorFailure) -> Result
    ) throws(RegistryFailure) -> Result {
        do throws(ConnectorFailure) { return try body() } catch { throw RegistryFailure(error) }
    }

    /// Throws for what no subject can be called.
    static func check(subject: String) throws(RegistryFailure) {
        let isReserved = subject == "__GLOBAL" || subject == "__EMPTY"
        guard !subject.isEmpty, !isReserved, !subject.unicodeScalars.contains(where: \.properties.isControl),
            SubjectName.folderName(of: subject) != nil
        else {
            throw RegistryFailure(
                .invalidSubject, "\"\(subject.prefix(80))\" is no name for a subject",
                hint: "255 bytes without control characters, with %XX for special ones, is the limit")
        }
    }

    private static func check(
        _ submitted: SubmittedSchema, _ subject: String, _ mode: RegistryMode
    ) throws(RegistryFailure) {
        switch mode {
        case .readOnly: throw readOnly(subject)
        case .readWrite:
            if submitted.id != nil {
                throw RegistryFailure(
                    .notPermitted, "\(subject) is not in mode IMPORT: it takes no schema with an id",
                    hint: "send it without an id, or set the mode first: PUT /mode/\(subject)")
            }
        case .importing:
            guard submitted.id != nil else {
                throw RegistryFailure(
                    .notPermitted, "\(subject) is in mode IMPORT: a schema needs an id there",
                    hint: "send it with an id, or set the mode to READWRITE")
            }
        }
        if let id = submitted.id, !(1...Int(Int32.max)).contains(id) {
            throw RegistryFailure(.invalidSchema, "\(id) is no id", hint: "ids are from 1 to \(Int32.max)")
        }
        if let version = submitted.version, !(1...Int(Int32.max)).contains(version) {
            throw RegistryFailure(
                .invalidVersion, "\(version) is no version", hint: "versions are from 1 to \(Int32.max)")
        }
    }

    static func readOnly(_ subject: String) -> RegistryFailure {
        RegistryFailure(
            .notPermitted, "\(subject) is in mode READONLY", hint: "set the mode to READWRITE to change it")
    }

    /// The version that has this content. In mode IMPORT the numbers that came with it must be its own.
    private func existing(
        _ known: PreparedSchema, _ submitted: SubmittedSchema, _ subject: String, _ mode: RegistryMode
    ) throws(RegistryFailure) -> RegisteredSchema? {
        let versions = try read { index throws(ConnectorFailure) in
            let subject = try index.subject(subject)
            return mode == .importing ? subject.versions : subject.versions(.live)
        }
        for version in versions.reversed() where submitted.version ?? version == version {
            let place = SubjectVersion(subject: subject, version: version)
            let entry = try read { index throws(ConnectorFailure) in try index.entry(place) }
            guard let entry, entry.fingerprint == known.fingerprint else { continue }
            if let id = submitted.id, id != entry.id {
                throw RegistryFailure(
                    .idMismatch, "\(subject) version \(version) is this schema under the id \(entry.id), not \(id)",
                    hint: "send it with that id")
            }
            try onFiles { () throws(ConnectorFailure) in
                try self.folder.makeDurable(try self.folder.path(of: subject))
            }
            return try registered(place)
        }
        return nil
    }

    /// Writes the version. The folder is the subject's, and locked.
    private func add(
        _ known: PreparedSchema, _ submitted: SubmittedSchema, _ subject: String, _ mode: RegistryMode,
        in folder: borrowing Folder
    ) throws(RegistryFailure) -> SubjectVersion {
        for _ in 0..<16 {
            let state = try read { index throws(ConnectorFailure) in try index.subject(subject) }
            let version = submitted.version ?? state.nextVersion
            if mode == .importing, state.versions.contains(version) {
                throw RegistryFailure(
                    .notPermitted, "\(subject) has another schema as version \(version)",
                    hint: "a version that is there is never changed")
            }
            if mode != .importing, version != state.nextVersion {
                throw RegistryFailure(
                    .invalidSchema, "the next version of \(subject) is \(state.nextVersion), not \(version)",
                    hint: "send it without a version")
            }
            let id = try idToWrite(for: known.fingerprint, wanted: submitted.id)
            let isWritten: Bool
            do throws(ConnectorFailure) {
                isWritten = try self.folder.add(
                    known.document, as: version, of: subject, state.record, id: id,
                    references: submitted.references, in: folder)
            } catch {
                throw RegistryFailure(error)
            }
            if isWritten { return SubjectVersion(subject: subject, version: version) }
        }
        throw try onFiles { () throws(ConnectorFailure) in
            RegistryFailure(SchemaFailure.locked(try self.folder.path(of: subject)))
        }
    }

    /// The id that must be written down, because the content alone gives another one; nil where it gives this one.
    private func idToWrite(
        for fingerprint: SchemaFingerprint, wanted: Int?
    ) throws(RegistryFailure) -> Int? {
        try read { index throws(ConnectorFailure) in _ = try index.lookAtAll() }
        let known = try read { index throws(ConnectorFailure) in index.id(of: fingerprint) }
        if let id = wanted ?? known {
            if let other = try holders(of: id).first(where: { $0.entry.fingerprint != fingerprint }) {
                throw RegistryFailure(
                    .notPermitted,
                    "the id \(id) is another schema's: \(other.place.subject) version \(other.place.version)",
                    hint: "an id that is given is never changed; send another one")
            }
            return id == fingerprint.id() ? nil : id
        }
        for attempt in 0..<64 {
            let id = fingerprint.id(attempt: attempt)
            let isFree = try read { index throws(ConnectorFailure) in try index.holders(of: id).isEmpty }
            if isFree { return attempt == 0 ? nil : id }
        }
        throw RegistryFailure(.storage, "no id is free for this schema")
    }
}

extension RegisteredSchema {
    /// Where it is.
    var place: SubjectVersion { SubjectVersion(subject: subject, version: version) }
}

extension Unicode.Scalar.Properties {
    /// True for characters that no name should have.
    fileprivate var isControl: Bool { generalCategory == .control }
}
