import ChangeModel
import Testing

/// Descriptors are stored on disk as they lie in memory, so their layout is a file format.
@Suite struct RowChangeTests {
    @Test func sizesAreStable() {
        #expect(MemoryLayout<RowChange>.size == 32)
        #expect(MemoryLayout<RowChange>.stride == 32)
        #expect(MemoryLayout<TransactionInfo>.size == 32)
        #expect(MemoryLayout<TransactionInfo>.stride == 32)
        #expect(MemoryLayout<ByteRange>.size == 8)
        #expect(MemoryLayout<ByteRange>.stride == 8)
    }

    @Test func rowChangeLiesInMemoryAsDocumented() {
        let change = RowChange(
            operation: .delete, relation: 0x0102_0304, transaction: 0x0506_0708, ordinal: 0x090A_0B0C,
            beforeImage: .full,
            before: ByteRange(offset: 0x1112_1314, length: 0x1516_1718),
            after: ByteRange(offset: 0x2122_2324, length: 0x2526_2728))
        let bytes = withUnsafeBytes(of: change) { Array($0) }
        #expect(
            bytes == [
                3, 2, 0, 0, 4, 3, 2, 1, 8, 7, 6, 5, 0xC, 0xB, 0xA, 9,
                0x14, 0x13, 0x12, 0x11, 0x18, 0x17, 0x16, 0x15, 0x24, 0x23, 0x22, 0x21, 0x28, 0x27, 0x26, 0x25,
            ])
        #expect(MemoryLayout<RowChange>.offset(of: \.relation) == 4)
        #expect(MemoryLayout<RowChange>.offset(of: \.transaction) == 8)
        #expect(MemoryLayout<RowChange>.offset(of: \.ordinal) == 12)
        #expect(MemoryLayout<RowChange>.offset(of: \.before) == 16)
        #expect(MemoryLayout<RowChange>.offset(of: \.after) == 24)
    }

    @Test func transactionInfoLiesInMemoryAsDocumented() {
        let info = TransactionInfo(
            commit: 0x0102_0304_0506_0708, id: 9, committedAt: -1, context: ByteRange(offset: 0x0102, length: 3))
        let bytes = withUnsafeBytes(of: info) { Array($0) }
        #expect(
            bytes == [8, 7, 6, 5, 4, 3, 2, 1, 9, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0xFF, count: 8)
                + [2, 1, 0, 0, 3, 0, 0, 0])
        #expect(MemoryLayout<TransactionInfo>.offset(of: \.commit) == 0)
        #expect(MemoryLayout<TransactionInfo>.offset(of: \.id) == 8)
        #expect(MemoryLayout<TransactionInfo>.offset(of: \.committedAt) == 16)
        #expect(MemoryLayout<TransactionInfo>.offset(of: \.context) == 24)
    }

    @Test func codesOnDiskAreStable() {
        #expect(Operation.allCases.map(\.rawValue) == [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(
            Operation.allCases.map(\.name.description) == [
                "insert", "update", "delete", "truncate", "snapshot", "message", "begin", "commit",
            ])
        #expect([ChangeFlags.cascades, .restartsIdentity].map(\.rawValue) == [1, 2])
        #expect([BeforeImage.none, .key, .full].map(\.rawValue) == [0, 1, 2])
        for operation in Operation.allCases {
            for image in [BeforeImage.none, .key, .full] {
                let change = RowChange(
                    operation: operation, relation: 0, transaction: 0, ordinal: 0, beforeImage: image)
                #expect(change.operation == operation)
                #expect(change.beforeImage == image)
            }
        }
    }

    @Test func rangesDoNotOverflow() {
        let range = ByteRange(offset: .max, length: .max)
        #expect(range.indices == Int(UInt32.max)..<(2 * Int(UInt32.max)))
        #expect(ByteRange.empty.isEmpty)
        #expect(!range.isEmpty)
    }
}
