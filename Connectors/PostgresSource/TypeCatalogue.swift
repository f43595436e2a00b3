internal import ChangeModel

/// A type as a column, a field or an element has it: a modifier belongs to the use and not to the type.
struct TypeUse: Hashable {
    /// The type's oid.
    var id: UInt32
    /// The type's modifier; -1 for none.
    var modifier: Int32
}

/// What the catalogue knows about the types of a table's columns, and of everything that they are made of: the answer
/// to one query.
struct TypeCatalogue {
    /// How a type is made (`pg_type.typtype`, and for base types by their output function).
    private enum Class: String {
        case base = "b"
        case array = "a"
        case vector = "v"
        case composite = "c"
        case domain = "d"
        case enumeration = "e"
        case multirange = "m"
        case range = "r"
    }

    private struct Entry {
        var name: String
        var `class`: Class
        var delimiter: UInt8
        /// A domain's base, an element, or the type of a bound.
        var part: TypeUse
    }

    /// A type that is followed down to what a format must know.
    struct Resolved {
        var part: PartType
        /// The type below all domains.
        var base: TypeUse
    }

    private var entries: [TypeUse: Entry] = [:]
    private var fields: [UInt32: [(name: String, type: TypeUse)]] = [:]
    private var labels: [UInt32: [String]] = [:]
    private let numeric: ValueType
    /// How many more parts may be described.
    private var partsLeft = partsMax

    /// The parts of all columns of a table together; a column whose type would need more is carried as text.
    private static let partsMax = 20_000
    /// Levels of nesting; what lies deeper is carried as text.
    private static let depthMax = 12
    /// Labels of an enumeration; a longer list is left out.
    private static let labelsMax = 2000

    /// The types in a result of ``query``. `numeric` is what columns of the type numeric are to hold.
    init(_ result: QueryResult, numeric: ValueType) {
        self.numeric = numeric
        for row in result.all {
            guard let id = row.integer("id").flatMap(UInt32.init(exactly:)) else { continue }
            let part = TypeUse(
                id: row.integer("part").flatMap(UInt32.init(exactly:)) ?? 0,
                modifier: row.integer("part_modifier").flatMap(Int32.init(exactly:)) ?? -1)
            switch row.text("kind") {
            case "field": fields[id, default: []].append((row.text("name"), part))
            case "label": labels[id, default: []].append(row.text("name"))
            default:
                guard let modifier = row.integer("modifier").flatMap(Int32.init(exactly:)) else { continue }
                entries[TypeUse(id: id, modifier: modifier)] = Entry(
                    name: row.text("name"), class: Class(rawValue: row.text("class")) ?? .base,
                    delimiter: row.text("delimiter").utf8.first ?? UInt8(ascii: ","), part: part)
            }
        }
    }

    /// The type of a column. Nil for one that the catalogue does not know any more.
    mutating func resolve(_ use: TypeUse) -> Resolved? {
        guard let entry = entries[use] else { return nil }
        var base = use
        // Domains over domains end at a base type; the count is only a bound.
        for _ in 0..<64 {
            guard let next = entries[base], next.class == .domain else { break }
            base = next.part
        }
        let shape = shape(of: base, depth: 0)
        let type = shape == nil || shape == .json ? valueType(base) : .other
        return Resolved(part: PartType(type: type, typeName: entry.name, shape: shape), base: base)
    }

    private mutating func part(_ use: TypeUse, depth: Int) -> PartType {
        var base = use
        for _ in 0..<64 {
            guard let next = entries[base], next.class == .domain else { break }
            base = next.part
        }
        partsLeft -= 1
        let shape = shape(of: base, depth: depth)
        return PartType(
            type: shape == nil || shape == .json ? valueType(base) : .other,
            typeName: entries[use]?.name ?? Self.nameless(use.id), shape: shape)
    }

    private mutating func shape(of use: TypeUse, depth: Int) -> TypeShape? {
        guard let entry = entries[use], depth < Self.depthMax, partsLeft > 0 else { return nil }
        switch entry.class {
        case .base, .domain: return PostgresTypes.valueType(ofTypeID: use.id) == .json ? .json : nil
        case .array: return .array(of: part(entry.part, depth: depth + 1), delimiter: entry.delimiter)
        case .vector: return .vector(of: part(entry.part, depth: depth + 1))
        case .range: return .range(of: part(entry.part, depth: depth + 1))
        case .multirange: return .multirange(of: part(entry.part, depth: depth + 1))
        case .enumeration: return labels[use.id].flatMap { $0.count > Self.labelsMax ? nil : .enumeration($0) }
        case .composite:
            let fields = fields[use.id] ?? []
            guard fields.count < partsLeft else { return nil }
            return .composite(fields.map { TypeField(name: $0.name, type: part($0.type, depth: depth + 1)) })
        }
    }

    private func valueType(_ base: TypeUse) -> ValueType {
        let type = PostgresTypes.valueType(ofTypeID: base.id)
        return type == .numeric ? numeric : type
    }

    /// How a type is called that was dropped since.
    static func nameless(_ id: UInt32) -> String { "type \(id)" }
}

extension TypeCatalogue {
    /// Everything about the types `$1` with the modifiers `$2`, down to their last parts: a row for each type, for each
    /// field of a composite type and for each label of an enumeration.
    ///
    /// An array is known by its output function, because only that function's text is read as one.
    static let query = """
        WITH RECURSIVE used(type, modifier) AS (
            SELECT u.type, u.modifier FROM unnest($1::pg_catalog.oid[], $2::pg_catalog.int4[]) AS u(type, modifier)
            UNION
            SELECT part.type, part.modifier FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.type
            CROSS JOIN LATERAL (
                SELECT t.typbasetype, t.typtypmod WHERE t.typtype = 'd'
                UNION ALL SELECT t.typelem, u.modifier WHERE t.typtype = 'b' AND t.typelem <> 0
                    AND t.typoutput IN ('pg_catalog.array_out'::pg_catalog.regproc,
                        'pg_catalog.int2vectorout'::pg_catalog.regproc, 'pg_catalog.oidvectorout'::pg_catalog.regproc)
                UNION ALL SELECT a.atttypid, a.atttypmod FROM pg_catalog.pg_attribute a
                    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
                UNION ALL SELECT r.rngsubtype, -1 FROM pg_catalog.pg_range r
                    WHERE (t.typtype = 'r' AND r.rngtypid = t.oid) OR (t.typtype = 'm' AND r.rngmultitypid = t.oid)
            ) AS part(type, modifier)),
        named AS (SELECT DISTINCT t.oid, t.typtype, t.typrelid FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.type)
        SELECT 'type' AS kind, t.oid AS id, u.modifier, 0::pg_catalog.float8 AS place,
            pg_catalog.format_type(u.type, u.modifier) AS name,
            CASE WHEN t.typoutput = 'pg_catalog.array_out'::pg_catalog.regproc AND t.typelem <> 0
                    AND t.typtype = 'b' THEN 'a'
                WHEN t.typoutput IN ('pg_catalog.int2vectorout'::pg_catalog.regproc,
                    'pg_catalog.oidvectorout'::pg_catalog.regproc) AND t.typtype = 'b' THEN 'v'
                ELSE t.typtype::pg_catalog.text END AS class,
            e.typdelim AS delimiter,
            CASE t.typtype WHEN 'd' THEN t.typbasetype WHEN 'b' THEN t.typelem ELSE r.rngsubtype END AS part,
            CASE t.typtype WHEN 'd' THEN t.typtypmod WHEN 'b' THEN u.modifier ELSE -1 END AS part_modifier
        FROM used u JOIN pg_catalog.pg_type t ON t.oid = u.type
        LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
        LEFT JOIN pg_catalog.pg_range r
            ON (t.typtype = 'r' AND r.rngtypid = t.oid) OR (t.typtype = 'm' AND r.rngmultitypid = t.oid)
        UNION ALL
        SELECT 'field', n.oid, NULL, a.attnum, a.attname::pg_catalog.text, NULL, NULL, a.atttypid, a.atttypmod
        FROM named n JOIN pg_catalog.pg_attribute a ON a.attrelid = n.typrelid
        WHERE n.typtype = 'c' AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT 'label', n.oid, NULL, l.enumsortorder, l.enumlabel::pg_catalog.text, NULL, NULL, NULL, NULL
        FROM named n JOIN pg_catalog.pg_enum l ON l.enumtypid = n.oid
        ORDER BY place
        """
}
