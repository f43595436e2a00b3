import ByteKit
import ChangeModel
import ConnectorKit
import EventFormat

/// Whatever the text of a structured value is, the event is JSON in one line. The first byte chooses the shape.
@_cdecl("LLVMFuzzerTestOneInput")
public func structureFuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    guard count > 0 else { return 0 }
    let text = RawSpan(_unsafeStart: start + 1, byteCount: count - 1)
    let version = versions[Int(start[0]) % versions.count]
    var builder = ChangeBatchBuilder(capacity: 256)
    let index = builder.index(of: version.relation)
    let transaction = builder.begin(TransactionInfo(commit: 1, id: 1, committedAt: 0))
    let after = builder.appendTuple(columnCount: 1) { (output: inout OutputBuffer) in
        output.append(ValueKind.text)
        output.append(bigEndian: Int32(text.byteCount))
        output.append(text)
    }
    builder.append(RowChange(operation: .insert, relation: index, transaction: transaction, ordinal: 0, after: after))
    let batch = try? builder.seal(checkpoint: SourceCheckpoint(last: nil, resume: ResumePosition(1)))
    let records = batch.flatMap { try? encode($0, version) }
    precondition(records?.records.count == 1, "a change without an event")
    guard let records, let record = records.records.first else { return 0 }
    let event = records.payload(of: record)
    var checked = OutputBuffer(capacity: 16)
    precondition(checked.append(embeddedJSON: event, depthMax: 128) && checked.bytes.hasSameBytes(as: event))
    return 0
}

private func encode(_ batch: ChangeBatch, _ version: RelationVersion) throws(EncodingFailure) -> RecordBatch {
    try encoder.encode(
        batch, versions: [version], firstOffset: 0, from: 0, bytesMax: .max, including: { _ in true }
    ).records
}

private nonisolated(unsafe) let encoder = EventEncoder(pipelineName: "p", sourceKind: "postgres", format: .cloudEvents)

private nonisolated(unsafe) let versions: [RelationVersion] = {
    let types: [ValueType] = [.int32, .text, .bytes, .boolean, .float64, .timestampTZ]
    let parts = types.map { PartType(type: $0, typeName: "t") } + [PartType(type: .json, typeName: "j", shape: .json)]
    let pair = TypeShape.composite([
        TypeField(name: "a", type: parts[1]), TypeField(name: "b", type: parts[0]),
        TypeField(name: "c", type: PartType(type: .other, typeName: "l", shape: .array(of: parts[1], delimiter: 44))),
    ])
    var shapes: [TypeShape] = [.json, pair, .composite([])]
    for part in parts + [PartType(type: .other, typeName: "p", shape: pair)] {
        shapes += [.array(of: part, delimiter: 44), .vector(of: part), .range(of: part), .multirange(of: part)]
        shapes.append(
            .array(of: PartType(type: .other, typeName: "r", shape: .range(of: part)), delimiter: 59))
    }
    return shapes.enumerated().map { number, shape in
        let key = number % 2 == 0 ? 0 : nil
        let columns = [Column(name: "c", type: .other, typeName: "t", keyPosition: key, shape: shape)]
        let relation = Relation(sourceID: 1, schema: "s", name: "t", columns: columns)
        return RelationVersion(id: Int64(number), relation: relation, subject: "s", version: 1)
    }
}()
