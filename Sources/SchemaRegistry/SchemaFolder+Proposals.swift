package import ChangeModel
package import ConnectorKit
package import JSONText

/// A form of a table that waits for somebody to accept it, beside the versions: `proposed-1.schema.json`.
package struct SchemaProposal: Sendable {
    /// The number in the file's name, from 1 in the order in which the forms were met.
    package var number: Int
    /// The file.
    package var path: String
    /// The schema that acceptance makes a version.
    package var schema: JSONValue
}

extension SchemaFolder {
    private static let beforeProposal = HaltPoint("schema.before_proposal")

    /// Writes the next version of a table's contract as a proposal, unless it is one already; a new one is durable on
    /// return. Nil when the form was registered meanwhile: look again.
    package func propose(
        derivedFrom relation: Relation, subject: String, after former: String? = nil
    ) throws(ConnectorFailure) -> SchemaProposal? {
        guard let schema = try nextSchema(of: relation, subject: subject, after: former) else { return nil }
        let path = try path(of: subject)
        if let same = try proposal(of: subject, equalTo: schema) { return same }
        try Folder.make(directory)
        try Folder.make(path)
        let folder = try Folder(opening: path)
        try folder.lock()
        for _ in 0..<16 {
            // Whoever accepts registers first and removes the proposal then: it must not come back.
            guard let schema = try nextSchema(of: relation, subject: subject, after: former) else { return nil }
            if let same = try proposal(of: subject, equalTo: schema) { return same }
            let number = (try proposals(of: subject).last?.number ?? 0) + 1
            let name = Self.proposalName(number)
            if try folder.write(schema.prettyText, as: name, beforeRename: Self.beforeProposal.reached) {
                try makeDurable(path)
                return SchemaProposal(number: number, path: path + "/" + name, schema: schema)
            }
        }
        throw SchemaFailure.locked(path)
    }

    private func proposal(
        of subject: String, equalTo schema: JSONValue
    ) throws(ConnectorFailure) -> SchemaProposal? {
        let schema = schema.withoutClasses
        return try proposals(of: subject).first { $0.schema.withoutClasses.isEquivalent(to: schema) }
    }

    /// The proposals of `subject` in the order in which they were made.
    package func proposals(of subject: String) throws(ConnectorFailure) -> [SchemaProposal] {
        let path = try path(of: subject)
        var found: [SchemaProposal] = []
        for number in try Folder.names(in: path).compactMap(Self.proposalNumber(ofFile:)).sorted() {
            let file = path + "/" + Self.proposalName(number)
            guard let schema = try Self.schema(in: file) else { continue }
            found.append(SchemaProposal(number: number, path: file, schema: schema))
        }
        return found
    }

    /// Makes a proposal a version of its subject, or finds the version that it is, and removes its file. Durable on
    /// return; after a crash in between, accepting again ends the same way. A column whose class was raised after the
    /// proposal was written keeps the class.
    package func accept(_ proposal: SchemaProposal, of subject: String) throws(ConnectorFailure) -> Int {
        let latest = try latest(of: subject)?.version
        let version = try register(
            try classes(of: subject).carried(into: proposal.schema, raisesOnly: true), subject: subject,
            references: try references(of: subject, latest))
        let path = try path(of: subject)
        try Folder(opening: path).remove(Self.proposalName(proposal.number))
        try makeDurable(path)
        return version
    }

    private static func proposalName(_ number: Int) -> String { "proposed-\(number).schema.json" }

    static func proposalNumber(ofFile name: String) -> Int? {
        guard name.hasPrefix("proposed-"), name.hasSuffix(".schema.json"),
            let number = Int(name.dropFirst(9).dropLast(12)), number > 0, name == proposalName(number)
        else { return nil }
        return number
    }
}

extension SchemaFolder {
    /// The schema of a version by its number, or of a proposal by its name (`proposed-1`); nil when it is not there.
    package func schema(named name: String, of subject: String) throws(ConnectorFailure) -> JSONValue? {
        if let version = Int(name) { return try schema(of: subject, version: version) }
        return try proposals(of: subject).first { "proposed-\($0.number)" == name }?.schema
    }
}
