package import JSONSchema

extension CompatibilityLevel {
    /// The level of a registry that says nothing else.
    package static let standard = CompatibilityLevel.backward

    /// The level of a name, in any case; throws ``RegistryFailure/Code/invalidLevel``.
    package init(checking name: String) throws(RegistryFailure) {
        guard let level = Self(rawValue: name.uppercased()) else {
            throw RegistryFailure(
                .invalidLevel, "\"\(name.prefix(80))\" is no compatibility level",
                hint: "use one of \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = level
    }

    /// What it asks for, in a few words.
    package var meaning: String {
        let versions = isTransitive ? "every older version" : "the latest version"
        switch (directions.contains(.backward), directions.contains(.forward)) {
        case (false, false): return "nothing is tested"
        case (true, false): return "data of \(versions) stays valid"
        case (false, true): return "new data is valid under \(versions)"
        case (true, true): return "data of \(versions) stays valid, and new data is valid under it"
        }
    }
}
