/// What a new version of a subject must keep.
package enum CompatibilityLevel: String, Sendable, CaseIterable {
    /// Nothing is tested.
    case none = "NONE"
    /// Data of the latest version is valid under the new one.
    case backward = "BACKWARD"
    /// Data of every version is valid under the new one.
    case backwardTransitive = "BACKWARD_TRANSITIVE"
    /// Data of the new version is valid under the latest one.
    case forward = "FORWARD"
    /// Data of the new version is valid under every one.
    case forwardTransitive = "FORWARD_TRANSITIVE"
    /// Both, with the latest version.
    case full = "FULL"
    /// Both, with every version.
    case fullTransitive = "FULL_TRANSITIVE"

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

    /// True when data of older versions must be valid under the new one.
    package var testsBackward: Bool {
        [.backward, .backwardTransitive, .full, .fullTransitive].contains(self)
    }
    /// True when data of the new version must be valid under older ones.
    package var testsForward: Bool { [.forward, .forwardTransitive, .full, .fullTransitive].contains(self) }
    /// True when not only the latest version counts.
    package var isTransitive: Bool { [.backwardTransitive, .forwardTransitive, .fullTransitive].contains(self) }

    /// What it asks for, in a few words.
    package var meaning: String {
        let versions = isTransitive ? "every older version" : "the latest version"
        switch (testsBackward, testsForward) {
        case (false, false): return "nothing is tested"
        case (true, false): return "data of \(versions) stays valid"
        case (false, true): return "new data is valid under \(versions)"
        case (true, true): return "data of \(versions) stays valid, and new data is valid under it"
        }
    }
}
