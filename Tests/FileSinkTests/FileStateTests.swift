import ConnectorKit
import Testing

@testable import FileSink

struct FileStateTests {
    @Test func aStateReadsBackAsItWas() throws {
        var state = FileState()
        state.entries = [
            FileState.Entry(path: "out/größe.jsonl", extent: Extent(length: 12), device: 1, inode: .max),
            FileState.Entry(path: "", extent: Extent(length: .max), device: 0, inode: 0),
        ]
        #expect(try FileState(decoding: state.encoded) == state)
        #expect(try FileState(decoding: FileState().encoded) == FileState())
    }

    @Test func everyPrefixAndEveryOtherByteIsAnErrorOrAStateButNoTrap() {
        for var state in [plain, rotated] {
            tryDamaged(state)
            state.life = .max
            tryDamaged(state)
        }
    }

    private var plain: FileState {
        var state = FileState()
        state.entries = [FileState.Entry(path: "out/a.jsonl", extent: Extent(length: 5), device: 2, inode: 3)]
        return state
    }

    private var rotated: FileState {
        var state = FileState()
        state.coveredBefore = 77
        state.manifests = [FileState.Manifest(path: "out/_a.manifest", length: 9, device: 1, inode: 2)]
        let extent = Extent(
            length: 50, ending: [1, 0, 0], checksum: 0xFFFF_FFFF, recordCount: 3, firstOffset: 70, lastOffset: 76)
        let part = RotatedPart(
            finalPath: "out/a-1.jsonl.zst", lane: "out/a-\u{0}.jsonl.zst", signature: "s", begunAt: -5,
            periodEnd: .max, finishedAt: 8)
        state.entries = [
            FileState.Entry(path: "out/a", extent: extent, device: 1, inode: 2, header: 3, part: part)
        ]
        return state
    }

    @Test func aStateOfRotatedFilesReadsBackAsItWas() throws {
        #expect(try FileState(decoding: rotated.encoded) == rotated)
        #expect(rotated.encoded[0] == 2)
    }

    @Test func theStateOfThePreviousVersionIsReadAndStillWrittenForPlainFiles() throws {
        let stored: [UInt8] =
            [1] + [0, 0, 0, 0, 0, 0, 0, 1] + [0, 0, 0, 0, 0, 0, 0, 5] + [0, 0, 0, 0, 0, 0, 0, 2]
            + [0, 0, 0, 0, 0, 0, 0, 3] + [0, 0, 0, 0, 0, 0, 0, 11] + Array("out/a.jsonl".utf8)
        #expect(try FileState(decoding: stored) == plain)
        #expect(plain.encoded == stored)
    }

    /// They take the life for a file that is not there.
    @Test func theLifeIsKeptInAFormThatEarlierVersionsRead() throws {
        for state in [plain, rotated] {
            var living = state
            living.life = 1_795_000_000_000_000
            #expect(living.encoded[0] == state.encoded[0])
            #expect(try FileState(decoding: living.encoded) == living)
            var entry = state
            entry.entries.append(FileState.Entry(path: "", device: 0, inode: living.life))
            #expect(living.encoded == entry.encoded)
        }
    }

    private func tryDamaged(_ state: FileState) {
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
