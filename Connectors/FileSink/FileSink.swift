import ByteKit
import ChangeModel
package import ConnectorKit
import Glibc

/// Writes records as lines of JSON, each file exactly once per event, whatever kills the process or the machine.
///
/// The state beside the cursor lists every file with the length that the cursor covers. Before a file is written to for
/// the first time it is listed, durably; before a receipt says "durable", data and then names are synced. So after any
/// interruption each listed file can be cut back to its covered length, and what is written again begins exactly there.
/// While a sink runs, nobody else may write to its files; moving them away is allowed.
package actor FileSink: EventSink {
    /// Open descriptors at a time. Beyond it the least recently used file is closed.
    package static let descriptorsMax = 128
    /// Files that the state remembers; one that is forgotten is taken up again as it is found.
    package static let entriesMax = 1024

    private let thread = BlockingThread(name: "file-sink")
    /// The sink's own thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    private let settings: FileSettings
    private var context: SinkContext?
    private var files: [String: OutputFile] = [:]
    /// The files that the current batch goes to.
    private var touched: [OutputFile] = []
    private var openCount = 0
    private var batchNumber: UInt64 = 0
    /// Folders with names that may not be durable yet.
    private var unsyncedFolders: Set<String> = []
    /// True when the next receipt must bring a state.
    private var hasNewLengths = false

    private static let tornWrite = HaltPoint("file.torn_write")
    private static let beforeSync = HaltPoint("file.before_sync")
    private static let afterSync = HaltPoint("file.after_sync")

    /// A sink for checked settings.
    package init(_ settings: FileSettings) { self.settings = settings }

    /// Cuts the files back to what the cursor covers.
    package func open(_ context: SinkContext) async throws(ConnectorFailure) {
        forgetFiles()
        blockBrokenPipeSignal()
        let state = if let bytes = context.state { try FileState(decoding: bytes) } else { FileState() }
        do {
            for entry in state.entries {
                if let file = try OutputFile.recover(entry) { files[file.path] = file }
            }
        } catch {
            throw error.of(context.name)
        }
        self.context = context
    }

    /// Appends the records to their files. A file's lines are in log order; each file gets one call of write(2) per
    /// batch.
    package func write(
        _ batch: RecordBatch, _ durability: Durability
    ) async throws(ConnectorFailure) -> DeliveryReceipt {
        guard let context else { throw FileSink.notOpen }
        do {
            try await append(batch, context)
            guard durability == .required else { return .accepted }
            try sync()
        } catch {
            // What is in the files is now uncertain: only opening again, which cuts them back, may be followed by
            // writes.
            forgetFiles()
            throw error.of(context.name)
        }
        return .durable(before: batch.nextOffset, state: takeState())
    }

    /// Closes all files. What no receipt covers is cut off at the next ``open(_:)``, and written again.
    package func close() async { forgetFiles() }

    private func append(_ batch: RecordBatch, _ context: SinkContext) async throws(ConnectorFailure) {
        batchNumber += 1
        try assign(batch)
        try await list(context)
        for file in touched {
            try ready(file)
            guard file.isListed else { throw FileFailure.changedOutside(file.path) }
            try file.writePending(of: batch.body, torn: Self.tornWrite)
            if !file.isStream { hasNewLengths = true }
        }
    }

    // MARK: Which record goes where

    /// Collects for each file the runs of lines that go to it. Lines of one file that lie behind each other are one
    /// run.
    private func assign(_ batch: RecordBatch) throws(ConnectorFailure) {
        touched.removeAll(keepingCapacity: true)
        var routes = [Route?](repeating: nil, count: batch.topics.count)
        var run = 0..<0
        var runTopic = -1
        var runTimes: Range<Int64> = 0..<0
        for record in batch.records {
            let line = try Self.line(of: record, in: batch)
            let topic = Int(record.topic)
            if topic == runTopic, line.lowerBound == run.upperBound, runTimes.contains(record.committedAt) {
                run = run.lowerBound..<line.upperBound
                continue
            }
            if runTopic >= 0 { routes[runTopic]?.file.pending.append(run) }
            if routes[topic]?.times.contains(record.committedAt) != true {
                routes[topic] = route(batch.topics[topic], record.committedAt)
            }
            (run, runTopic, runTimes) = (line, topic, routes[topic]?.times ?? 0..<0)
        }
        if runTopic >= 0 { routes[runTopic]?.file.pending.append(run) }
    }

    /// The bytes of a record with the line feed behind it, once they are seen to be there.
    private static func line(of record: Record, in batch: RecordBatch) throws(ConnectorFailure) -> Range<Int> {
        let start = Int(record.payload.offset)
        let end = start + Int(record.payload.length) + 1
        guard record.topic < UInt32(clamping: batch.topics.count), end <= batch.body.count,
            batch.body.load(at: end - 1, as: UInt8.self) == 10
        else { throw FileFailure.badBatch }
        return start..<end
    }

    private func route(_ topic: Topic, _ committedAt: Int64) -> Route {
        let day = CalendarDay.number(ofMicroseconds: committedAt)
        let path = settings.path.path(topic, day: day)
        let file = files[path] ?? OutputFile(path: path)
        files[path] = file
        if file.lastUse != batchNumber { touched.append(file) }
        file.lastUse = batchNumber
        return Route(file: file, times: settings.path.hasDate ? CalendarDay.times(ofDay: day) : Int64.min..<Int64.max)
    }

    // MARK: Opening files

    /// Opens what the batch goes to, and stores a state that lists the files that were not listed, before any of them
    /// is written to.
    private func list(_ context: SinkContext) async throws(ConnectorFailure) {
        var newFiles: [OutputFile] = []
        for file in touched {
            if try file.wasTakenAway() {
                try file.sync()
                file.close()
                openCount -= 1
            }
            try ready(file)
            if !file.isListed { newFiles.append(file) }
        }
        guard !newFiles.isEmpty else { return }
        for file in newFiles {
            file.isListed = true
            unsyncedFolders.formUnion(FileFolders.folders(of: file.path))
        }
        try await context.saveState(state.encoded)
    }

    private func ready(_ file: OutputFile) throws(ConnectorFailure) {
        guard !file.isOpen else { return }
        if openCount >= Self.descriptorsMax { try closeLeastUsed() }
        try file.open()
        openCount += 1
    }

    /// Closes an eighth of the open files: those written to longest ago, the clean ones first, since only while it is
    /// open does a file surely report that its data could not be stored.
    private func closeLeastUsed() throws(ConnectorFailure) {
        let open = files.values.filter { $0.isOpen && !$0.isStream }
            .sorted { ($0.isDirty ? 1 : 0, $0.lastUse) < ($1.isDirty ? 1 : 0, $1.lastUse) }
        for file in open.prefix(max(1, Self.descriptorsMax / 8)) {
            try file.sync()
            file.close()
            openCount -= 1
        }
    }

    private func forgetFiles() {
        for file in files.values { file.close() }
        files.removeAll()
        touched.removeAll()
        unsyncedFolders.removeAll()
        openCount = 0
        hasNewLengths = false
        context = nil
    }

    // MARK: Durability

    /// First the data, then the names: a name without its data would be worse than neither.
    private func sync() throws(ConnectorFailure) {
        Self.beforeSync.reached()
        for file in files.values where file.isDirty { try file.sync() }
        for folder in unsyncedFolders {
            do {
                try FileFolders.sync(folder)
            } catch {
                // A folder above that we may not read was not made by us.
                guard error.code == "file.permission_denied" else { throw error }
            }
        }
        unsyncedFolders.removeAll()
        Self.afterSync.reached()
    }

    /// The state for a receipt that covers everything written; nil when it would be the same as before.
    private func takeState() -> [UInt8]? {
        guard hasNewLengths else { return nil }
        hasNewLengths = false
        for file in files.values { file.cover() }
        dropOldest()
        return state.encoded
    }

    private var state: FileState {
        var state = FileState()
        state.entries = files.values.compactMap(\.entry).sorted { $0.path < $1.path }
        return state
    }

    /// Forgets the files written to longest ago, down to the bound. All are durable and covered here, so nothing is
    /// owed to them.
    private func dropOldest() {
        guard files.count > Self.entriesMax else { return }
        let oldest = files.values.sorted { $0.lastUse < $1.lastUse }.prefix(files.count - Self.entriesMax * 3 / 4)
        for file in oldest {
            if file.isOpen { openCount -= 1 }
            file.close()
            files[file.path] = nil
        }
    }

    private static let notOpen = ConnectorFailure(
        "file.not_open", .retry, "the file sink was written to before it was opened")
}

/// Where records of one topic go that were committed in a range of times (microseconds since 1970-01-01 00:00 UTC).
private struct Route {
    let file: OutputFile
    let times: Range<Int64>
}

extension ConnectorFailure {
    /// The failure with the place of the setting in the whole configuration, which only the sink's name completes.
    fileprivate func of(_ sink: String) -> ConnectorFailure {
        var located = self
        if setting == "path" { located.setting = "sinks.\(sink).file.path" }
        return located
    }
}

/// A reader that closes a pipe must be an error of the write, not the end of the process (pipe(7)). For this thread
/// only.
private func blockBrokenPipeSignal() {
    var signals = sigset_t()
    unsafe sigemptyset(&signals)
    unsafe sigaddset(&signals, SIGPIPE)
    unsafe pthread_sigmask(SIG_BLOCK, &signals, nil)
}
