import GRDB

/// How connections to the log's database are set up. The numbers were measured with batches of half a megabyte and of
/// one row: larger pages make the large ones cheaper and the small ones dearer, on the disk above all.
enum LogConnection {
    /// Bytes of a page. Each append writes two pages at least.
    static let pageSize = 8192
    /// Pages in the WAL after which they are moved into the database file.
    static let checkpointPages = 4096
    /// Bytes that the WAL keeps on disk when it is empty.
    static let journalBytesMax = 64 << 20
    /// Memory for pages, in KiB; more does not help, since nothing is read twice.
    static let cacheKiB = 1024

    /// The one writing connection.
    static func writing(_ path: String, _ checkpointPages: Int = checkpointPages) -> Configuration {
        var configuration = Configuration()
        configuration.label = "event-log"
        configuration.foreignKeysEnabled = false
        // A transaction that cannot even be rolled back is ended by the next write, not by ending the process.
        configuration.allowsUnsafeTransactions = true
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            let found = try LogFormat.check(db, path: path)
            try db.execute(sql: "PRAGMA page_size = \(pageSize)")
            let mode = try String.fetchOne(db, sql: "PRAGMA journal_mode = WAL")
            guard mode == "wal" else {
                throw LogFailure.directory(
                    path, "this file system cannot hold a write-ahead log (journal_mode \(mode ?? "none"))")
            }
            try db.execute(sql: "PRAGMA synchronous = NORMAL")
            try db.execute(sql: "PRAGMA wal_autocheckpoint = \(checkpointPages)")
            try db.execute(sql: "PRAGMA journal_size_limit = \(journalBytesMax)")
            try db.execute(sql: "PRAGMA cache_size = -\(cacheKiB)")
            if let found { try LogFormat.upgrade(db, from: found) } else { try LogFormat.create(db) }
        }
        return configuration
    }

    /// A connection that only reads, beside the writing one, in this process or another.
    static func reading(_ path: String) -> Configuration {
        var configuration = Configuration()
        configuration.label = "event-log-reader"
        configuration.readonly = true
        configuration.foreignKeysEnabled = false
        configuration.allowsUnsafeTransactions = true
        configuration.busyMode = .timeout(5)
        configuration.prepareDatabase { db in
            guard try LogFormat.check(db, path: path) != nil else { throw LogFailure.notFound(path) }
            try db.execute(sql: "PRAGMA cache_size = -\(cacheKiB)")
        }
        return configuration
    }
}
