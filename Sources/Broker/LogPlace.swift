package import ChangeModel

/// A change of the log, by its offset and by what it is: with it, whoever comes back later goes on exactly behind that
/// change, and finds out when the log is another one by then.
///
/// As text `OFFSET.COMMIT.ORDINAL`, the last two in hexadecimal digits.
package struct LogPlace: Sendable, Equatable {
    /// Its offset in the log.
    package var offset: UInt64
    /// What it is.
    package var identity: ChangeIdentity

    /// A place of its parts.
    package init(offset: UInt64, identity: ChangeIdentity) {
        self.offset = offset
        self.identity = identity
    }

    /// Reads what ``text`` wrote; nil for anything else.
    package init?(_ text: String) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3, let offset = UInt64(parts[0]), offset < .max, let commit = UInt64(parts[1], radix: 16),
            let ordinal = UInt32(parts[2], radix: 16)
        else { return nil }
        self.init(offset: offset, identity: ChangeIdentity(commit: commit, ordinal: ordinal))
    }

    /// As consumers see it.
    package var text: String {
        "\(offset).\(String(identity.commit, radix: 16, uppercase: true))."
            + String(identity.ordinal, radix: 16, uppercase: true)
    }
}
