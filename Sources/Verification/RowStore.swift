import ChangeModel
import ConnectorKit

/// The folded rows of one table: those with a key by their key, those without in a bag that counts equal rows.
struct RowStore {
    let store: FoldStore
    private let name: String
    private let find: FoldStatement
    private let put: FoldStatement
    private let remove: FoldStatement
    private let count: FoldStatement
    private let uncount: FoldStatement
    /// Numbers that were given to keys; a key keeps its number as long as it is there.
    private(set) var nextNumber: Int64 = 0

    /// Empty tables of the store.
    init(_ store: FoldStore) throws(ConnectorFailure) {
        self.store = store
        name = "t\(store.nextTableNumber())"
        try store.run(
            """
            CREATE TABLE \(name) (key BLOB PRIMARY KEY, number INTEGER, shape INTEGER, place INTEGER, tuple BLOB)
                WITHOUT ROWID;
            CREATE TABLE \(name)_bag (tuple BLOB PRIMARY KEY, count INTEGER, place INTEGER) WITHOUT ROWID;
            """)
        find = try store.prepare("SELECT number, shape, place, tuple FROM \(name) WHERE key = ?")
        put = try store.prepare(
            """
            INSERT INTO \(name) VALUES (?1, ?2, ?3, ?4, ?5)
            ON CONFLICT (key) DO UPDATE SET shape = ?3, place = ?4, tuple = ?5 RETURNING number
            """)
        remove = try store.prepare("DELETE FROM \(name) WHERE key = ?")
        count = try store.prepare(
            """
            INSERT INTO \(name)_bag VALUES (?1, ?2, ?3)
            ON CONFLICT (tuple) DO UPDATE SET count = count + ?2, place = coalesce(?3, place)
            """)
        uncount = try store.prepare("DELETE FROM \(name)_bag WHERE count = 0")
    }

    /// Removes all rows, and the tables too when they are not needed any more.
    mutating func clear() throws(ConnectorFailure) {
        try store.run("DELETE FROM \(name); DELETE FROM \(name)_bag")
        nextNumber = 0
    }

    /// Removes the tables; nothing else may be called afterwards.
    func drop() throws(ConnectorFailure) {
        for statement in [find, put, remove, count, uncount] { statement.reset() }
        try store.run("DROP TABLE \(name); DROP TABLE \(name)_bag")
    }
}

// MARK: - Rows with a key

/// What a stored row has beside its values.
struct StoredRow {
    /// Its number; see ``RowStore/nextNumber``.
    var number: Int
    /// The index of its form.
    var shape: Int
    /// The log offset of its last event; nil for one that the log does not have yet.
    var place: UInt64?
}

extension RowStore {
    /// Lends the row with a key; nil when there is none.
    func withRow<R>(
        _ key: [UInt8], _ body: (StoredRow, RawSpan) throws(ConnectorFailure) -> R
    ) throws(ConnectorFailure) -> R? {
        try find.bind(1, key)
        guard try find.step() else { return nil }
        defer { find.reset() }
        let (number, shape) = (Int(find.number(0)), Int(find.number(1)))
        let place = find.isNull(2) ? nil : UInt64(bitPattern: find.number(2))
        return try find.withBytes(3) { (tuple) throws(ConnectorFailure) -> R in
            try body(StoredRow(number: number, shape: shape, place: place), tuple)
        }
    }

    /// Stores a row in the place of the one with the same key.
    mutating func put(
        _ key: [UInt8], shape: Int, place: UInt64?, tuple: RawSpan
    ) throws(ConnectorFailure) {
        try put.bind(1, key)
        try put.bind(2, nextNumber)
        try put.bind(3, Int64(shape))
        try put.bind(4, place.map { Int64(bitPattern: $0) })
        try put.bind(5, tuple)
        while try put.step() { if put.number(0) == nextNumber { nextNumber += 1 } }
    }

    /// Removes a row; nothing happens when it is not there.
    func remove(_ key: [UInt8]) throws(ConnectorFailure) {
        try remove.bind(1, key)
        try remove.run()
    }

    /// How many rows with a key there are.
    func rowCount() throws(ConnectorFailure) -> Int {
        let statement = try store.prepare("SELECT count(*) FROM \(name)")
        return try statement.step() ? Int(statement.number(0)) : 0
    }

    /// How many rows have each form.
    func rowCountsByShape() throws(ConnectorFailure) -> [Int: Int] {
        let statement = try store.prepare("SELECT shape, count(*) FROM \(name) GROUP BY shape")
        var counts: [Int: Int] = [:]
        while try statement.step() { counts[Int(statement.number(0))] = Int(statement.number(1)) }
        return counts
    }

    /// Visits every row with a key.
    func forEachRow(
        _ body: (_ key: [UInt8], StoredRow, RawSpan) throws(ConnectorFailure) -> Void
    ) throws(ConnectorFailure) {
        let statement = try store.prepare("SELECT key, number, shape, place, tuple FROM \(name)")
        while try statement.step() {
            let key = statement.bytes(0)
            let place = statement.isNull(3) ? nil : UInt64(bitPattern: statement.number(3))
            let (number, shape) = (Int(statement.number(1)), Int(statement.number(2)))
            try statement.withBytes(4) { (tuple) throws(ConnectorFailure) in
                try body(key, StoredRow(number: number, shape: shape, place: place), tuple)
            }
        }
    }
}

// MARK: - Rows without a key

extension RowStore {
    /// Adds to the number of rows that are this tuple.
    func count(_ tuple: RawSpan, _ difference: Int, place: UInt64?) throws(ConnectorFailure) {
        try count.bind(1, tuple)
        try count.bind(2, Int64(difference))
        try count.bind(3, place.map { Int64(bitPattern: $0) })
        try count.run()
    }

    /// True when rows without a key were counted.
    func hasBag() throws(ConnectorFailure) -> Bool {
        let statement = try store.prepare("SELECT 1 FROM \(name)_bag LIMIT 1")
        defer { statement.reset() }
        return try statement.step()
    }

    /// How many rows without a key there are.
    func bagCount() throws(ConnectorFailure) -> Int {
        let statement = try store.prepare("SELECT coalesce(sum(count), 0) FROM \(name)_bag WHERE count > 0")
        defer { statement.reset() }
        return try statement.step() ? Int(statement.number(0)) : 0
    }

    /// Visits every tuple whose number is not zero.
    func forEachCount(
        _ body: (_ tuple: [UInt8], _ count: Int, _ place: UInt64?) throws(ConnectorFailure) -> Void
    ) throws(ConnectorFailure) {
        try uncount.run()
        let statement = try store.prepare("SELECT tuple, count, place FROM \(name)_bag")
        while try statement.step() {
            let place = statement.isNull(2) ? nil : UInt64(bitPattern: statement.number(2))
            try body(statement.bytes(0), Int(statement.number(1)), place)
        }
    }
}
