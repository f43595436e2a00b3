import ConnectorKit
import GRDB

/// What the log does when its disk is full: decision 36.
extension EventLog {
    /// The code of a failure that says that the disk has no room.
    package static let diskFullCode = "log.disk_full"
    private static let reserveSpentPoint = HaltPoint("log.reserve_spent")

    /// True while the reserve is given back to the file system.
    package var isReserveSpent: Bool { reserve.isSpent }

    /// Commits upkeep: whatever is no captured change. When there is no room for it, the write-ahead log is begun anew,
    /// and as long as that is not enough, the reserve is given back piece by piece. With `durably`, the commit waits
    /// for the disk. Dead letters say how many bytes they are: they leave the larger part of the reserve alone.
    ///
    /// `body` may be called more than once; what an earlier call did is undone then.
    func write<T>(
        _ action: String, durably: Bool = false, letterBytes: Int = 0, _ body: (Database) throws -> T
    ) throws(ConnectorFailure) -> T {
        var mayMove = true
        while true {
            if letterBytes > 0 { try checkReserve(action, adding: letterBytes) }
            do throws(ConnectorFailure) {
                return try commit(action, durably: durably, body)
            } catch {
                guard error.code == Self.diskFullCode, (mayMove && moveJournal()) || spendReserve() else { throw error }
                mayMove = false
            }
        }
    }

    /// Commits what was captured, for which nothing is given back.
    func capture<T>(_ action: String, _ body: (Database) throws -> T) throws(ConnectorFailure) -> T {
        try commit(action, durably: false, body)
    }

    /// Throws `log.disk_full` while the reserve is given back, unless as many bytes fit into what the log's files have
    /// already: so nothing that was captured takes the room that upkeep needs.
    func checkDisk(adding byteCount: Int) throws(ConnectorFailure) {
        guard reserve.isSpent, !restoreReserve(), try !fitsInside(byteCount) else { return }
        throw LogFailure.diskFull("append \(byteCount) bytes", path, "what is left of the disk is kept for upkeep")
    }

    /// Throws `log.disk_full` while the reserve is given back, unless as many bytes of dead letters fit into what the
    /// log's files have already, or what is left of the reserve would still do: for moving the write-ahead log with
    /// them in it, and for all other upkeep. So cursors, discards and retention go on when letters have no room.
    private func checkReserve(_ action: String, adding byteCount: Int) throws(ConnectorFailure) {
        guard reserve.isSpent, !restoreReserve() else { return }
        let free = try read("look for free pages") { db in try LogSize.read(db).freeInside }
        let growth = (journalGrowth() ?? 0) + max(0, Self.pageBytes(byteCount) - free)
        if reserve.held ?? 0 >= growth + reserve.upkeepBytes { return }
        guard try !fitsInside(byteCount) else { return }
        throw LogFailure.diskFull(action, path, "what is left of the disk is kept for cursors and retention")
    }

    /// Makes the reserve again, when there is clearly room. True when it is there.
    @discardableResult
    func restoreReserve() -> Bool {
        let wasSpent = reserve.isSpent
        guard reserve.restore() else { return false }
        if wasSpent { set(isShort: false, movesJournal: true) }
        return true
    }

    /// Makes what is committed durable without writing anything, for which there need not be room.
    func syncJournal() throws(ConnectorFailure) { try LogJournal.sync(in: folder) }

    /// True when a batch can be stored without that a file grows, now or when it is moved into the database file.
    private func fitsInside(_ byteCount: Int) throws(ConnectorFailure) -> Bool {
        let needed = Self.pageBytes(byteCount)
        let free = try read("look for free pages") { db in try LogSize.read(db).freeInside }
        guard free >= needed else { return false }
        // What the write-ahead log has is no loss for upkeep, which uses it too.
        if LogJournal.allocatedByteCount(in: folder) < needed { LogJournal.allocate(needed, in: folder) }
        return LogJournal.allocatedByteCount(in: folder) >= needed && moveJournal()
    }

    /// Pages have headers, and some are written beside those of a batch.
    private static func pageBytes(_ byteCount: Int) -> Int {
        byteCount + byteCount / 8 + 32 * LogConnection.pageSize
    }

    /// How many bytes the database file grows by when the write-ahead log is moved into it.
    private func journalGrowth() -> Int? {
        let pages = try? read("measure the database") { db in try LogSize.read(db).pages }
        guard let pages, let file = LogReserve.size(path) else { return nil }
        return max(0, pages - file)
    }

    /// Moves what the write-ahead log holds into the database file, if there is room for that, so that the next commit
    /// begins at its front again. False when it does not.
    private func moveJournal() -> Bool {
        guard let growth = journalGrowth() else { return false }
        if growth > 0, LogDisk.freeByteCount(directory).map({ $0 <= growth }) ?? true { return false }
        let isMoved = try? read("move the write-ahead log") { db in
            guard let row = try Row.fetchOne(db, sql: "PRAGMA wal_checkpoint(RESTART)") else { return false }
            return row[0] as Int? == 0 && row[1] as Int? == row[2] as Int?
        }
        return isMoved ?? false
    }

    /// Gives back a piece of the reserve, and what moving the write-ahead log takes. False when nothing is left of it.
    private func spendReserve() -> Bool {
        let isFirst = reserve.isNearlyWhole
        guard reserve.giveBack(journalGrowth() ?? 0) else { return false }
        Self.reserveSpentPoint.reached()
        // Room that others cannot take, even when nothing can be moved for now.
        if isFirst { LogJournal.allocate(reserve.pieceBytes / 2, isBehindEnd: true, in: folder) }
        // SQLite would try again and again to move what does not fit, and fill the disk with the beginning of it.
        set(isShort: true, movesJournal: moveJournal())
        return true
    }

    /// Where SQLite was built to write zeros over what is removed, removing takes as much of the write-ahead log as
    /// appending did. On a disk that is short of room it does not.
    private func set(isShort: Bool, movesJournal: Bool) {
        let pages = movesJournal ? reserve.checkpointPages : 0
        _ = try? read("set how the database is written") { db in
            if usualDeletion == nil { usualDeletion = try Int.fetchOne(db, sql: "PRAGMA secure_delete") }
            let deletion = isShort ? "FAST" : String(usualDeletion ?? 0)
            _ = try Int.fetchOne(db, sql: "PRAGMA secure_delete = \(deletion)")
            _ = try Int.fetchOne(db, sql: "PRAGMA wal_autocheckpoint = \(pages)")
        }
    }
}
