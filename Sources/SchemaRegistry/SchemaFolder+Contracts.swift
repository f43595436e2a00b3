package import ChangeModel
package import ConnectorKit
package import JSONSchema
package import JSONText

/// What the folder says about a table as it is now.
package enum ContractLookup: Sendable {
    /// The table is under this version.
    case registered(RegisteredContract)
    /// The table has another form than any version; nobody registered it yet.
    case changed(SchemaChange)
}

/// The version that a table is under.
package struct RegisteredContract: Sendable {
    /// The number of the version.
    package var version: Int
    /// Its schema.
    package var schema: JSONValue
    /// The documents that the schema refers to.
    package var library: SchemaLibrary
    /// The schema that is derived from the table: what its rows keep to without a check.
    package var derived: JSONValue
    /// Why a newer version was passed over although it is not for another form of the table; nil in most cases.
    package var passedOver: String?
}

/// A table without a version of its own.
package struct SchemaChange: Sendable {
    /// The registry's name of the table.
    package var subject: String
    /// The latest version; nil for a subject without versions.
    package var latest: Int?
    /// How the next version differs from ``latest``; nil without one.
    package var difference: SchemaDifference?
    /// Columns whose constraints of ``latest`` are not in the next version, because their values have another form.
    package var lostColumns: [String] = []
    /// The compatibility level that somebody set, for the subject or for all; nil when nobody did.
    package var level: String?
    /// Why the next version does not keep to that level; empty when it does.
    package var breaks: [String] = []
    /// Why ``latest`` does not describe the table, when it is not for another form of it.
    package var obstacle: String?
    /// True when the table is as it was, and only this program writes its schema in another way than before.
    package var isSpellingOnly: Bool { difference?.isEmpty ?? false }
}

extension SchemaFolder {
    /// Looks for the version that a table is under: the highest one that describes it. Writes nothing.
    ///
    /// A version with the database's words (`x-millrace`) describes the table that has the same columns, types and key,
    /// in any order. One without them describes each table whose rows can be valid: there is a column for what it
    /// requires, and each column that it speaks of can have a value that it lets pass.
    package func look(for relation: Relation, subject: String) throws(ConnectorFailure) -> ContractLookup {
        let derived = JSONValue.schema(derivedFrom: relation)
        var passedOver: String?
        var latest: (version: Int, schema: JSONValue)?
        for version in try versions(of: subject).reversed() {
            guard let schema = try schema(of: subject, version: version) else { continue }
            latest = latest ?? (version, schema)
            switch ContractFit(of: schema, to: derived) {
            case .fits:
                try makeDurable(path(of: subject))
                return .registered(
                    RegisteredContract(
                        version: version, schema: schema, library: try library(of: subject, version), derived: derived,
                        passedOver: passedOver))
            case .impossible(let reason):
                passedOver = passedOver ?? "version \(version) does not describe the table: \(reason)"
            case .otherForm: break
            }
        }
        guard let latest else { return .changed(SchemaChange(subject: subject)) }
        let carried = CarriedSchema(of: latest.schema, onto: derived)
        var change = SchemaChange(
            subject: subject, latest: latest.version,
            difference: SchemaDifference(from: latest.schema, to: carried.schema), lostColumns: carried.lostColumns,
            obstacle: passedOver)
        try judge(&change, carried.schema)
        return .changed(change)
    }

    /// Compares the next version with those before it by the level that somebody set. The default of the registry is no
    /// such level: a table has changed already, and nobody asked to stop its events for that.
    private func judge(_ change: inout SchemaChange, _ next: JSONValue) throws(ConnectorFailure) {
        let common = try registryRecord().level
        guard let latest = change.latest, let level = try record(of: change.subject).level ?? common else { return }
        var earlier: [VersionedSchema] = []
        for version in try versions(of: change.subject).reversed() where level.isTransitive || version == latest {
            guard let schema = try schema(of: change.subject, version: version) else { continue }
            earlier.append(VersionedSchema(version: version, schema, library: try library(of: change.subject, version)))
        }
        let new = VersionedSchema(next, library: try library(of: change.subject, latest))
        change.level = level.rawValue
        change.breaks = level.verdict(onTable: new, against: earlier).breaks.map(\.description)
    }

    /// The documents that a version refers to.
    private func library(of subject: String, _ version: Int) throws(ConnectorFailure) -> SchemaLibrary {
        if try references(of: subject, version).isEmpty { return SchemaLibrary() }
        do throws(RegistryFailure) {
            return try SchemaStore(directory: directory).versioned(subject, version).library
        } catch {
            throw error.asConnectorFailure
        }
    }

    /// The schemas that a version uses; the next one that is made of it uses them too.
    func references(of subject: String, _ version: Int?) throws(ConnectorFailure) -> [SchemaReference] {
        guard let version else { return [] }
        return try record(of: subject).references[version] ?? []
    }

    /// The version of `subject` that a table is under (see ``look(for:subject:)``), otherwise a new one, which is
    /// durable on return: the schema of the latest version with the table's present form, or, without one, what is
    /// derived from the table.
    ///
    /// The first version has the classes of `former`, the subject of the table before it got another name.
    ///
    /// A table that goes back to an earlier form is under the earlier version again, and so are changes from before
    /// that are read once more after a crash.
    ///
    /// Throws `schema.directory`, `schema.subject_name`, `schema.read`, `schema.write`, `schema.damaged`,
    /// `schema.locked`.
    package func settle(
        _ relation: Relation, subject: String, after former: String? = nil
    ) throws(ConnectorFailure) -> RegisteredContract {
        for _ in 0..<16 {
            if case .registered(let contract) = try look(for: relation, subject: subject) { return contract }
            guard let schema = try nextSchema(of: relation, subject: subject, after: former) else { continue }
            let latest = try latest(of: subject)?.version
            _ = try register(schema, subject: subject, references: try references(of: subject, latest))
        }
        throw SchemaFailure.locked(try path(of: subject))
    }

    /// The number of the version that ``settle(_:subject:)`` finds or makes.
    package func register(derivedFrom relation: Relation, subject: String) throws(ConnectorFailure) -> Int {
        try settle(relation, subject: subject).version
    }

    /// The schema that a version for the present form of a table would have; nil when there is a version for it.
    func nextSchema(
        of relation: Relation, subject: String, after former: String? = nil
    ) throws(ConnectorFailure) -> JSONValue? {
        if case .registered = try look(for: relation, subject: subject) { return nil }
        let derived = JSONValue.schema(derivedFrom: relation)
        guard let latest = try latest(of: subject) else {
            guard let former else { return derived }
            return try classes(of: former).carried(into: derived)
        }
        return try classes(of: subject).carried(into: CarriedSchema(of: latest.schema, onto: derived).schema)
    }

    /// Something that differs as soon as a file of a subject was added, removed or written anew.
    package func stamp(of subject: String) throws(ConnectorFailure) -> Int { try Folder.stamp(of: path(of: subject)) }
}
