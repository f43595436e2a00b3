import GRDB

/// The tables of the database file, and which files are ours.
enum LogFormat {
    /// "MLRL": marks the file as an event log (PRAGMA application_id).
    static let applicationID: Int64 = 0x4D4C_524C
    /// The version of the tables and of what they hold (PRAGMA user_version).
    ///
    /// Version 1 has no dead letters. Up to version 2 all bodies are in the database. Up to version 3 nothing is known
    /// of a sink's rate and next attempt. Up to version 4 there are no subscriptions. Up to version 5 nothing is known
    /// of where dead letters are in the log.
    static let version: Int64 = 6
    /// The first version with bodies outside of the database.
    private static let bodyFilesVersion: Int64 = 3

    /// False in a log of an earlier format, which a reader must not change.
    static func hasBodyFiles(_ db: Database) throws -> Bool {
        try Int64.fetchOne(db.cachedStatement(sql: "PRAGMA user_version")) ?? 0 >= bodyFilesVersion
    }

    /// The version of a log, this one or an older one that ``upgrade(_:from:)`` knows; nil for an empty file. Throws
    /// `log.unknown_format` for anything else.
    static func check(_ db: Database, path: String) throws -> Int64? {
        let application = try Int64.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        let found = try Int64.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        if application == 0 {
            let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            guard tables == 0, found == 0 else { throw LogFailure.unknownFormat(path, "another program made it") }
            return nil
        }
        guard application == applicationID else { throw LogFailure.unknownFormat(path, "another program made it") }
        guard (1...version).contains(found) else {
            throw LogFailure.unknownFormat(path, "it has format version \(found), this program knows \(version)")
        }
        return found
    }

    /// Brings a log to this version, in one transaction: it is the old one or the new one, whatever happens.
    static func upgrade(_ db: Database, from found: Int64) throws {
        guard found < version else { return }
        try db.inTransaction(.immediate) {
            for step in upgrades.dropFirst(Int(found) - 1) { try db.execute(sql: step) }
            try db.execute(sql: "PRAGMA user_version = \(version)")
            return .commit
        }
    }

    /// Makes the tables in one transaction, so that a file has all of them or none.
    static func create(_ db: Database) throws {
        try db.inTransaction(.immediate) {
            try db.execute(sql: tables)
            for step in upgrades { try db.execute(sql: step) }
            try db.execute(sql: "PRAGMA application_id = \(applicationID); PRAGMA user_version = \(version)")
            return .commit
        }
    }

    /// What each version added to the one before it, from version 2 on.
    private static let upgrades = [
        deadLetterTables, bodyPlaces, sinkFigures, subscriptionTables, letterPlaces,
    ]
    /// The first version with figures of sinks.
    private static let sinkFiguresVersion: Int64 = 4

    /// False in a log of an earlier format, which a reader must not change.
    static func hasSinkFigures(_ db: Database) throws -> Bool {
        try Int64.fetchOne(db.cachedStatement(sql: "PRAGMA user_version")) ?? 0 >= sinkFiguresVersion
    }

    /// The first version with subscriptions.
    private static let subscriptionsVersion: Int64 = 5

    /// False in a log of an earlier format, which a reader must not change.
    static func hasSubscriptions(_ db: Database) throws -> Bool {
        try Int64.fetchOne(db.cachedStatement(sql: "PRAGMA user_version")) ?? 0 >= subscriptionsVersion
    }

    /// `subscription_event` has the events that were given out at least once: in flight or handed back until a time,
    /// settled behind the cursor, or dead.
    private static let subscriptionTables = """
        CREATE TABLE subscription (
            name TEXT PRIMARY KEY, settings TEXT NOT NULL, epoch INTEGER NOT NULL, next_offset INTEGER NOT NULL,
            created_at INTEGER NOT NULL, moved_at INTEGER NOT NULL, delivered INTEGER NOT NULL DEFAULT 0,
            acknowledged INTEGER NOT NULL DEFAULT 0, returned INTEGER NOT NULL DEFAULT 0
        );
        CREATE TABLE subscription_event (
            subscription TEXT NOT NULL, log_offset INTEGER NOT NULL, phase INTEGER NOT NULL,
            delivery_count INTEGER NOT NULL, until INTEGER NOT NULL, PRIMARY KEY (subscription, log_offset)
        ) WITHOUT ROWID;
        """

    /// Where the event of a letter stands that waits for a sink; NULL for one that was set aside before, or is not in
    /// the log.
    private static let letterPlaces = "ALTER TABLE dead_letter ADD COLUMN log_offset INTEGER"

    /// How fast a sink's cursor moved lately, and when a sink that failed is opened again.
    private static let sinkFigures = """
        ALTER TABLE sink ADD COLUMN events_per_second REAL;
        ALTER TABLE sink ADD COLUMN retry_at INTEGER;
        """

    /// Where a body stands that is not in the database (``BodyFiles``); then `batch.body` is empty.
    private static let bodyPlaces = """
        ALTER TABLE batch ADD COLUMN body_file INTEGER;
        ALTER TABLE batch ADD COLUMN body_offset INTEGER;
        ALTER TABLE batch ADD COLUMN body_length INTEGER;
        CREATE INDEX batch_body_file ON batch (body_file, body_length) WHERE body_file IS NOT NULL;
        """

    /// `dead_letter.body` is that of a batch. `dead_letter_count` says what became of all that was ever stored,
    /// and how many bytes wait, so that nothing has to be counted.
    private static let deadLetterTables = """
        CREATE TABLE dead_letter (
            id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL,
            change_count INTEGER NOT NULL, stored_at INTEGER NOT NULL,
            first_commit INTEGER NOT NULL, first_ordinal INTEGER NOT NULL,
            last_commit INTEGER NOT NULL, last_ordinal INTEGER NOT NULL,
            relations TEXT NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL
        );
        CREATE INDEX dead_letter_subject ON dead_letter (subject, id);
        CREATE TABLE dead_letter_count (
            subject TEXT PRIMARY KEY, stored INTEGER NOT NULL DEFAULT 0, released INTEGER NOT NULL DEFAULT 0,
            discarded INTEGER NOT NULL DEFAULT 0, bytes INTEGER NOT NULL DEFAULT 0
        );
        """

    /// `batch.body` comes last, so that reading the other columns never touches its pages; those that came later are
    /// NULL when it is long, which needs no look behind it. Unsigned numbers are stored
    /// as the signed number of the same bits. `position` has one row; it repeats what the newest batch says, because
    /// that batch may be retained away.
    private static let tables = """
        CREATE TABLE batch (
            first_offset INTEGER PRIMARY KEY, change_count INTEGER NOT NULL, appended_at INTEGER NOT NULL,
            first_commit INTEGER NOT NULL, first_ordinal INTEGER NOT NULL,
            last_commit INTEGER NOT NULL, last_ordinal INTEGER NOT NULL, committed_at INTEGER NOT NULL,
            relations TEXT NOT NULL, checksum INTEGER NOT NULL, body BLOB NOT NULL
        );
        CREATE TABLE position (
            id INTEGER PRIMARY KEY CHECK (id = 1), next_offset INTEGER NOT NULL, sync_count INTEGER NOT NULL,
            last_commit INTEGER, last_ordinal INTEGER,
            resume INTEGER, checkpoint_commit INTEGER, checkpoint_ordinal INTEGER, notes BLOB
        );
        INSERT INTO position (id, next_offset, sync_count) VALUES (1, 0, 0);
        CREATE TABLE relation (
            id INTEGER PRIMARY KEY AUTOINCREMENT, subject TEXT NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL
        );
        CREATE TABLE source (
            id INTEGER PRIMARY KEY CHECK (id = 1), kind TEXT NOT NULL, fingerprint BLOB NOT NULL
        );
        CREATE TABLE sink (
            name TEXT PRIMARY KEY, next_offset INTEGER NOT NULL, state BLOB, moved_at INTEGER NOT NULL,
            error_code TEXT, error_message TEXT, error_at INTEGER
        );
        """
}
