import CLinux
import ConnectorKit
import Glibc

/// How files are finished.
extension FileSink {
    private static let finishing = HaltPoint("file.finishing")
    private static let renamed = HaltPoint("file.renamed")
    private static let manifested = HaltPoint("file.manifested")

    /// So often files are looked at for being due, in microseconds.
    private static let lookInterval: Int64 = 50_000

    /// Nothing more comes to a file: it is finished as soon as the cursor covers it.
    func seal(_ file: OutputFile) {
        guard let part = file.part, !file.isSealed else { return }
        file.isSealed = true
        sealed.append(file)
        let key = Self.laneKey(part.lane, file.header)
        if lanes[key] === file { lanes[key] = nil }
        if !headers.isEmpty { headers = headers.filter { !$0.key.hasSuffix("\u{0}" + part.lane) } }
    }

    /// Seals the files that have had their time.
    func sealDue() {
        guard let rotation = settings.rotation, !lanes.isEmpty else { return }
        let now = clock.steady()
        guard now - lastLook >= Self.lookInterval else { return }
        lastLook = now
        let wall = clock.wall()
        for file in lanes.values {
            guard let part = file.part else { continue }
            // The clock was set back: the file's age is counted from now.
            if wall < part.begunAt { file.part?.begunAt = wall }
            if rotation.isOver(part, clock) { seal(file) }
        }
    }

    /// Gives a file that the state tells of back to its lane. One that was begun under other settings, one whose cursor
    /// was moved back, and all but the last file of a lane are finished as they are.
    func place(_ file: OutputFile, isReplay: Bool) {
        guard let part = file.part else { return }
        file.part?.lastWrite = clock.steady()
        let key = Self.laneKey(part.lane, file.header)
        guard settings.rotation != nil, part.signature == settings.signature, !isReplay else { return seal(file) }
        guard let other = lanes[key] else { return lanes[key] = file }
        if other.extent.firstOffset < file.extent.firstOffset {
            seal(other)
            lanes[key] = file
        } else {
            seal(file)
        }
    }

    /// Gives the files that are sealed and covered their final names and puts them into the manifests.
    ///
    /// Called when the cursor of the last receipt is stored. Storing a state waits for the disk, and so covers that
    /// cursor too: whatever happens from then on, no event of these files is delivered again. The state says what is
    /// about to be done, so that ``open(_:)`` completes it after a crash: each step may be done twice.
    func finishSealed(_ context: SinkContext) async throws(ConnectorFailure) {
        guard !sealed.isEmpty else { return }
        let ready = sealed.filter(\.isCovered)
        guard !ready.isEmpty else { return }
        sealed.removeAll { $0.isCovered }
        let now = clock.wall()
        var entries: [FileState.Entry] = []
        for file in ready {
            close(file)
            guard var entry = file.entry, entry.extent.recordCount > 0 else {
                files[file.path] = nil
                continue
            }
            entry.part?.finishedAt = now
            try choosePath(&entry)
            file.part = entry.part
            entries.append(entry)
        }
        entries.sort { ($0.extent.firstOffset, $0.path) < ($1.extent.firstOffset, $1.path) }
        try listManifests(of: entries, context)
        try await context.saveState(state.encoded)
        Self.finishing.reached()
        try complete(entries, context)
        for file in ready { files[file.path] = nil }
    }

    /// Completes what the state says was about to be done when the process ended.
    func completeFinishing(_ state: FileState, _ context: SinkContext) async throws(ConnectorFailure) {
        var entries = state.entries.filter { $0.part?.finishedAt != nil }
        guard !entries.isEmpty else { return }
        entries.sort { ($0.extent.firstOffset, $0.path) < ($1.extent.firstOffset, $1.path) }
        manifests = state.manifests
        let before = entries
        for index in entries.indices where entries[index].isThere(at: entries[index].path) {
            try choosePath(&entries[index])
        }
        if entries != before {
            var chosen = self.state
            chosen.entries += entries
            try await context.saveState(chosen.encoded)
        }
        try complete(entries, context)
    }

    /// Renames, syncs the folders, and adds to the manifests, in this order: a line tells of a file that is there.
    private func complete(_ entries: [FileState.Entry], _ context: SinkContext) throws(ConnectorFailure) {
        var folders: Set<String> = []
        for entry in entries {
            try rename(entry)
            if let folder = FileFolders.folders(of: entry.path).first { folders.insert(folder) }
        }
        Self.renamed.reached()
        try syncFolders(folders)
        for manifest in manifests {
            let lines = entries.filter { FileManifest.path(inFolderOf: $0.path, sink: context.name) == manifest.path }
                .map { (text: FileManifest.line($0), isThere: $0.isThere(at: $0.part?.finalPath ?? "")) }
            try FileManifest.append(lines, to: manifest, mark, fault)
        }
        try syncFolders(
            Set(manifests.filter { $0.inode == 0 }.compactMap { FileFolders.folders(of: $0.path).first }))
        Self.manifested.reached()
        manifests.removeAll()
        hasNewState = true
    }

    /// Chooses another name when somebody else has the one that was meant: no file is ever written over.
    private func choosePath(_ entry: inout FileState.Entry) throws(ConnectorFailure) {
        guard let part = entry.part else { return }
        guard entry.isThere(at: entry.path) else { throw FileFailure.changedOutside(entry.path) }
        if try FileNames.isFree(part.finalPath) { return }
        for attempt in 2...FileNames.attemptsMax {
            let path = PathTemplate.path(ofLane: part.lane, offset: entry.extent.firstOffset, attempt: attempt)
            if files[path + FileNames.unfinishedSuffix] == nil, try FileNames.isFree(path) {
                entry.part?.finalPath = path
                return
            }
        }
        throw FileFailure.noFreeName(part.finalPath)
    }

    private func listManifests(
        of entries: [FileState.Entry], _ context: SinkContext
    ) throws(ConnectorFailure) {
        manifests.removeAll()
        for path in Set(entries.map { FileManifest.path(inFolderOf: $0.path, sink: context.name) }).sorted() {
            manifests.append(try FileManifest.listed(path))
        }
    }

    /// Renames a file, unless that was done or somebody took it away.
    private func rename(_ entry: FileState.Entry) throws(ConnectorFailure) {
        guard let finalPath = entry.part?.finalPath, entry.isThere(at: entry.path) else { return }
        guard !fault.strikes(.rename) else { throw FileFailure.system("rename to", finalPath, errno) }
        if unsafe renameat2(AT_FDCWD, entry.path, AT_FDCWD, finalPath, UInt32(RENAME_KEEP)) == 0 { return }
        guard errno == EINVAL || errno == ENOSYS else { throw FileFailure.system("rename to", finalPath, errno) }
        // A file system that cannot refuse: a link can, where there are links; nobody else makes such names.
        if unsafe link(entry.path, finalPath) == 0 {
            guard unsafe unlink(entry.path) == 0 else { throw FileFailure.system("remove", entry.path, errno) }
            return
        }
        guard errno != EEXIST, try FileNames.isFree(finalPath), unsafe Glibc.rename(entry.path, finalPath) == 0 else {
            throw FileFailure.system("rename to", finalPath, errno)
        }
    }
}
