import ByteKit
import ChangeModel

/// Messages as a server sends them, built by hand.
enum WireBytes {
    enum Value {
        case null
        case unchanged
        case text(String)
    }

    static func frame(_ kind: Character, _ body: [UInt8]) -> [UInt8] {
        [kind.asciiValue ?? 0] + big(UInt32(body.count + 4)) + body
    }

    static func big<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        (0..<(T.bitWidth / 8)).reversed().map { UInt8(truncatingIfNeeded: value >> T($0 * 8)) }
    }

    static func name(_ text: String) -> [UInt8] { Array(text.utf8) + [0] }

    static func xlog(_ payload: [UInt8], at lsn: UInt64 = 1) -> [UInt8] {
        frame("d", [UInt8(ascii: "w")] + big(lsn) + big(lsn) + big(Int64(0)) + payload)
    }

    static func keepalive(_ end: UInt64, reply: Bool = false) -> [UInt8] {
        frame("d", [UInt8(ascii: "k")] + big(end) + big(Int64(5)) + [reply ? 1 : 0])
    }

    static func begin(_ commit: UInt64, xid: UInt32 = 7, time: Int64 = 1_000_000) -> [UInt8] {
        [UInt8(ascii: "B")] + big(commit) + big(time) + big(xid)
    }

    static func commit(_ commit: UInt64, end: UInt64) -> [UInt8] {
        [UInt8(ascii: "C"), 0] + big(commit) + big(end) + big(Int64(1_000_000))
    }

    static func relation(_ id: UInt32, _ table: String, identity: Character = "d", columns: [(String, UInt32, Bool)])
        -> [UInt8]
    {
        [UInt8(ascii: "R")] + big(id) + name("public") + name(table) + [identity.asciiValue ?? 0]
            + big(Int16(columns.count))
            + columns.flatMap { [$0.2 ? 1 : 0] + name($0.0) + big($0.1) + big(Int32(-1)) }
    }

    static func tuple(_ values: [Value]) -> [UInt8] {
        big(Int16(values.count))
            + values.flatMap { value -> [UInt8] in
                switch value {
                case .null: [ValueKind.null]
                case .unchanged: [ValueKind.unchanged]
                case .text(let text): [ValueKind.text] + big(Int32(text.utf8.count)) + Array(text.utf8)
                }
            }
    }

    static func insert(_ id: UInt32, _ values: [Value]) -> [UInt8] {
        [UInt8(ascii: "I")] + big(id) + [UInt8(ascii: "N")] + tuple(values)
    }

    static func update(_ id: UInt32, old: (Character, [Value])? = nil, _ values: [Value]) -> [UInt8] {
        [UInt8(ascii: "U")] + big(id) + (old.map { [$0.0.asciiValue ?? 0] + tuple($0.1) } ?? []) + [UInt8(ascii: "N")]
            + tuple(values)
    }

    static func delete(_ id: UInt32, _ kind: Character, _ values: [Value]) -> [UInt8] {
        [UInt8(ascii: "D")] + big(id) + [kind.asciiValue ?? 0] + tuple(values)
    }

    static func truncate(_ ids: [UInt32], options: UInt8 = 0) -> [UInt8] {
        [UInt8(ascii: "T")] + big(Int32(ids.count)) + [options] + ids.flatMap { big($0) }
    }

    static func message(_ prefix: String, _ content: String, at lsn: UInt64? = nil) -> [UInt8] {
        [UInt8(ascii: "M"), lsn == nil ? 1 : 0] + big(lsn ?? 99) + name(prefix) + big(Int32(content.utf8.count))
            + Array(content.utf8)
    }

    static func type(_ id: UInt32, _ type: String) -> [UInt8] {
        [UInt8(ascii: "Y")] + big(id) + name("public") + name(type)
    }

    static func origin(_ text: String) -> [UInt8] { [UInt8(ascii: "O")] + big(UInt64(3)) + name(text) }

    static func error(_ state: String, _ message: String) -> [UInt8] {
        frame(
            "E",
            [UInt8(ascii: "V")] + name("FATAL") + [UInt8(ascii: "C")] + name(state) + [UInt8(ascii: "M")]
                + name(message) + [0])
    }
}
