internal import ByteKit
internal import ChangeModel

extension ChangeDecoder {
    /// A change that belongs into the batch, and the places that its descriptor needs.
    struct Place {
        var relation: UInt32
        var transaction: UInt32
        var ordinal: UInt32
    }

    mutating func take(_ insert: borrowing InsertMessage) throws(WireError) {
        guard let place = try place(ofChangeIn: insert.relationID, insert.newTuple) else { return }
        if relations[currentPlace].keyRound != keyRound { noteKey() }
        let after = copy(insert.newTuple)
        if let snapshots, snapshots.isActive, let relation = relations[currentPlace].relation {
            snapshots.inserted(builder.tuple(after), relation)
        }
        builder.append(
            RowChange(
                operation: .insert, relation: place.relation, transaction: place.transaction, ordinal: place.ordinal,
                after: after))
    }

    mutating func take(_ update: borrowing UpdateMessage) throws(WireError) {
        guard let place = try place(ofChangeIn: update.relationID, update.newTuple) else { return }
        if relations[currentPlace].keyRound != keyRound { noteKey() }
        var before = ByteRange.empty
        if update.oldImage != .none {
            try checkWidth(update.oldTuple)
            before = copy(update.oldTuple)
        }
        let after = copy(update.newTuple)
        if let snapshots, snapshots.isActive, let relation = relations[currentPlace].relation {
            snapshots.updated(builder.tuple(before), update.oldImage, builder.tuple(after), relation)
        }
        builder.append(
            RowChange(
                operation: .update, relation: place.relation, transaction: place.transaction, ordinal: place.ordinal,
                beforeImage: update.oldImage, before: before, after: after))
    }

    mutating func take(_ delete: borrowing DeleteMessage) throws(WireError) {
        guard let place = try place(ofChangeIn: delete.relationID, delete.oldTuple) else { return }
        if relations[currentPlace].keyRound != keyRound { noteKey() }
        let before = copy(delete.oldTuple)
        if let snapshots, snapshots.isActive, let relation = relations[currentPlace].relation {
            snapshots.deleted(builder.tuple(before), delete.oldImage, relation)
        }
        builder.append(
            RowChange(
                operation: .delete, relation: place.relation, transaction: place.transaction, ordinal: place.ordinal,
                beforeImage: delete.oldImage, before: before))
    }

    /// One statement that emptied several tables is several changes.
    mutating func take(_ truncate: TruncateMessage) throws(WireError) {
        for id in truncate.relationIDs {
            guard let place = try place(ofChangeIn: id, nil) else { continue }
            if let snapshots, snapshots.isActive, let relation = relations[currentPlace].relation {
                snapshots.truncated(relation)
            }
            noteEmptied()
            builder.append(
                RowChange(
                    operation: .truncate, relation: place.relation, transaction: place.transaction,
                    ordinal: place.ordinal, flags: truncate.flags))
        }
    }

    /// Takes note of the name under which the current relation is changed, captured or not.
    @inline(never)
    private mutating func noteName() {
        relations[currentPlace].isNameMet = true
        snapshots?.changes(NamedChange(relations[currentPlace], LSN(transaction?.info.commit ?? 0)), &progress)
    }

    /// Takes note of the key under which rows of the current relation are told.
    @inline(never)
    private mutating func noteKey() {
        relations[currentPlace].keyRound = keyRound
        guard let relation = relations[currentPlace].relation else { return }
        snapshots?.tells(relation, &progress)
    }

    /// Takes note that consumers are told to forget the current relation.
    private mutating func noteEmptied() {
        keyRound &+= 1
        guard let relation = relations[currentPlace].relation else { return }
        snapshots?.empties(relation, &progress)
    }

    /// Keeps a relation that was announced; one with the same oid is replaced.
    mutating func remember(_ message: RelationMessage, _ relation: Relation?) {
        snapshots?.announced(message, relation)
        var known = KnownRelation(
            id: message.relationID, relation: relation, name: message.qualifiedName, columnCount: message.columns.count)
        if let relation, relation.columns.count < message.columns.count {
            let names = Set(relation.columns.map(\.name))
            known.kept = message.columns.map { names.contains($0.name) }
        }
        if let place = relationPlaces[message.relationID] {
            relations[place] = known
        } else {
            relationPlaces[message.relationID] = relations.count
            relations.append(known)
        }
    }

    /// Counts a change and finds where it belongs. Nil when it is not for us: its table is not captured, or it is in
    /// the log already.
    @inline(__always)
    private mutating func place(ofChangeIn id: UInt32, _ tuple: RawSpan?) throws(WireError) -> Place? {
        guard let open = transaction else { throw .outOfPlace("a row") }
        try moveToRelation(id)
        if let snapshots, snapshots.isActive { snapshots.touched() }
        if let tuple { try checkWidth(tuple) }
        guard open.nextOrdinal < ChangeIdentity.commitOrdinal else { throw .tooManyChanges }
        transaction?.nextOrdinal = open.nextOrdinal &+ 1
        transaction?.hasRows = true
        let identity = ChangeIdentity(commit: open.info.commit, ordinal: open.nextOrdinal)
        guard relations[currentPlace].relation != nil else {
            if !relations[currentPlace].isNameMet, !progress.isLogged(identity) { noteName() }
            return nil
        }
        if choice.marksTransactions { countInBoundary(place: currentPlace) }
        if progress.isLogged(identity) { return nil }
        if !relations[currentPlace].isNameMet { noteName() }
        progress.took(identity)
        return Place(relation: relationIndex(), transaction: transactionIndex(), ordinal: open.nextOrdinal)
    }

    /// Rows of one table mostly follow each other, so the place of the last row is tried first.
    @inline(__always)
    private mutating func moveToRelation(_ id: UInt32) throws(WireError) {
        if currentPlace < relations.count, relations[currentPlace].id == id { return }
        guard let place = relationPlaces[id] else { throw .unknownRelation(id) }
        currentPlace = place
    }

    @inline(__always)
    private mutating func relationIndex() -> UInt32 {
        if relations[currentPlace].batchNumber == batchNumber { return relations[currentPlace].index }
        return addRelationToBatch()
    }

    @inline(never)
    private mutating func addRelationToBatch() -> UInt32 {
        guard let relation = relations[currentPlace].relation else { return 0 }
        let index = builder.index(of: relation)
        relations[currentPlace].index = index
        relations[currentPlace].batchNumber = batchNumber
        return index
    }

    /// The open transaction's index in the batch that is being filled.
    @inline(__always)
    mutating func transactionIndex() -> UInt32 { transaction?.index ?? beginInBatch() }

    @inline(never)
    private mutating func beginInBatch() -> UInt32 {
        guard var info = transaction?.info else { return 0 }
        let context = context
        if !context.isEmpty { info.context = builder.append(context: context.rawBytes) }
        let index = builder.begin(info)
        transaction?.index = index
        return index
    }

    @inline(__always)
    private func checkWidth(_ tuple: RawSpan) throws(WireError) {
        var reader = ByteReader(tuple)
        let values = Int(reader.bigEndian(UInt16.self) ?? 0)
        let columns = relations[currentPlace].columnCount
        guard values == columns else {
            throw .columnCount(relation: relations[currentPlace].id, columns: columns, values: values)
        }
    }

    @inline(__always)
    private mutating func copy(_ tuple: RawSpan) -> ByteRange {
        if relations[currentPlace].kept != nil { return copyKeptValues(tuple) }
        return checksText && !Self.isText(tuple) ? copyMarkingMalformedText(tuple) : builder.append(tuple: tuple)
    }

    /// True when the whole tuple is UTF-8. Lengths and kinds may hold bytes above 127, so values are looked at one by
    /// one.
    private static func isText(_ tuple: RawSpan) -> Bool {
        guard var reader = TupleReader(tuple) else { return false }
        for _ in 0..<reader.columnCount {
            guard let value = reader.next(), UTF8Check.isValid(value.bytes) else { return false }
        }
        return true
    }

    /// Leaves out the values of columns that are not captured.
    private mutating func copyKeptValues(_ tuple: RawSpan) -> ByteRange {
        guard let kept = relations[currentPlace].kept, var reader = TupleReader(tuple) else { return .empty }
        let checksText = checksText
        let columnCount = relations[currentPlace].relation?.columns.count ?? 0
        return builder.appendTuple(columnCount: columnCount) { (output: inout OutputBuffer) in
            for isKept in kept {
                guard let value = reader.next() else { return }
                if isKept { Self.append(value, to: &output, checksText: checksText) }
            }
        }
    }

    private static func append(_ value: borrowing TupleValue, to output: inout OutputBuffer, checksText: Bool) {
        let isMalformed = checksText && value.kind == ValueKind.text && !UTF8Check.isValid(value.bytes)
        output.append(isMalformed ? ValueKind.malformedText : value.kind)
        guard ValueKind.hasBytes(value.kind) else { return }
        output.append(bigEndian: Int32(clamping: value.bytes.byteCount))
        output.append(value.bytes)
    }

    /// A database with the encoding SQL_ASCII stores any bytes as text; what is not UTF-8 is marked as such.
    private mutating func copyMarkingMalformedText(_ tuple: RawSpan) -> ByteRange {
        guard var reader = TupleReader(tuple) else { return .empty }
        return builder.appendTuple(columnCount: reader.columnCount) { (output: inout OutputBuffer) in
            for _ in 0..<reader.columnCount {
                guard let value = reader.next() else { return }
                Self.append(value, to: &output, checksText: true)
            }
        }
    }
}
