internal import ByteKit

extension ChangeBatch {
    /// A batch of some changes of this one, under their own identities, with only the bytes, transactions and relations
    /// that they need. `indices` must be ascending and below ``changeCount``.
    ///
    /// Throws ``ChangeBatchError/tooLarge`` only where this batch itself could not have been made.
    public func selecting(
        _ indices: [Int], checkpoint: SourceCheckpoint
    ) throws(ChangeBatchError) -> ChangeBatch {
        var byteCount = 0
        for index in indices {
            let change = change(at: index)
            byteCount += Int(change.before.length) + Int(change.after.length)
        }
        // What one change needs may be kept for long: it must not hold room for a whole batch.
        var builder = ChangeBatchBuilder(capacity: min(byteCount + 256, 1 << 20))
        var transactionPlaces = [UInt32?](repeating: nil, count: transactionCount)
        var relationPlaces = [UInt32?](repeating: nil, count: relations.count)
        for index in indices {
            var change = change(at: index)
            let transaction = Int(change.transaction)
            let relation = Int(change.relation)
            let transactionPlace =
                transactionPlaces[transaction] ?? copy(self.transaction(at: transaction), to: &builder)
            let relationPlace = relationPlaces[relation] ?? builder.index(of: relations[relation])
            transactionPlaces[transaction] = transactionPlace
            relationPlaces[relation] = relationPlace
            change.transaction = transactionPlace
            change.relation = relationPlace
            if !change.before.isEmpty { change.before = builder.append(tuple: tuple(change.before)) }
            if !change.after.isEmpty { change.after = builder.append(tuple: tuple(change.after)) }
            builder.append(change)
        }
        return try builder.seal(
            checkpoint: checkpoint, mustBeDurableBeforeDelivery: mustBeDurableBeforeDelivery)
    }
    /// Begins a transaction of this batch in another one, with what the application said about it.
    public func copy(_ transaction: TransactionInfo, to builder: inout ChangeBatchBuilder) -> UInt32 {
        var transaction = transaction
        if !transaction.context.isEmpty { transaction.context = builder.append(context: tuple(transaction.context)) }
        return builder.begin(transaction)
    }
}
