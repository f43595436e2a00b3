internal import ConnectorKit
internal import JSONText
private import Synchronization

/// A registry of schemas over a schema folder, with what registry clients expect of one: ids, references, levels, modes
/// and deletion in two steps. `docs/decisions/0016-registry-files.md` says what stands where.
///
/// Any number of threads and processes may use the same folder. Every answer is as of now; what was read before is read
/// again only where its file changed. All calls read or write files, and wait where another process writes.
package final class SchemaStore: Sendable {
    /// The files.
    package let folder: SchemaFolder
    private let index: Mutex<RegistryIndex>

    /// The registry of a folder, which is made when something is written.
    package init(directory: String) {
        folder = SchemaFolder(directory: directory)
        index = Mutex(RegistryIndex(SchemaFolder(directory: directory)))
    }

    /// Uses the index; failures of files become the registry's.
    func read<Result: Sendable>(
        _ body: (inout RegistryIndex) throws(ConnectorFailure) -> Result
    ) throws(RegistryFailure) -> Result {
        do throws(ConnectorFailure) {
            return try index.withLock { index throws(ConnectorFailure) in try body(&index) }
        } catch {
            throw RegistryFailure(error)
        }
    }
}

// MARK: - Looking up

extension SchemaStore {
    /// The subjects that have a version in the scope, by name; `deletedOnly` means those without any live one.
    package func subjects(
        prefix: String = "", _ scope: DeletionScope = .live
    ) throws(RegistryFailure) -> [String] {
        try read { index throws(ConnectorFailure) in
            var found: [String] = []
            for name in try index.subjectNames() where name.utf8.starts(with: prefix.utf8) {
                let subject = try index.subject(name)
                let isWanted =
                    scope == .deletedOnly
                    ? !subject.versions.isEmpty && subject.versions(.live).isEmpty : !subject.versions(scope).isEmpty
                if isWanted { found.append(name) }
            }
            return found
        }
    }

    /// The versions of a subject in the scope, lowest first.
    package func versions(
        of subject: String, _ scope: DeletionScope = .live
    ) throws(RegistryFailure) -> [Int] {
        let versions = try read { index throws(ConnectorFailure) in try index.subject(subject).versions(scope) }
        if versions.isEmpty { throw Self.unknown(subject) }
        return versions
    }

    /// A version of a subject.
    package func schema(
        of subject: String, _ version: VersionSelector, includingDeleted: Bool = false
    ) throws(RegistryFailure) -> RegisteredSchema {
        let scope = includingDeleted ? DeletionScope.all : .live
        let found = try read { index throws(ConnectorFailure) in
            let known = try index.subject(subject)
            guard let number = Self.select(version, from: known.versions(scope)) else { return Int?.none }
            return number
        }
        guard let found, let schema = try registered(SubjectVersion(subject: subject, version: found)) else {
            // A subject without any version is unknown, one without this version is not.
            _ = try versions(of: subject, scope)
            throw Self.unknown(version, of: subject)
        }
        return schema
    }

    /// A schema by its id, preferably under a certain subject, otherwise under the first that has it.
    package func schema(id: Int, preferring subject: String? = nil) throws(RegistryFailure) -> RegisteredSchema {
        let places = try holders(of: id)
        let place =
            places.first { $0.place.subject == subject && !$0.entry.isDeleted }
            ?? places.first { !$0.entry.isDeleted } ?? places.first
        guard let place, let schema = try registered(place.place) else {
            throw RegistryFailure(.schemaNotFound, "no schema has the id \(id)")
        }
        return schema
    }

    /// A schema by its UUID.
    package func schema(guid: String) throws(RegistryFailure) -> RegisteredSchema {
        let wanted = SchemaFingerprint.GUID(guid)
        let found = try read { index throws(ConnectorFailure) in
            guard let wanted else { return SubjectVersion?.none }
            if let place = index.place(of: wanted), try index.entry(place)?.fingerprint.has(wanted) == true {
                return place
            }
            let problems = try index.lookAtAll()
            let found = index.place(of: wanted)
            if found == nil, let problem = problems.first { throw problem }
            return found
        }
        guard let found, let schema = try registered(found) else {
            throw RegistryFailure(.schemaNotFound, "no schema has the GUID \(guid.prefix(80))")
        }
        return schema
    }

    /// Where a schema is registered.
    package func uses(ofID id: Int, _ scope: DeletionScope = .live) throws(RegistryFailure) -> [SubjectVersion] {
        try read { index throws(ConnectorFailure) in _ = try index.lookAtAll() }
        let places = try holders(of: id)
        if places.isEmpty { throw RegistryFailure(.schemaNotFound, "no schema has the id \(id)") }
        return places.filter { scope == .all || $0.entry.isDeleted == (scope == .deletedOnly) }.map(\.place)
    }

    /// All schemas of subjects whose names begin with `prefix`, by subject and version.
    package func schemas(
        prefix: String = "", _ scope: DeletionScope = .live, latestOnly: Bool = false
    ) throws(RegistryFailure) -> [RegisteredSchema] {
        var found: [RegisteredSchema] = []
        for subject in try subjects(prefix: prefix, scope == .live ? .live : .all) {
            let all = try read { index throws(ConnectorFailure) in try index.subject(subject).versions(scope) }
            for version in latestOnly ? all.suffix(1) : all {
                if let schema = try registered(SubjectVersion(subject: subject, version: version)) {
                    found.append(schema)
                }
            }
        }
        return found
    }

    /// The version of a subject that a schema is.
    package func find(
        _ submitted: SubmittedSchema, in subject: String, includingDeleted: Bool = false
    ) throws(RegistryFailure) -> RegisteredSchema {
        let scope = includingDeleted ? DeletionScope.all : .live
        let versions = try versions(of: subject, scope)
        let wanted = try fingerprint(of: submitted)
        for version in versions.reversed() {
            let place = SubjectVersion(subject: subject, version: version)
            let entry = try read { index throws(ConnectorFailure) in try index.entry(place) }
            if entry?.fingerprint == wanted, let schema = try registered(place) { return schema }
        }
        throw RegistryFailure(.schemaNotFound, "subject \(subject) has no such schema")
    }

    /// The schemas that use a version of a subject and are not deleted.
    package func referencedBy(
        _ subject: String, _ version: VersionSelector
    ) throws(RegistryFailure) -> [RegisteredSchema] {
        let target = try schema(of: subject, version, includingDeleted: true)
        var found: [RegisteredSchema] = []
        for place in try referrers(of: [target.place], .live) {
            if let schema = try registered(place) { found.append(schema) }
        }
        return found
    }

    /// The highest id that any schema has; 0 without schemas.
    package func highestID() throws(RegistryFailure) -> Int {
        try read { index throws(ConnectorFailure) in
            _ = try index.lookAtAll()
            return index.ids.max() ?? 0
        }
    }
}

// MARK: - Parts of the above

extension SchemaStore {
    /// The version that a selector means among those.
    static func select(_ version: VersionSelector, from versions: [Int]) -> Int? {
        switch version {
        case .latest: versions.last
        case .number(let number): versions.contains(number) ? number : nil
        }
    }

    static func unknown(_ subject: String) -> RegistryFailure {
        RegistryFailure(
            .subjectNotFound, "there is no subject \(subject)", hint: "see which there are: millrace schema list")
    }

    static func unknown(_ version: VersionSelector, of subject: String) -> RegistryFailure {
        let name = if case .number(let number) = version { "version \(number)" } else { "version" }
        return RegistryFailure(
            .versionNotFound, "\(subject) has no \(name)", hint: "see which there are: millrace schema list")
    }

    /// A version with its text; nil when it is not there.
    func registered(_ place: SubjectVersion) throws(RegistryFailure) -> RegisteredSchema? {
        try read { index throws(ConnectorFailure) in
            guard let entry = try index.entry(place),
                let schema = try self.folder.schema(of: place.subject, version: place.version)
            else { return nil }
            return RegisteredSchema(
                subject: place.subject, version: place.version, id: entry.id, guid: entry.fingerprint.guid,
                text: schema.compactText, references: entry.references, isDeleted: entry.isDeleted)
        }
    }

    /// The versions that have an id. Throws when they are different schemas.
    func holders(of id: Int) throws(RegistryFailure) -> [(place: SubjectVersion, entry: RegistryIndex.Entry)] {
        try read { index throws(ConnectorFailure) in
            var found = try index.holders(of: id)
            if found.isEmpty {
                let problems = try index.lookAtAll()
                found = try index.holders(of: id)
                // What is broken may be what was asked for.
                if found.isEmpty, let problem = problems.first { throw problem }
            }
            if let other = found.first(where: { $0.entry.fingerprint != found.first?.entry.fingerprint }),
                let first = found.first
            {
                throw SchemaFailure.idConflict(
                    id,
                    [
                        try self.folder.file(of: first.place.subject, version: first.place.version),
                        try self.folder.file(of: other.place.subject, version: other.place.version),
                    ])
            }
            return found
        }
    }

    /// The versions that refer to one of `targets`.
    func referrers(
        of targets: Set<SubjectVersion>, _ scope: DeletionScope
    ) throws(RegistryFailure) -> [SubjectVersion] {
        try read { index throws(ConnectorFailure) in
            var found: [SubjectVersion] = []
            for name in try index.subjectNames() {
                let subject = try index.subject(name)
                for version in subject.versions(scope) {
                    let used = subject.record.references[version] ?? []
                    if used.contains(where: { targets.contains($0.target) }) {
                        found.append(SubjectVersion(subject: name, version: version))
                    }
                }
            }
            return found
        }
    }
}
