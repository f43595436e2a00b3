import ConnectorTesting
import ProgramTesting

/// Random transactions over tables of every kind, as SQL that is the same for the same seed.
///
/// Statements may fail (a key that is taken, a deadlock with another session): then their transaction is rolled back,
/// and the next one goes on. That is part of the workload.
struct PostgresWorkload {
    private var random: SeededGenerator
    /// Grows with each change of the table's form, so that names are never used twice.
    private var formCount = 0
    private let seed: UInt64

    init(seed: UInt64) {
        self.seed = seed
        random = SeededGenerator(seed: seed)
    }

    /// The tables. Partitions, an index as identity, whole rows as identity, no key at all, a foreign key, large values
    /// out of line, and columns of every type.
    static let schema = """
        CREATE TYPE mood AS ENUM ('sad', 'o"k', 'happy \\ done');
        CREATE TYPE spot AS (x int, label text);
        CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
        CREATE TABLE every_type (
            id bigint PRIMARY KEY, b bool, i2 int2, i4 int4, i8 int8, n numeric, n2 numeric(12,2), f4 float4, f8 float8,
            t text, v varchar(40), c char(7), bin bytea, d date, tm time, tmz timetz, ts timestamp, tsz timestamptz,
            iv interval, u uuid, j json, jb jsonb, x xml, ip inet, net cidr, mac macaddr, mac8 macaddr8, bt bit(5),
            vb varbit, mo money, pt point, bx box, po polygon, ci circle, ia int[], ta text[], ma mood[], e mood,
            s spot,
            sa spot[], dm positive, r int4range, tr tstzrange, mr int4multirange, tv tsvector, tq tsquery, l pg_lsn,
            o oid, "Odd ""näme" text, gen int GENERATED ALWAYS AS (i4 / 2) STORED);
        CREATE TABLE orders (id bigint PRIMARY KEY, status text, amount numeric(12,2), note text, big text);
        ALTER TABLE orders ALTER COLUMN note SET STORAGE EXTERNAL;
        ALTER TABLE orders ALTER COLUMN big SET STORAGE EXTERNAL;
        CREATE TABLE items (order_id bigint REFERENCES orders ON DELETE CASCADE ON UPDATE CASCADE, line int, what text,
            PRIMARY KEY (order_id, line));
        CREATE TABLE pairs (a text, b int, v text, big text, PRIMARY KEY (b, a));
        ALTER TABLE pairs REPLICA IDENTITY FULL;
        ALTER TABLE pairs ALTER COLUMN big SET STORAGE EXTERNAL;
        CREATE TABLE loose (n int, v text); ALTER TABLE loose REPLICA IDENTITY FULL;
        CREATE TABLE marked (id int PRIMARY KEY, code text NOT NULL, v text);
        CREATE UNIQUE INDEX marked_code ON marked (code); ALTER TABLE marked REPLICA IDENTITY USING INDEX marked_code;
        CREATE TABLE parts (day int, id int, v text, PRIMARY KEY (day, id)) PARTITION BY RANGE (day);
        CREATE TABLE parts_a PARTITION OF parts FOR VALUES FROM (0) TO (10);
        CREATE TABLE parts_b PARTITION OF parts FOR VALUES FROM (10) TO (20);
        CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
        CREATE TABLE changing (id int PRIMARY KEY, v text, n int);
        """

    /// The tables that are captured, by qualified name.
    static let tables = ["every_type", "orders", "items", "pairs", "loose", "marked", "parts", "changing"]

    /// A script of this many transactions.
    mutating func script(transactions: Int) -> String {
        (0..<transactions).map { _ in transaction() }.joined(separator: "\n")
    }

    private mutating func transaction() -> String {
        if chance(60) { return changeForm() }
        if chance(80) { return huge() }
        var lines = ["BEGIN;"]
        for _ in 0..<Int.random(in: 1...6, using: &random) { lines.append(statement()) }
        if chance(4) {
            lines += [
                "SAVEPOINT a;", statement(), statement(), "SAVEPOINT b;", statement(), "ROLLBACK TO a;", statement(),
            ]
            if chance(2) { lines += ["RELEASE a;"] }
        }
        lines.append(chance(8) ? "ROLLBACK;" : "COMMIT;")
        return lines.joined(separator: "\n")
    }

    /// True once in `times`.
    private mutating func chance(_ times: Int) -> Bool { Int.random(in: 0..<times, using: &random) == 0 }
    private mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    private mutating func pick(_ list: [String]) -> String { list.randomElement(using: &random) ?? "" }

    private mutating func statement() -> String {
        switch number(0...11) {
        case 0, 1: everyType()
        case 2...4: order()
        case 5: item()
        case 6: pair()
        case 7: loose()
        case 8: marked()
        case 9, 10: part()
        default: chance(12) ? truncate() : changing()
        }
    }

    private mutating func truncate() -> String {
        pick([
            "TRUNCATE loose;", "TRUNCATE orders CASCADE;", "TRUNCATE pairs, marked;", "TRUNCATE parts;",
            "TRUNCATE changing;",
        ])
    }

    /// Thousands of rows by one transaction.
    private mutating func huge() -> String {
        let base = number(1...50) * 100_000
        return """
            BEGIN;
            INSERT INTO orders SELECT \(base) + i, 'bulk', i, repeat('h', 100)
                FROM generate_series(1, \(number(500...4000))) i
                ON CONFLICT (id) DO UPDATE SET status = 'bulk again';
            UPDATE orders SET id = id + 50000 WHERE id BETWEEN \(base) AND \(base + 300);
            DELETE FROM orders WHERE id > \(base + 400) AND id < \(base + 9000);
            COMMIT;
            """
    }
}

// MARK: - One table each

extension PostgresWorkload {
    private mutating func order() -> String {
        let (id, other) = (number(1...80), number(1...80))
        switch number(0...7) {
        case 0...2:
            return "INSERT INTO orders VALUES (\(id), 'new', \(other).25, repeat(md5('\(id)'), \(number(1...200))), "
                + "repeat('b', \(number(0...4000)))) ON CONFLICT (id) DO UPDATE SET status = 'again', big = NULL;"
        case 3: return "UPDATE orders SET status = status || '\(other)', amount = amount + 1 WHERE id = \(id);"
        case 4: return "UPDATE orders SET note = repeat('\(other)', 2000) WHERE id = \(id);"
        case 5: return "UPDATE orders SET id = \(other) WHERE id = \(id);"
        case 6:
            return "UPDATE orders SET id = CASE id WHEN \(id) THEN -\(other) ELSE id END WHERE id IN (\(id), \(other));"
        default: return "DELETE FROM orders WHERE id = \(id);"
        }
    }

    private mutating func item() -> String {
        let (order, line) = (number(1...80), number(1...4))
        return chance(3)
            ? "DELETE FROM items WHERE line = \(line) AND order_id < \(order);"
            : "INSERT INTO items SELECT id, \(line), 'item \(order)' FROM orders WHERE id IN (\(order), \(order + 1)) "
                + "ON CONFLICT (order_id, line) DO UPDATE SET what = items.what || '+';"
    }

    private mutating func pair() -> String {
        let (a, b) = (pick(["'a'", "'B c'", "''", "E'\\'\\\\\\n'", "'ü😀'"]), number(1...9))
        switch number(0...4) {
        case 0, 1:
            return "INSERT INTO pairs VALUES (\(a), \(b), 'v', repeat('p', \(number(0...5000)))) "
                + "ON CONFLICT (a, b) DO UPDATE SET v = pairs.v || '.';"
        case 2: return "UPDATE pairs SET b = b + \(number(1...20)) WHERE a = \(a) AND b = \(b);"
        case 3: return "UPDATE pairs SET v = NULL WHERE b = \(b);"
        default: return "DELETE FROM pairs WHERE a = \(a);"
        }
    }

    private mutating func loose() -> String {
        let n = number(1...5)
        switch number(0...3) {
        case 0, 1:
            return "INSERT INTO loose SELECT \(n), NULLIF('\(n)', '3') FROM generate_series(1, \(number(1...4)));"
        case 2: return "UPDATE loose SET v = 'changed' WHERE ctid = (SELECT ctid FROM loose WHERE n = \(n) LIMIT 1);"
        default: return "DELETE FROM loose WHERE ctid = (SELECT ctid FROM loose WHERE n = \(n) LIMIT 1);"
        }
    }

    private mutating func marked() -> String {
        let id = number(1...30)
        switch number(0...3) {
        case 0, 1:
            return
                "INSERT INTO marked VALUES (\(id), 'code \(id)', 'v') "
                + "ON CONFLICT (id) DO UPDATE SET v = marked.v || '.';"
        case 2: return "UPDATE marked SET code = code || '!' WHERE id = \(id);"
        default: return "DELETE FROM marked WHERE id = \(id);"
        }
    }

    /// Rows move between partitions, which the stream shows as delete and insert.
    private mutating func part() -> String {
        let (day, id) = (number(0...29), number(1...12))
        switch number(0...4) {
        case 0, 1:
            return
                "INSERT INTO parts VALUES (\(day), \(id), 'v') ON CONFLICT (day, id) DO UPDATE SET v = parts.v || '.';"
        case 2: return "UPDATE parts SET day = \(number(0...29)) WHERE day = \(day) AND id = \(id);"
        case 3: return "UPDATE parts SET v = 'day \(day)' WHERE id = \(id);"
        default: return "DELETE FROM parts WHERE day = \(day);"
        }
    }

    private mutating func everyType() -> String {
        let id = number(1...40)
        switch number(0...5) {
        case 0: return "DELETE FROM every_type WHERE id = \(id);"
        case 1:
            let (column, values) = Self.values[number(0...(Self.values.count - 1))]
            return "UPDATE every_type SET \(column) = \(pick(values)) WHERE id < \(id);"
        default:
            let columns = Self.values.map(\.0).joined(separator: ", ")
            let texts = Self.values.map { chance(8) ? "NULL" : pick($0.1) }.joined(separator: ", ")
            return "INSERT INTO every_type (id, \(columns)) VALUES (\(id), \(texts)) "
                + "ON CONFLICT (id) DO UPDATE SET n = EXCLUDED.n, t = EXCLUDED.t, ia = EXCLUDED.ia, u = EXCLUDED.u;"
        }
    }

    private mutating func changing() -> String {
        let id = number(1...50)
        switch number(0...3) {
        case 0, 1:
            return
                "INSERT INTO changing (id, v) VALUES (\(id), 'v') ON CONFLICT (id) DO UPDATE SET v = changing.v || '.';"
        case 2: return "UPDATE changing SET v = 'w' WHERE id < \(id);"
        default: return "DELETE FROM changing WHERE id = \(id);"
        }
    }

    /// A column is added with a default, dropped, renamed, or gets another type; rows change in the same transaction.
    private mutating func changeForm() -> String {
        formCount += 1
        let name = "c\(seed % 1000)_\(formCount)"
        let previous = "c\(seed % 1000)_\(formCount - 1)"
        switch number(0...3) {
        case 0:
            return "BEGIN; ALTER TABLE changing ADD COLUMN \(name) text DEFAULT 'by default'; "
                + "UPDATE changing SET v = 'added' WHERE id < 10; COMMIT;"
        case 1: return "ALTER TABLE changing DROP COLUMN IF EXISTS \(previous);"
        case 2: return "ALTER TABLE changing RENAME COLUMN \(previous) TO \(name);"
        default:
            return
                "BEGIN; ALTER TABLE changing ALTER COLUMN n TYPE \(pick(["int", "bigint", "numeric(20,3)"])) ; COMMIT;"
        }
    }

    /// Columns of `every_type` with expressions for them: the edges of each type.
    private static let values: [(String, [String])] = [
        ("b", ["true", "false"]), ("i2", ["-32768", "32767", "0"]), ("i4", ["-2147483648", "2147483647", "7"]),
        ("i8", ["-9223372036854775808", "9223372036854775807", "9007199254740993"]),
        ("n", ["'NaN'", "'Infinity'", "0.000", "1e50", "-123456789012345678901234567890.123456789", "1.10"]),
        ("n2", ["1.5", "-0.01", "9999999999.99"]), ("f4", ["'NaN'", "'-Infinity'", "'-0'", "1.17549435e-38", "0.1"]),
        ("f8", ["'NaN'", "'Infinity'", "'-0'", "5e-324", "0.1", "1.7976931348623157e308"]),
        ("t", ["''", "E'\\x01\\t\\n\\r\\\\\\'\"'", "'😀 ü'", "repeat('long ', 5000)"]), ("v", ["'v'", "''"]),
        ("c", ["'c'", "'       '"]), ("bin", ["''", "'\\x00ff10'", "decode(repeat('ab', 3000), 'hex')"]),
        ("d", ["'infinity'", "'-infinity'", "'0044-03-15 BC'", "'99999-12-31'", "'2024-02-29'"]),
        ("tm", ["'24:00:00'", "'00:00:00.000001'"]), ("tmz", ["'24:00:00-12:30'", "'01:02:03+05:45'"]),
        ("ts", ["'infinity'", "'0001-01-01 00:00:00 BC'", "'294276-12-31 23:59:59.999999'"]),
        ("tsz", ["'-infinity'", "'2024-03-31 02:30:00 Europe/Berlin'", "now()"]),
        ("iv", ["'-1 mons +2 days -00:00:00.000001'", "'178000000 years'", "'0'"]), ("u", ["gen_random_uuid()"]),
        ("j", ["'{\"a\":1, \"a\" : 2}'", "' null '", "'[1e400]'"]), ("jb", ["'{\"b\":[1,{\"c\":null}]}'", "'\"x\"'"]),
        ("x", ["'<a b=\"c\">d</a>'"]), ("ip", ["'::1'", "'10.1.2.3/8'"]), ("net", ["'10.0.0.0/8'", "'2001:db8::/32'"]),
        ("mac", ["'08:00:2b:01:02:03'"]), ("mac8", ["'08:00:2b:01:02:03:04:05'"]), ("bt", ["B'10101'"]),
        ("vb", ["B''", "B'1'"]), ("mo", ["'12.34'", "'-0.01'"]), ("pt", ["'(1,2.5)'"]), ("bx", ["'(1,1),(0,0)'"]),
        ("po", ["'((0,0),(1,1),(1,0))'"]), ("ci", ["'<(0,0),2>'"]),
        ("ia", ["'{}'", "'{1,NULL,3}'", "'[0:1]={{1,2},{3,4}}'"]),
        ("ta", ["'{\"a,b\",\"NULL\",NULL,\"q\\\"\\\\\"}'", "'{\"\"}'"]), ("ma", ["'{sad,\"o\\\"k\"}'"]),
        ("e", ["'sad'", "'o\"k'"]),
        ("s", ["ROW(1, 'a,b')", "ROW(NULL, '')", "ROW(NULL, NULL)"]), ("sa", ["ARRAY[ROW(1, '\"')]::spot[]"]),
        ("dm", ["0.5"]), ("r", ["'empty'", "'[1,5)'", "'(,)'"]), ("tr", ["tstzrange(now(), NULL)"]),
        ("mr", ["'{}'", "'{[1,3),[7,9)}'"]), ("tv", ["'a fat cat'::tsvector"]), ("tq", ["'fat & (rat | cat)'"]),
        ("l", ["'16/B374D848'"]), ("o", ["4294967295"]), ("\"Odd \"\"näme\"", ["'odd'"]),
    ]
}
