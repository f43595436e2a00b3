import Foundation
import ProgramTesting
import Testing

/// What happened to a table while nobody looked: the changes are read long after the catalogue has forgotten them.
@Suite(.serialized)
struct SchemaHistoryTests {
    private let database: PostgresDatabase
    private let program: MillraceProgram

    init() throws {
        database = try PostgresDatabase()
        try database.sql("CREATE TABLE t (id int PRIMARY KEY, a text, b int)")
        program = try MillraceProgram(
            configuration: """
                name: shop
                source:
                  postgres:
                    url: \(database.url)
                    tables: [public.*]
                    slot: \(database.name)
                    publication: \(database.name)
                    snapshot: never
                sinks:
                  all:
                    file: {path: out/all.jsonl}
                """)
        try program.catchUp()
    }

    /// The events of everything so far, after what the database did while nothing ran.
    private func events() throws -> [Event] {
        try program.catchUp()
        return try program.events(in: "out/all.jsonl")
    }

    private func schema(_ table: String, _ version: Int) throws -> [String: Any] {
        let file = program.folder.path("Schemas/shop.\(table)/v\(version).schema.json")
        let object = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: file)))
        return try #require(object as? [String: Any])
    }

    private func columns(_ table: String, _ version: Int) throws -> [String: String] {
        let words = try #require(try schema(table, version)["x-millrace"] as? [String: Any])
        return try #require(words["columns"] as? [String: String])
    }

    @Test func changesOfADroppedTableArriveUnderTheFormThatTheyHad() throws {
        try database.sql("INSERT INTO t VALUES (1, 'x', 2); ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET b = 3")
        try database.sql("DROP TABLE t; CREATE TABLE other (id int PRIMARY KEY)")
        let events = try events()
        #expect(events.map(\.operation) == ["insert", "update"])
        #expect(events.first?.after == ["id": 1, "a": "x", "b": 2])
        #expect(events.map(\.key).first == "id=1")
        // Under FULL the announcement flags every column, and the catalogue that knew the key is gone: but it was
        // known from before.
        #expect(events.map(\.key).last == "id=1")
        #expect(events.map(\.version) == [1, 1])
    }

    @Test func columnsThatAreGoneOrRenamedAreThereInOlderChanges() throws {
        try database.sql("INSERT INTO t VALUES (1, 'x', 2)")
        try database.sql("ALTER TABLE t DROP COLUMN a; ALTER TABLE t RENAME COLUMN b TO c; INSERT INTO t VALUES (2, 3)")
        try database.sql("ALTER TABLE t ADD COLUMN a text; ALTER TABLE t ALTER COLUMN c TYPE numeric(8,2)")
        try database.sql("INSERT INTO t VALUES (3, 4, 'y')")
        let events = try events()
        #expect(
            events.map(\.after) == [
                ["id": 1, "a": "x", "b": 2], ["id": 2, "c": 3], ["id": 3, "c": "4.00", "a": "y"],
            ])
        #expect(events.map(\.version) == [1, 2, 3])
        #expect(try columns("public.t", 1) == ["id": "integer", "a": "text", "b": "integer"])
        #expect(try columns("public.t", 3) == ["id": "integer", "c": "numeric(8,2)", "a": "text"])
    }

    @Test func theKeyOfAChangeIsTheKeyOfItsTime() throws {
        try database.sql("INSERT INTO t VALUES (1, 'x', 2)")
        try database.sql(
            "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD PRIMARY KEY (id, b); "
                + "INSERT INTO t VALUES (2, 'y', 3)"
        )
        try database.sql("ALTER TABLE t DROP CONSTRAINT t_pkey; INSERT INTO t VALUES (3, 'z', 4)")
        let events = try events()
        #expect(events.map(\.key) == ["id=1", "b=3,id=2", nil])
        #expect(events.map(\.version) == [1, 2, 3])
    }

    @Test func aKeyThatIsDroppedUnderFullIdentityIsNoKeyAnyMore() throws {
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql("ALTER TABLE t REPLICA IDENTITY FULL; INSERT INTO t VALUES (1, 'x', 2)")
        try running.wait(for: "the first") { try program.loggedEvents().count == 1 }
        try database.sql("ALTER TABLE t DROP CONSTRAINT t_pkey")
        try database.sql("INSERT INTO t VALUES (1, 'x', 2); DELETE FROM t")
        try running.wait(for: "the rest") { try program.loggedEvents().count == 4 }
        running.send(SIGTERM)
        _ = try running.finish()
        #expect(try program.loggedEvents().map(\.key) == ["id=1", nil, nil, nil])
    }

    @Test func aTypeThatIsGoneStillHasItsName() throws {
        try database.sql(
            """
            CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE DOMAIN price AS int CHECK (VALUE > 0);
            CREATE TABLE u (id int PRIMARY KEY, m mood, p price)
            """)
        try program.catchUp()
        try database.sql("INSERT INTO u VALUES (1, 'ok', 5)")
        try database.sql(
            """
            ALTER TABLE u ALTER COLUMN m TYPE text, ALTER COLUMN p TYPE int;
            DROP TYPE mood; DROP DOMAIN price; INSERT INTO u VALUES (2, 'glad', 6)
            """)
        let events = try events()
        #expect(events.map(\.after) == [["id": 1, "m": "ok", "p": 5], ["id": 2, "m": "glad", "p": 6]])
        #expect(try columns("public.u", 1) == ["id": "integer", "m": "mood", "p": "int4"])
        #expect(try columns("public.u", 2) == ["id": "integer", "m": "text", "p": "integer"])
    }

    @Test func aReplicaIdentityThatIsSwitchedChangesTheContractOnlyWithTheKey() throws {
        try database.sql("INSERT INTO t VALUES (1, 'x', 2)")
        try database.sql("ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET a = 'y'")
        try database.sql("ALTER TABLE t REPLICA IDENTITY NOTHING; INSERT INTO t VALUES (2, 'x', 3)")
        try database.sql(
            """
            ALTER TABLE t ALTER COLUMN b SET NOT NULL; CREATE UNIQUE INDEX by_b ON t (b);
            ALTER TABLE t REPLICA IDENTITY USING INDEX by_b; UPDATE t SET a = 'z' WHERE id = 2
            """)
        try database.sql("ALTER TABLE t REPLICA IDENTITY DEFAULT; DELETE FROM t WHERE id = 1")
        let events = try events()
        #expect(events.map(\.operation) == ["insert", "update", "insert", "update", "delete"])
        #expect(events.map(\.key) == ["id=1", "id=1", "id=2", "b=3", "id=1"])
        #expect(events[1].before == ["id": 1, "a": "x", "b": 2])
        #expect(events.map(\.version) == [1, 1, 1, 2, 1])
    }

    @Test func aTableThatIsRenamedMovedOrMadeAnewHasTheSubjectOfItsNameThen() throws {
        try database.sql("INSERT INTO t VALUES (1, 'x', 2)")
        try database.sql("ALTER TABLE t RENAME TO t2; INSERT INTO t2 VALUES (2, 'y', 3)")
        try database.sql("CREATE SCHEMA away; ALTER TABLE t2 SET SCHEMA away; INSERT INTO away.t2 VALUES (3, 'z', 4)")
        try database.sql(
            "ALTER TABLE away.t2 SET SCHEMA public; ALTER TABLE t2 RENAME TO t; INSERT INTO t VALUES (4, 'w', 5)")
        try database.sql("DROP TABLE t; CREATE TABLE t (id int PRIMARY KEY, a text, b int)")
        var events = try events()
        #expect(events.map(\.dataschema.debugDescription.count).allSatisfy { $0 > 0 })
        // away.t2 is not among the tables: its change is left out, and that is said.
        #expect(events.map { "\($0.table) \($0.key ?? "")" } == ["public.t id=1", "public.t2 id=2", "public.t id=4"])
        // The new table is captured from the start that found it on, under the same contract: it has the same form.
        try database.sql("INSERT INTO t VALUES (1, 'again', 1)")
        events = try self.events()
        #expect(events.map(\.version) == [1, 1, 1, 1])
    }

    @Test func partitionsThatComeAndGoAreRowsOfTheirTable() throws {
        try database.sql(
            """
            CREATE TABLE p (id int, day date, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
            CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')
            """)
        try program.catchUp()
        try database.sql("INSERT INTO p VALUES (1, '2026-01-05')")
        try database.sql(
            "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM ('2026-02-01') TO ('2026-03-01'); "
                + "INSERT INTO p VALUES (2, '2026-02-05')")
        try database.sql("ALTER TABLE p DETACH PARTITION p1; DROP TABLE p1; INSERT INTO p VALUES (3, '2026-02-06')")
        let ids = try events().map { $0.after?["id"] }
        #expect(ids == [1, 2, 3])
    }

    @Test func aTypeThatChangesBehindItsTableStopsNothingAndShowsAtTheNextStart() throws {
        try database.sql(
            """
            CREATE TYPE mood AS ENUM ('ok', 'sad'); CREATE TYPE pair AS (x int, y int);
            CREATE TABLE v (id int PRIMARY KEY, m mood, p pair)
            """)
        try program.catchUp()
        let running = try program.start("run")
        try running.waitForError(containing: "capturing")
        try database.sql("INSERT INTO v VALUES (1, 'ok', (1, 2))")
        try running.wait(for: "the first") { try program.loggedEvents().count == 1 }
        try database.sql("ALTER TYPE mood ADD VALUE 'glad'")
        try database.sql("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'; ALTER TYPE pair ADD ATTRIBUTE z int")
        try database.sql("INSERT INTO v VALUES (2, 'glad', (1, 2, 3)), (3, 'blue', (1, 2, 3))")
        try running.wait(for: "the rest") { try program.loggedEvents().count == 3 }
        running.send(SIGTERM)
        _ = try running.finish()
        try database.sql("INSERT INTO v VALUES (4, 'glad', (1, 2, 3))")
        let events = try events()
        #expect(events.map { $0.after?["m"] } == ["ok", "glad", "blue", "glad"])
        #expect(events.first?.version == 1)
        let newest = try #require(events.last?.version)
        let properties = try #require(try schema("public.v", newest)["properties"] as? [String: [String: Any]])
        let labels = (properties["m"]?["x-millrace"] as? [String: Any])?["labels"] as? [String]
        #expect(labels == ["ok", "blue", "glad"])
        let attributes = properties["p"]?["properties"] as? [String: Any]
        #expect(Set(attributes?.keys ?? [:].keys) == ["x", "y", "z"])
        let difference = try program.run("schema", "diff", "shop.public.v", "1", "\(newest)").output
        #expect(difference.contains("column m: labels 'sad' are gone\ncolumn m: labels 'blue', 'glad' are new\n"))
        #expect(difference.contains("column p.z: added\n"))
    }
}
