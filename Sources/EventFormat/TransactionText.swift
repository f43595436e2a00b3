internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// What all events of a transaction say in the same words, written once a transaction.
struct TransactionText: ~Copyable {
    private var text = OutputBuffer(capacity: 128)
    private(set) var current: TransactionInfo?
    private var timeEnd = 0
    private var idEnd = 0
    private var positionEnd = 0
    /// Where the attributes stand that the application gave to the transaction.
    private var attributes: [Range<Int>] = []
    /// How attributes are written.
    private let style: AttributeStyle

    /// How attributes are written that an application gives to a transaction.
    enum AttributeStyle {
        /// Not at all: what the application said is not even read.
        case none
        /// Each as `,"name":"value"`.
        case members
        /// Each as a line `name:value`.
        case lines

        init(_ format: EventFormat, _ form: RecordForm) {
            self =
                switch (format, form) {
                case (.cloudEvents, .line): .members
                case (.cloudEvents, .binary): .lines
                case (.row, _), (.csv, _), (.debezium, _): .none
                }
        }
    }
    /// What was wrong with what applications said.
    private(set) var problems: Set<ContextProblem> = []

    init(attributes style: AttributeStyle) { self.style = style }

    /// Writes the words of `transaction`, unless they are there already. `body` is that of its batch.
    @inline(__always)
    mutating func prepare(_ transaction: TransactionInfo, _ body: RawSpan) {
        if current != transaction { write(transaction, body) }
    }

    private mutating func write(_ transaction: TransactionInfo, _ body: RawSpan) {
        current = transaction
        text.removeAll()
        text.append(hex: transaction.commit, width: 16)
        text.append(UInt8(ascii: "-"))
        text.append(timestamp: transaction.committedAt)
        timeEnd = text.count
        text.append(decimal: transaction.id)
        idEnd = text.count
        text.append(utf8: LSN(transaction.commit).description)
        positionEnd = text.count
        attributes.removeAll(keepingCapacity: true)
        let context = transaction.context.indices
        guard style != .none, !context.isEmpty, context.upperBound <= body.byteCount else { return }
        writeAttributes(.read(body.extracting(context)))
    }

    private mutating func writeAttributes(_ context: TransactionContext) {
        for attribute in context.attributes {
            let start = text.count
            if style == .lines {
                text.append(utf8: attribute.name + ":" + attribute.value + "\n")
            } else {
                text.append(UInt8(ascii: ","))
                text.append(jsonString: attribute.name)
                text.append(UInt8(ascii: ":"))
                text.append(jsonString: attribute.value)
            }
            attributes.append(start..<text.count)
        }
        if let problem = context.problem { problems.insert(problem) }
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
    func appendLSN(to output: inout OutputBuffer) { output.append(text.bytes.extracting(idEnd..<positionEnd)) }

    /// Appends the attributes that the application gave to the transaction: a comma before each, or a line feed behind.
    @inline(__always)
    func appendAttributes(to output: inout OutputBuffer) {
        output.append(text.bytes.extracting(positionEnd..<text.count))
    }

    /// How many attributes the application gave to the transaction.
    var attributeCount: Int { attributes.count }

    /// Appends one of the attributes.
    func appendAttribute(_ number: Int, to output: inout OutputBuffer) {
        output.append(text.bytes.extracting(attributes[number]))
    }

    /// True when one of the attributes begins with these bytes.
    func attribute(_ number: Int, hasPrefix prefix: RawSpan) -> Bool {
        let range = attributes[number]
        let front = range.lowerBound..<min(range.lowerBound + prefix.byteCount, range.upperBound)
        return text.bytes.extracting(front).hasSameBytes(as: prefix)
    }
}
