import ByteKit
package import ConnectorKit
import Glibc

/// Writes records to files, each exactly once, whatever kills the process or the machine.
///
/// The state beside the cursor lists every file with the length that the cursor covers. Before a file is written to for
/// the first time it is listed, durably; before a receipt says "durable", data and then names are synced. So after any
/// interruption each listed file can be cut back to its covered length, and what is written again begins exactly there.
/// With rotation, a file gets its final name only once a cursor that covers all of it is on the disk: see
/// ``finishSealed(_:)``.
/// While a sink runs, nobody else may write to its files; moving finished ones away is allowed, and without rotation
/// all.
package actor FileSink: EventSink {
    /// Open descriptors at a time. Beyond it the least recently used file is closed.
    package static let descriptorsMax = 128
    /// Files that the state remembers; one that is forgotten is taken up again as it is found, and one that would be
    /// finished some time is finished.
    package static let entriesMax = 1024

    private let thread = BlockingThread(name: "file-sink")
    /// The sink's own thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }
    /// With rotation, files become due while nothing comes.
    package nonisolated var attention: Duration? { settings.rotation?.interval }

    let settings: FileSettings
    let reserved: ReservedPaths
    let clock: FileClock
    let fault: FileFault?
    let pool: CompressorPool?
    var context: SinkContext?
    /// What tells our files from those of other sinks.
    private(set) var mark: WriterMark
    /// A number that grows with each ``open(_:)``.
    private var life: UInt64 = 0
    /// All files that the state knows or will know, by their present path.
    var files: [String: OutputFile] = [:]
    /// With rotation: the file that takes what comes next, by ``laneKey(_:_:)``.
    var lanes: [String: OutputFile] = [:]
    /// With rotation: the header line that a topic's records had last, by topic and lane.
    var headers: [String: UInt32] = [:]
    /// Files that nothing more comes to.
    var sealed: [OutputFile] = []
    /// Manifests that lines are being put into.
    var manifests: [FileState.Manifest] = []
    /// The files that the current batch goes to.
    var touched: [OutputFile] = []
    var batchNumber: UInt64 = 0
    private var openCount = 0
    /// Folders with names that may not be durable yet.
    private var unsyncedFolders: Set<String> = []
    /// True when the next receipt must bring a state.
    var hasNewState = false
    /// The offset that the last receipt covered.
    private var coveredBefore: UInt64 = 0
    /// When the files were last looked at for being due.
    var lastLook: Int64 = 0

    private static let tornWrite = HaltPoint("file.torn_write")
    private static let beforeSync = HaltPoint("file.before_sync")
    private static let afterSync = HaltPoint("file.after_sync")
    private static let listed = HaltPoint("file.listed")

    /// A sink for checked settings, which never writes to `reserved` paths.
    package init(
        _ settings: FileSettings, reserved: ReservedPaths = .none, clock: FileClock = .system, fault: FileFault? = nil
    ) {
        self.settings = settings
        self.reserved = reserved
        self.clock = clock
        self.fault = fault
        pool = settings.compression == .none ? nil : CompressorPool(settings.compression)
        mark = WriterMark(log: "", pipeline: settings.pipelineName, sink: "")
    }

    /// Cuts the files back to what the cursor covers, and completes what was being finished.
    package func open(_ context: SinkContext) async throws(ConnectorFailure) {
        forgetFiles()
        blockBrokenPipeSignal()
        let state = try FileState(stored: context.state)
        coveredBefore = state.coveredBefore
        life = nextLife(after: state.life)
        mark = WriterMark(
            log: context.log, pipeline: settings.pipelineName, sink: context.name, life: life, state: context.state,
            state)
        do {
            try await beginLife(state, context)
            // A version that knew no reserved paths may have taken one up: it is left as it is.
            for entry in state.entries where entry.part?.finishedAt == nil && reserved.owner(of: entry.path) == nil {
                guard let file = try OutputFile.recover(entry, mark, pool, fault) else { continue }
                files[file.path] = file
                if entry.part != nil { place(file, isReplay: context.nextOffset < state.coveredBefore) }
            }
            try await completeFinishing(state, context)
        } catch {
            throw error.of(context.name)
        }
        self.context = context
    }

    /// The time, so that two lives that began with one state, in copies of a log, have two numbers.
    private func nextLife(after life: UInt64) -> UInt64 {
        max(life == .max ? life : life + 1, UInt64(max(0, clock.wall())))
    }

    /// Refuses files that are newer than the state, and stores this life before any file is changed in it. A state
    /// that lists no file is stored with the first one.
    private func beginLife(_ state: FileState, _ context: SinkContext) async throws(ConnectorFailure) {
        guard !state.entries.isEmpty else { return }
        let newer = mark.newerPaths(state)
        if let path = newer.first { throw FileFailure.newerThanLog(path, others: newer.count - 1) }
        var begun = state
        begun.life = life
        try await context.saveState(begun.encoded)
    }

    /// Appends the records to their files. A file's lines are in log order; each file gets one call of write(2) per
    /// batch.
    package func write(
        _ batch: RecordBatch, _ durability: Durability
    ) async throws(ConnectorFailure) -> DeliveryReceipt {
        guard let context else { throw FileSink.notOpen }
        do {
            sealDue()
            try await finishSealed(context)
            try await append(batch, context)
            guard durability == .required else { return .accepted }
            try sync()
        } catch {
            // What is in the files is now uncertain: only opening again, which cuts them back, may be followed by
            // writes.
            forgetFiles()
            throw error.of(context.name)
        }
        coveredBefore = batch.nextOffset
        return .durable(before: batch.nextOffset, state: takeState())
    }

    /// Finishes what is due, or everything when the configuration asks for it.
    package func finish() async throws(ConnectorFailure) {
        guard let context, settings.rotation != nil else { return }
        do {
            if settings.rotation?.finishesOnStop == true { for file in lanes.values { seal(file) } }
            try await finishSealed(context)
            if hasNewState { try await context.saveState(state.encoded) }
        } catch {
            forgetFiles()
            throw error.of(context.name)
        }
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
            file.part?.lastWrite = clock.steady()
            if !file.isStream { hasNewState = true }
            sealWhenFull(file)
        }
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
        for file in newFiles { file.putMark() }
        Self.listed.reached()
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
            close(file)
        }
    }

    /// Closes a file that is synced.
    func close(_ file: OutputFile) {
        if file.isOpen { openCount -= 1 }
        file.close()
    }

    private func forgetFiles() {
        for file in files.values {
            file.close()
            file.removeUnlisted()
        }
        files.removeAll()
        lanes.removeAll()
        headers.removeAll()
        sealed.removeAll()
        manifests.removeAll()
        touched.removeAll()
        unsyncedFolders.removeAll()
        openCount = 0
        hasNewState = false
        context = nil
    }

    // MARK: Durability

    /// First the data, then the names: a name without its data would be worse than neither.
    private func sync() throws(ConnectorFailure) {
        Self.beforeSync.reached()
        for file in files.values where file.isDirty { try file.sync() }
        try syncFolders(unsyncedFolders)
        unsyncedFolders.removeAll()
        Self.afterSync.reached()
    }

    /// Makes the names in folders durable.
    func syncFolders(_ folders: Set<String>) throws(ConnectorFailure) {
        for folder in folders {
            do {
                try FileFolders.sync(folder, fault)
            } catch {
                // A folder above that we may not read was not made by us.
                guard error.code == "file.permission_denied" else { throw error }
            }
        }
    }

    /// The state for a receipt that covers everything written; nil when it would be the same as before.
    private func takeState() -> [UInt8]? {
        guard hasNewState else { return nil }
        hasNewState = false
        for file in files.values { file.cover() }
        dropOldest()
        return state.encoded
    }

    /// What is covered now.
    var state: FileState {
        var state = FileState()
        state.entries = files.values.compactMap(\.entry).sorted { $0.path < $1.path }
        state.manifests = manifests
        state.coveredBefore = coveredBefore
        state.life = life
        return state
    }

    /// Forgets the files written to longest ago, down to the bound. All are durable and covered here, so nothing is
    /// owed to them; those that are to be finished are, at the next write.
    private func dropOldest() {
        guard files.count > Self.entriesMax else { return }
        let oldest = files.values.sorted { $0.lastUse < $1.lastUse }.prefix(files.count - Self.entriesMax * 3 / 4)
        for file in oldest {
            close(file)
            if file.part == nil { files[file.path] = nil } else { seal(file) }
        }
    }

    private static let notOpen = ConnectorFailure(
        "file.not_open", .retry, "the file sink was written to before it was opened")
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
