import ByteKit
import ChangeModel

private let relations = (0..<3).map { Relation(sourceID: $0, schema: "s", name: "t\($0)", columns: []) }

/// A damaged batch is an error, or everything in it can be read.
@_cdecl("LLVMFuzzerTestOneInput")
public func changeBatchFuzz(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = RawSpan(_unsafeStart: start, byteCount: count)
    read(FrozenBytes(copying: input))
    read(withFittingFooter(input))
    return 0
}

/// The input with a footer whose parts add up to the whole, so that the descriptors are looked at.
private func withFittingFooter(_ input: RawSpan) -> FrozenBytes {
    var reader = ByteReader(input)
    let (transactions, changes) = (Int(reader.byte() ?? 0) % 4, Int(reader.byte() ?? 0) % 8)
    let content = reader.remaining
    let arena = max(0, content - transactions * 24 - changes * 32)
    var buffer = OutputBuffer(capacity: content + 512)
    if let rest = reader.take(content) { buffer.append(rest) }
    while buffer.count < arena + transactions * 24 + changes * 32 { buffer.append(0) }
    for field in [arena, transactions, changes, relations.count] { buffer.append(littleEndian: UInt32(field)) }
    buffer.append(littleEndian: UInt64(0))
    buffer.append("MLRBTCH1")
    return buffer.freeze()
}

private func read(_ body: FrozenBytes) {
    guard let batch = try? ChangeBatch(decoding: body, relations: relations) else { return }
    for index in 0..<batch.transactionCount { _ = batch.transaction(at: index) }
    for index in 0..<batch.changeCount {
        let change = batch.change(at: index)
        _ = (batch.identity(at: index), batch.relations[Int(change.relation)], change.operation, change.beforeImage)
        readTuple(batch.tuple(change.before))
        readTuple(batch.tuple(change.after))
    }
}

private func readTuple(_ tuple: RawSpan) {
    guard var reader = TupleReader(tuple) else { return }
    for _ in 0..<reader.columnCount {
        guard let value = reader.next() else { return }
        precondition(value.bytes.byteCount <= tuple.byteCount)
    }
}
