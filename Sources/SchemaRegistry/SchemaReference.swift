/// That a schema uses another one: what its `$ref` names is a version of a subject.
package struct SchemaReference: Sendable, Hashable {
    /// The URI that `$ref` leads to, absolute or relative to the schema's own.
    package var name: String
    /// The subject of the other schema.
    package var subject: String
    /// Its version.
    package var version: Int

    /// A reference of its parts.
    package init(name: String, subject: String, version: Int) {
        self.name = name
        self.subject = subject
        self.version = version
    }

    /// What it leads to.
    package var target: SubjectVersion { SubjectVersion(subject: subject, version: version) }
}

/// A version of a subject.
package struct SubjectVersion: Sendable, Hashable {
    /// The subject.
    package var subject: String
    /// The version.
    package var version: Int

    /// A version of a subject.
    package init(subject: String, version: Int) {
        self.subject = subject
        self.version = version
    }
}

/// Which version of a subject is meant.
package enum VersionSelector: Sendable, Hashable {
    /// The one with a number.
    case number(Int)
    /// The highest one.
    case latest

    /// A number from 1, `latest` or `-1`; throws ``RegistryFailure/Code/invalidVersion``.
    package init(checking text: String) throws(RegistryFailure) {
        if text == "latest" || text == "-1" {
            self = .latest
        } else if let number = Int(text), (1...Int(Int32.max)).contains(number) {
            self = .number(number)
        } else {
            throw RegistryFailure(
                .invalidVersion, "\"\(text.prefix(40))\" is no version",
                hint: "give a number from 1 to \(Int32.max), or latest")
        }
    }
}

/// Whether versions count that were deleted softly.
package enum DeletionScope: Sendable {
    /// Only those that were not.
    case live
    /// All.
    case all
    /// Only those that were.
    case deletedOnly
}
