internal import ConnectorKit
package import JSONSchema

/// Whether a schema may become the next version of a subject.
package struct CompatibilityReport: Sendable {
    /// The level that was tested.
    package var level: CompatibilityLevel
    /// The versions that it was compared with, newest first.
    package var versions: [Int]
    /// The subject's latest version; nil for one without any.
    package var latest: Int?
    /// Every reason against it.
    package var breaks: [CompatibilityBreak]

    /// True without any.
    package var isCompatible: Bool { breaks.isEmpty }
    /// A line for each reason.
    package var messages: [String] { breaks.map(\.description) }
}

extension SchemaStore {
    /// Whether a schema is compatible with one version of a subject, or, without one, whether registering it would be
    /// allowed. With a subject that has no version, everything is.
    package func compatibility(
        of submitted: SubmittedSchema, with subject: String, _ version: VersionSelector? = nil
    ) throws(RegistryFailure) -> CompatibilityReport {
        let known = try prepared(submitted)
        let level = try effectiveLevel(of: subject)
        guard let version else { return try report(known, subject, level) }
        let live = try read { index throws(ConnectorFailure) in try index.subject(subject).versions(.live) }
        guard let number = Self.select(version, from: live) else {
            if version == .latest { return CompatibilityReport(level: level, versions: [], latest: nil, breaks: []) }
            _ = try versions(of: subject)
            throw Self.unknown(version, of: subject)
        }
        return try compare(known, with: [number], live.last, subject, level)
    }

    /// Throws when a schema may not become the next version.
    func check(_ known: PreparedSchema, _ subject: String) throws(RegistryFailure) {
        let report = try report(known, subject, effectiveLevel(of: subject))
        guard let first = report.breaks.first else { return }
        let more = report.breaks.count > 1 ? ", and \(report.breaks.count - 1) more" : ""
        throw RegistryFailure(
            .incompatible,
            "the schema is incompatible with earlier versions of \(subject) (level \(report.level.rawValue)): "
                + "\(first)\(more)",
            hint: "see all of it: millrace schema check \(subject) FILE; another level: "
                + "millrace schema compatibility \(subject) LEVEL")
    }

    private func report(
        _ known: PreparedSchema, _ subject: String, _ level: CompatibilityLevel
    ) throws(RegistryFailure) -> CompatibilityReport {
        let live = try read { index throws(ConnectorFailure) in try index.subject(subject).versions(.live) }
        let wanted = level == .none ? [] : level.isTransitive ? live.reversed() : live.suffix(1)
        return try compare(known, with: wanted, live.last, subject, level)
    }

    private func compare(
        _ known: PreparedSchema, with versions: [Int], _ latest: Int?, _ subject: String,
        _ level: CompatibilityLevel
    ) throws(RegistryFailure) -> CompatibilityReport {
        var earlier: [VersionedSchema] = []
        for version in versions { earlier.append(try versioned(subject, version)) }
        let new = VersionedSchema(known.document, library: known.library)
        return CompatibilityReport(
            level: level, versions: versions, latest: latest, breaks: level.verdict(on: new, against: earlier).breaks)
    }
}
