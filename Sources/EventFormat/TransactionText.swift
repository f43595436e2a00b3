internal import ByteKit
internal import ChangeModel

/// What all events of a transaction say in the same words, written once a transaction.
struct TransactionText: ~Copyable {
    private var text = OutputBuffer(capacity: 128)
    private(set) var current: TransactionInfo?
    private var timeEnd = 0
    private var idEnd = 0

    /// Writes the words of `transaction`, unless they are there already.
    mutating func prepare(_ transaction: TransactionInfo) {
        if current == transaction { return }
        current = transaction
        text.removeAll()
        text.append(hex: transaction.commit, width: 16)
        text.append(UInt8(ascii: "-"))
        text.append(timestamp: transaction.committedAt)
        timeEnd = text.count
        text.append(decimal: transaction.id)
        idEnd = text.count
        text.append(utf8: LSN(transaction.commit).description)
    }

    /// Appends the commit as 16 hexadecimal digits, and a hyphen.
    @inline(__always)
    func appendCommit(to output: inout OutputBuffer) { output.append(text.bytes.extracting(0..<17)) }

    /// Appends when it was committed.
    @inline(__always)
    func appendTime(to output: inout OutputBuffer) { output.append(text.bytes.extracting(17..<timeEnd)) }

    /// Appends the database's transaction number.
    @inline(__always)
    func appendID(to output: inout OutputBuffer) { output.append(text.bytes.extracting(timeEnd..<idEnd)) }

    /// Appends the commit as PostgreSQL writes a log position.
    @inline(__always)
    func appendLSN(to output: inout OutputBuffer) { output.append(text.bytes.extracting(idEnd..<text.count)) }
}
