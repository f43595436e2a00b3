import ConnectorKit

/// What happens when a table has a form that no version of its contract has, and when a row is not valid.
package struct SchemaPolicy: Sendable, Equatable {
    /// What happens to a table that changed.
    package enum OnChange: String, Sendable, CaseIterable {
        /// The new form is registered as the next version, and capture goes on.
        case evolve
        /// The table's changes are set aside until somebody accepts the new form; everything else goes on.
        case quarantine
        /// Capture stops before anything of the new form, until somebody accepts it.
        case halt
    }

    /// What happens to a table that changed in a way that the compatibility level somebody set does not allow.
    package enum OnIncompatible: String, Sendable, CaseIterable {
        /// As ``OnChange/quarantine``.
        case quarantine
        /// As ``OnChange/halt``.
        case halt
    }

    /// What happens to a table without any version.
    package enum OnNewTable: String, Sendable, CaseIterable {
        /// It gets version 1, and capture goes on.
        case register
        /// Somebody must accept it first. Until then its changes are set aside where ``OnChange`` is quarantine; in the
        /// other cases capture stops.
        case require
    }

    /// What happens to a row that is not valid under the version that its table is under.
    package enum OnInvalid: String, Sendable, CaseIterable {
        /// The change is set aside, and with it all later changes of the same row; everything else goes on.
        case quarantine
        /// Capture stops before the row.
        case halt
    }

    /// For a table that changed.
    package var onChange: OnChange
    /// For a table that is new.
    package var onNewTable: OnNewTable
    /// For a row that is not valid.
    package var onInvalid: OnInvalid
    /// For a table whose change is not compatible, where ``onChange`` would let it evolve.
    package var onIncompatible: OnIncompatible

    /// A policy of its parts; without any, everything is registered as it comes.
    package init(
        onChange: OnChange = .evolve, onNewTable: OnNewTable = .register, onInvalid: OnInvalid = .quarantine,
        onIncompatible: OnIncompatible = .quarantine
    ) {
        self.onChange = onChange
        self.onNewTable = onNewTable
        self.onInvalid = onInvalid
        self.onIncompatible = onIncompatible
    }

    /// The code of a change that a level does not allow.
    static let incompatible = "schema.incompatible"

    /// True when capture stops for a form of a table that is refused for this reason.
    func halts(for refusal: ConnectorFailure) -> Bool {
        refusal.code == Self.incompatible ? onIncompatible == .halt : onChange != .quarantine
    }
}
