/// What may be done with a subject.
package enum RegistryMode: String, Sendable, CaseIterable {
    /// Anything but choosing ids.
    case readWrite = "READWRITE"
    /// Nothing is registered or deleted.
    case readOnly = "READONLY"
    /// Schemas are taken over from another registry with their ids and versions, untested.
    case importing = "IMPORT"

    /// The mode of a registry that says nothing else.
    package static let standard = RegistryMode.readWrite

    /// The mode of a name, in any case; throws ``RegistryFailure/Code/invalidMode``.
    package init(checking name: String) throws(RegistryFailure) {
        guard let mode = Self(rawValue: name.uppercased()) else {
            throw RegistryFailure(
                .invalidMode, "\"\(name.prefix(80))\" is no mode",
                hint: "use one of \(Self.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        self = mode
    }
}
