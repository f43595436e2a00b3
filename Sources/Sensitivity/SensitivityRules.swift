package import ConnectorKit

/// How classified values are treated where they must not be seen: the configuration's section `sensitivity`.
package struct SensitivityRules: Sendable {
    /// The class of what nobody classified.
    package var unclassified: SensitivityClass
    /// What stands for values, by their class; ``ColumnMask/drop`` for a class without a mask.
    package var masks: [SensitivityClass: ColumnMask]
    /// What commands that print events show, when they are not told otherwise.
    package var commands: Clearance
    /// The key of all hashes. Secret. Nil when the configuration has none.
    package var salt: [UInt8]?

    /// Rules of their parts.
    package init(
        unclassified: SensitivityClass = .internal, masks: [SensitivityClass: ColumnMask] = [:],
        commands: Clearance = .usual, salt: [UInt8]? = nil
    ) {
        self.unclassified = unclassified
        self.masks = masks
        self.commands = commands
        self.salt = salt
    }

    /// What stands for values of a class that may not be seen.
    package func mask(of sensitivity: SensitivityClass) -> ColumnMask { masks[sensitivity] ?? .drop }

    /// The rules of a command that prints events: without a salt its hashes are its own, and worth nothing to another
    /// run.
    package var forPrinting: SensitivityRules {
        var rules = self
        rules.salt = salt ?? (0..<32).map { _ in UInt8.random(in: .min ... .max) }
        return rules
    }
}
