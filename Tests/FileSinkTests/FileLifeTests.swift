import ConnectorKit
import Foundation
import Testing

@testable import FileSink

/// A log that was put back to an older copy: what later runs wrote to the files stays.
struct FileLifeTests {
    private let folder: SinkFolder
    private let store = CursorStore()

    init() throws { folder = try SinkFolder() }

    /// How the sink lays out its files.
    enum Layout: CaseIterable {
        case plain, compressed, rotated, compressedAndRotated

        var compression: Compression { self == .plain || self == .rotated ? .none : .gzip }

        func chosen(_ folder: String, finishes: Bool) throws -> FileSettings {
            let rotate: [String: SettingValue] = ["size": .size(1 << 20), "finish_on_stop": .flag(finishes)]
            let isRotated = self == .rotated || self == .compressedAndRotated
            return try settings(
                folder + "/{table}.jsonl", rotate: isRotated ? rotate : nil, compress: compression)
        }
    }

    private func opened(
        _ layout: Layout, _ store: CursorStore? = nil, finishes: Bool = false, isKilledAtTheState: Bool = false,
        fault: FileFault? = nil
    ) async throws -> FileSink {
        let sink = FileSink(try layout.chosen(folder.path, finishes: finishes), fault: fault)
        var context = (store ?? self.store).context(log: "1")
        if isKilledAtTheState {
            let save = context.saveState
            context.saveState = { state throws(ConnectorFailure) in
                try await save(state)
                throw ConnectorFailure("test.killed", .stop, "the state is stored and nothing else is done")
            }
        }
        try await sink.open(context)
        return sink
    }

    private func write(_ sink: FileSink, _ lines: [String], _ store: CursorStore? = nil) async throws {
        let store = store ?? self.store
        let next = store.last.cursor + UInt64(lines.count)
        let events = lines.map { TestEvent(line: $0) }
        store.store(try await sink.write(recordBatch(events, nextOffset: next), .required))
    }

    /// A run of the sink from its start to its end.
    private func run(
        _ layout: Layout, _ lines: [String], _ store: CursorStore? = nil, finishes: Bool = false
    ) async throws {
        let sink = try await opened(layout, store, finishes: finishes)
        try await write(sink, lines, store)
        try await sink.finish()
        await sink.close()
    }

    /// Writes what no cursor ever covers, as a kill before the receipt leaves it.
    private func runAndDie(_ layout: Layout, _ lines: [String]) async throws {
        let sink = try await opened(layout)
        let next = store.last.cursor + UInt64(lines.count)
        _ = try await sink.write(recordBatch(lines.map { TestEvent(line: $0) }, nextOffset: next), .required)
        await sink.close()
    }

    private func copyOfLog() -> CursorStore {
        let copy = CursorStore()
        copy.store(.durable(before: store.last.cursor, state: store.last.state))
        return copy
    }

    private func contents() throws -> [String: [UInt8]] {
        Dictionary(uniqueKeysWithValues: try folder.names().map { ($0, try folder.bytes($0)) })
    }

    private func lines(_ layout: Layout) throws -> [String] {
        let names = try folder.names().filter { !$0.hasSuffix(".manifest") }
        return try folder.text(of: names, layout.compression).split(separator: "\n").map(String.init)
    }

    private func expectRefused(_ layout: Layout, _ old: CursorStore) async throws {
        let (before, states) = (try contents(), old.durableStateCount)
        for _ in 0..<2 {
            #expect(await failureCode { _ = try await opened(layout, old) } == "file.newer_than_log")
            #expect(try contents() == before)
        }
        #expect(old.durableStateCount == states)
        #expect(try doctor(layout, old).filter { $0.level == .problem }.map(\.code) == ["file.newer_than_log"])
    }

    private func doctor(_ layout: Layout, _ store: CursorStore) throws -> [Finding] {
        let known = KnownSink(name: "archive", log: "1", state: store.last.state, nextOffset: store.last.cursor)
        return FileDoctor.findings(try layout.chosen(folder.path, finishes: false), known)
    }

    @Test(arguments: Layout.allCases, [false, true])
    func anOldCopyOfTheLogChangesNoFileAndTheNewerLogGoesOn(layout: Layout, finishes: Bool) async throws {
        try await run(layout, ["1", "2"])
        let old = copyOfLog()
        try await run(layout, ["3"], finishes: finishes)
        try await run(layout, ["4", "5"])
        try await expectRefused(layout, old)
        #expect(try doctor(layout, store).allSatisfy { $0.level < .problem })
        try await run(layout, ["6"])
        #expect(try lines(layout) == ["1", "2", "3", "4", "5", "6"])
    }

    /// Every event was delivered once more.
    @Test(arguments: Layout.allCases, [false, true])
    func anOldCopyOfBeforeTheSinkWasAddedDeliversNothingTwice(layout: Layout, finishes: Bool) async throws {
        let old = copyOfLog()
        try await run(layout, ["1", "2"], finishes: finishes)
        let before = try contents()
        for _ in 0..<2 {
            let sink = try await opened(layout, old)
            #expect(await failureCode { try await write(sink, ["1", "2"], old) } == "file.newer_than_log")
            await sink.close()
            #expect(try contents() == before)
        }
        try await run(layout, ["3"])
        #expect(try lines(layout) == ["1", "2", "3"])
    }

    @Test(arguments: Layout.allCases)
    func aSinkThatWasKilledBeforeItsFirstReceiptBeginsAgain(layout: Layout) async throws {
        try await runAndDie(layout, ["1"])
        try await runAndDie(layout, ["1", "2"])
        try await run(layout, ["1", "2"])
        #expect(try lines(layout) == ["1", "2"])
    }

    @Test(arguments: Layout.allCases)
    func whatAnUnknownRunLeftBehindItsCursorIsNotCutByAnOldCopy(layout: Layout) async throws {
        try await run(layout, ["1"])
        let old = copyOfLog()
        try await runAndDie(layout, ["2", "3"])
        try await expectRefused(layout, old)
        try await run(layout, ["2", "3", "4"])
        #expect(try lines(layout) == ["1", "2", "3", "4"])
    }

    @Test(arguments: Layout.allCases)
    func oldCopyGoesOnInNewFilesOnceTheOthersAreMovedAwayAndIsTheNewerOneThen(layout: Layout) async throws {
        try await run(layout, ["1"])
        let old = copyOfLog()
        try await run(layout, ["2"])
        let names = try folder.names()
        let away = try SinkFolder()
        for name in names { #expect(rename("\(folder.path)/\(name)", "\(away.path)/\(name)") == 0) }
        try await run(layout, ["b2"], old)
        try await run(layout, ["b3"], old)
        #expect(try lines(layout) == ["b2", "b3"])
        #expect(try away.text(of: names, layout.compression) == "1\n2\n")
        if layout == .plain || layout == .compressed {
            // The name is the same: the log that knows nothing of the new file is the older one now.
            try await expectRefused(layout, store)
        }
    }

    @Test(arguments: Layout.allCases)
    func aKillBetweenTheStateItsMarkAndTheCutStartsAgain(layout: Layout) async throws {
        try await run(layout, ["1"])
        try await runAndDie(layout, ["2"])
        for _ in 0..<3 {
            #expect(
                await failureCode { _ = try await opened(layout, isKilledAtTheState: true) } == "test.killed")
        }
        for _ in 0..<3 {
            let fault: FileFault = { $0 == .cut ? EIO : 0 }
            #expect(await failureCode { _ = try await opened(layout, fault: fault) } == "file.io_error")
        }
        for _ in 0..<3 {
            let sink = try await opened(layout, fault: { $0 == .write ? EIO : 0 })
            #expect(await failureCode { try await write(sink, ["2"]) } == "file.io_error")
            await sink.close()
        }
        try await run(layout, ["2"])
        try await run(layout, ["3"])
        #expect(try lines(layout) == ["1", "2", "3"])
    }

    @Test func aManifestThatGrewInUnknownRunsIsNotCutByAnOldCopy() async throws {
        try await run(.rotated, ["1"])
        // Killed once the state says what is about to be finished.
        let sink = try await opened(.rotated, finishes: true, fault: { $0 == .rename ? EIO : 0 })
        #expect(await failureCode { try await sink.finish() } == "file.io_error")
        await sink.close()
        #expect(try FileState(decoding: store.last.state ?? []).manifests.count == 1)
        let old = copyOfLog()
        for line in ["2", "3"] { try await run(.rotated, [line], finishes: true) }
        #expect(try folder.manifest().count == 3)
        try await expectRefused(.rotated, old)
        // What the sink finds there is never cut, also where the refusal came too early to see it.
        let path = folder.path + "/_archive.manifest"
        let state = try FileState(decoding: old.last.state ?? [])
        let mark = WriterMark(log: "1", pipeline: "shop", sink: "archive", life: .max, knownLife: state.life)
        let listed = try #require(state.manifests.first)
        let line = (text: "{}\n", isThere: true)
        let before = try String(contentsOfFile: path, encoding: .utf8)
        try FileManifest.append([line], to: listed, mark, nil)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == before + line.text)
    }

    @Test func aFileThatTheOldCopyDoesNotKnowIsNotWrittenToEither() async throws {
        func events(_ table: String, _ line: String) -> [TestEvent] { [TestEvent(line: line, table: table)] }
        try await run(.plain, ["1"])
        let old = copyOfLog()
        var sink = try await opened(.plain)
        store.store(try await sink.write(recordBatch(events("other", "2"), nextOffset: 2), .required))
        await sink.close()
        sink = try await opened(.plain, old)
        #expect(
            await failureCode { _ = try await sink.write(recordBatch(events("other", "b"), nextOffset: 2), .required) }
                == "file.newer_than_log")
        #expect(try folder.content("other.jsonl") == "2\n")
    }

    @Test func statesAndMarksOfEarlierVersionsAreTakenAsBefore() async throws {
        try await run(.plain, ["1"])
        try await runAndDie(.plain, ["2"])
        var state = try FileState(decoding: store.last.state ?? [])
        state.life = 0
        store.store(.durable(before: store.last.cursor, state: state.encoded))
        let descriptor = open(folder.path + "/orders.jsonl", O_RDWR)
        WriterMark(log: "1", pipeline: "shop", sink: "archive", life: 0).put(on: descriptor)
        close(descriptor)
        let old = copyOfLog()
        try await run(.plain, ["2"])
        #expect(try lines(.plain) == ["1", "2"])
        // From then on the log is newer than a copy of before.
        try await expectRefused(.plain, old)
    }

    @Test func aCursorThatWasMovedBackIsNoOldCopy() async throws {
        try await run(.plain, ["1"])
        try await run(.plain, ["2"])
        store.store(.durable(before: 0, state: nil))
        try await run(.plain, ["1", "2"])
        #expect(try lines(.plain) == ["1", "2", "1", "2"])
    }
}
