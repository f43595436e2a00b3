internal import ByteKit
internal import ChangeModel

/// Relations that no table is behind. The server reserves names of schemas that begin with `pg_`, so no table can have
/// theirs.
enum MessageRelations {
    /// Logical messages as rows. The prefix is the key, so that sinks keep the order of messages of one prefix.
    static let message = Relation(
        sourceID: 0, schema: "pg_logical", name: "message",
        columns: [
            Column(name: "prefix", type: .text, typeName: "text", keyPosition: 0, isNullable: false),
            Column(name: "content", type: .text, typeName: "text", isNullable: false),
        ])
    /// Begin and end of transactions.
    static let transaction = Relation(
        sourceID: 0, schema: "pg_logical", name: "transaction",
        columns: [
            Column(name: "id", type: .text, typeName: "text", keyPosition: 0, isNullable: false),
            Column(name: "changes", type: .int64, typeName: "bigint"),
            Column(name: "events", type: .int64, typeName: "bigint"),
            Column(name: "tables", type: .json, typeName: "json", shape: .json),
        ])
}

extension PostgresSettings {
    /// The names under which events come that no table is behind.
    package static let namesWithoutTables = [MessageRelations.message, MessageRelations.transaction].map {
        (schema: $0.schema, name: $0.name)
    }
}

extension ChangeDecoder {
    /// Takes a logical message. In a transaction it is counted like a change, whatever becomes of it, so that
    /// identities do not depend on the configuration. Returns what is wrong with a context that cannot be used.
    mutating func take(
        _ message: borrowing LogicalMessage, sentAt sendTime: Int64
    ) throws(WireError) -> ContextProblem? {
        var ordinal: UInt32 = 0
        if message.isTransactional {
            guard let open = transaction else { throw .outOfPlace("a message of a transaction") }
            guard open.nextOrdinal < ChangeIdentity.commitOrdinal else { throw .tooManyChanges }
            ordinal = open.nextOrdinal
            transaction?.nextOrdinal = ordinal &+ 1
        } else {
            // With this protocol a transaction is sent as a whole at its commit, so nothing comes in between.
            guard transaction == nil else { throw .outOfPlace("a message outside of transactions") }
        }
        let prefix = message.prefix
        var problem: ContextProblem?
        if prefix == choice.contextPrefix {
            problem = takeContext(message)
        } else if prefix == SnapshotMark.prefix {
            if let open = transaction { snapshots?.marked(message.content, in: open.info) }
        } else if choice.captures(prefix) {
            append(message, ordinal: ordinal, sentAt: sendTime)
        }
        // The server has sent everything up to the message's end. One byte more, and it would leave out what follows.
        if !message.isTransactional { progress.reached(message.messageLSN) }
        return problem
    }

    /// Puts a message into the batch, unless the log has it.
    private mutating func append(_ message: borrowing LogicalMessage, ordinal: UInt32, sentAt sendTime: Int64) {
        // The server names the end of a message's record, where the commit record of another transaction may begin. The
        // byte before it is the message's own.
        let commit = transaction?.info.commit ?? (message.messageLSN.value &- 1)
        if transaction != nil, choice.marksTransactions { countMessageInBoundary() }
        let identity = ChangeIdentity(commit: commit, ordinal: ordinal)
        if progress.isLogged(identity) { return }
        progress.took(identity)
        let index =
            transaction != nil
            ? transactionIndex()
            : builder.begin(
                TransactionInfo(commit: commit, id: 0, committedAt: ServerClock.sinceUnixEpoch(sendTime)))
        let (prefix, content) = (message.prefixBytes, message.content)
        let after = builder.appendTuple(columnCount: 2) { (output: inout OutputBuffer) in
            output.append(text: prefix, otherwise: ValueKind.malformedText)
            output.append(text: content, otherwise: ValueKind.binary)
        }
        builder.append(
            RowChange(
                operation: .message, relation: builder.index(of: MessageRelations.message), transaction: index,
                ordinal: ordinal, after: after))
    }

    /// Takes the context of the open transaction: only before its first row, so that all of its rows have it. A second
    /// one takes the place of the first.
    private mutating func takeContext(_ message: borrowing LogicalMessage) -> ContextProblem? {
        guard let open = transaction else { return .outsideOfTransaction }
        if open.hasRows { return .behindRows }
        guard message.content.byteCount <= MessageChoice.contextBytesMax else { return .tooLong }
        guard UTF8Check.isValid(message.content) else { return .notText }
        context = unsafe message.content.withUnsafeBytes { unsafe Array($0) }
        // What was put into the batch before keeps its words; what follows has new ones.
        transaction?.index = nil
        return nil
    }
}

extension OutputBuffer {
    /// Appends a value of a tuple: as text when it is UTF-8, otherwise of another kind.
    mutating func append(text: RawSpan, otherwise kind: UInt8) {
        append(UTF8Check.isValid(text) ? ValueKind.text : kind)
        append(bigEndian: Int32(clamping: text.byteCount))
        append(text)
    }

    /// Appends a text value of a tuple.
    mutating func append(textValue text: String) {
        append(ValueKind.text)
        append(bigEndian: Int32(clamping: text.utf8.count))
        append(utf8: text)
    }
}
