import ConnectorKit
import Testing

@testable import FileSink

struct FileStateTests {
    @Test func aStateReadsBackAsItWas() throws {
        var state = FileState()
        state.entries = [
            FileState.Entry(path: "out/größe.jsonl", length: 12, device: 1, inode: .max),
            FileState.Entry(path: "", length: .max, device: 0, inode: 0),
        ]
        #expect(try FileState(decoding: state.encoded) == state)
        #expect(try FileState(decoding: FileState().encoded) == FileState())
    }

    @Test func everyPrefixAndEveryOtherByteIsAnErrorOrAStateButNoTrap() {
        var state = FileState()
        state.entries = [FileState.Entry(path: "out/a.jsonl", length: 5, device: 2, inode: 3)]
        let bytes = state.encoded
        for length in 0..<bytes.count {
            #expect(throws: ConnectorFailure.self) { try FileState(decoding: Array(bytes.prefix(length))) }
        }
        for place in bytes.indices {
            for bit in 0..<8 {
                var damaged = bytes
                damaged[place] ^= 1 << UInt8(bit)
                _ = try? FileState(decoding: damaged)
            }
        }
        #expect(throws: ConnectorFailure.self) { try FileState(decoding: [99] + bytes.dropFirst()) }
    }
}
