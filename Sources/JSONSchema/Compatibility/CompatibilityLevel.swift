package import JSONText

/// What a new version of a schema has to be compatible with.
package enum CompatibilityLevel: String, Sendable, Hashable, CaseIterable {
    case none = "NONE"
    case backward = "BACKWARD"
    case backwardTransitive = "BACKWARD_TRANSITIVE"
    case forward = "FORWARD"
    case forwardTransitive = "FORWARD_TRANSITIVE"
    case full = "FULL"
    case fullTransitive = "FULL_TRANSITIVE"

    /// True when all earlier versions count, and not the latest one alone.
    package var isTransitive: Bool {
        switch self {
        case .backwardTransitive, .forwardTransitive, .fullTransitive: true
        case .none, .backward, .forward, .full: false
        }
    }

    /// The directions that it asks for.
    package var directions: [CompatibilityDirection] {
        switch self {
        case .none: []
        case .backward, .backwardTransitive: [.backward]
        case .forward, .forwardTransitive: [.forward]
        case .full, .fullTransitive: [.backward, .forward]
        }
    }

    /// Compares a schema with earlier versions, newest first, in the directions that this level asks for. Deleted
    /// versions are not to be among them. Without any, everything is compatible.
    package func verdict(
        on new: VersionedSchema, against earlier: [VersionedSchema], policy: ComparisonPolicy = .lenient
    ) -> CompatibilityVerdict {
        var breaks: [CompatibilityBreak] = []
        for old in isTransitive ? earlier[...] : earlier.prefix(1) {
            for direction in directions {
                breaks += direction.breaks(from: old, to: new, policy: policy).map {
                    CompatibilityBreak(direction: direction, version: old.version, reason: $0)
                }
            }
        }
        return CompatibilityVerdict(breaks: breaks)
    }
}

/// Who reads whose documents.
package enum CompatibilityDirection: String, Sendable, Hashable, CaseIterable {
    /// Whoever has the new schema reads documents of the old one.
    case backward = "BACKWARD"
    /// Whoever has the old schema reads documents of the new one.
    case forward = "FORWARD"

    /// Whom a break of this direction hurts.
    package var victim: String {
        switch self {
        case .backward: "old documents under the new schema"
        case .forward: "new documents under the old schema"
        }
    }

    /// What breaks in this direction.
    package func breaks(
        from old: VersionedSchema, to new: VersionedSchema, policy: ComparisonPolicy = .lenient
    ) -> [SchemaBreak] {
        let (reader, writer) = self == .backward ? (new, old) : (old, new)
        return SchemaComparison(
            reader: reader.schema, writer: writer.schema, readerLibrary: reader.library, writerLibrary: writer.library,
            policy: policy
        ).breaks
    }
}

/// A schema with what it refers to.
package struct VersionedSchema: Sendable {
    /// Its number; nil for one that is not registered.
    package var version: Int?
    /// The schema.
    package var schema: JSONValue
    /// The documents that it may refer to.
    package var library: SchemaLibrary

    /// A schema of its parts.
    package init(version: Int? = nil, _ schema: JSONValue, library: SchemaLibrary = SchemaLibrary()) {
        self.version = version
        self.schema = schema
        self.library = library
    }
}

/// A break with the direction and the version that it is about.
package struct CompatibilityBreak: Sendable, Hashable, CustomStringConvertible {
    /// Who reads whose documents.
    package var direction: CompatibilityDirection
    /// The earlier version; nil for one without a number.
    package var version: Int?
    /// What breaks.
    package var reason: SchemaBreak

    /// A break of its parts.
    package init(direction: CompatibilityDirection, version: Int?, reason: SchemaBreak) {
        self.direction = direction
        self.version = version
        self.reason = reason
    }

    /// `BACKWARD, version 3: /required: …`.
    package var description: String {
        direction.rawValue + (version.map { ", version \($0)" } ?? "") + ": \(reason)"
    }
}

/// Whether a schema may follow earlier ones.
package struct CompatibilityVerdict: Sendable {
    /// Every reason against it; empty when it is compatible.
    package var breaks: [CompatibilityBreak]

    /// A verdict of its reasons.
    package init(breaks: [CompatibilityBreak]) { self.breaks = breaks }

    /// True without a break.
    package var isCompatible: Bool { breaks.isEmpty }
}
