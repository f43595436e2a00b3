import ByteKit
import ChangeModel
import ConnectorTesting

/// Relations, values and changes of every shape.
struct RandomChanges {
    var dice: SeededGenerator
    private static let pieces = [
        "a", "é", "日", "😀", "\"", "\\", "\n", "\u{0}", "\u{1F}", "\u{7F}", "\u{2028}", ",", "'", "{", "}", "0", "-",
        "t", "\\x",
        "6161", "1e5", "NaN", "long enough for a word", "\u{FFFF}",
    ]

    mutating func relation() -> Relation {
        let keyCount = dice.below(3)
        let columns = (0...dice.below(9)).map { index in
            Column(
                name: text() + String(index), type: ValueType.allCases.randomElement(using: &dice) ?? .text,
                typeName: "any", keyPosition: index < keyCount ? keyCount - 1 - index : nil,
                shape: dice.below(2) == 0 ? shape(depth: 0) : nil)
        }
        return Relation(sourceID: 1, schema: text() + "s", name: text() + "t", columns: columns)
    }

    mutating func shape(depth: Int) -> TypeShape {
        let part = PartType(
            type: ValueType.allCases.randomElement(using: &dice) ?? .text, typeName: "any",
            shape: depth < 3 && dice.below(2) == 0 ? shape(depth: depth + 1) : nil)
        return switch dice.below(7) {
        case 0: .array(of: part, delimiter: UInt8(ascii: ","))
        case 1: .vector(of: part)
        case 2: .composite((0..<dice.below(4)).map { TypeField(name: "\(text())\($0)", type: part) })
        case 3: .range(of: part)
        case 4: .multirange(of: part)
        case 5: .enumeration(["a"])
        default: .json
        }
    }

    /// Something like an array, a composite value, a range or JSON, more or less.
    mutating func literal(depth: Int = 0) -> String {
        let (open, close) = [("{", "}"), ("(", ")"), ("[", ")"), ("{[", "]}"), ("[", "]")][dice.below(5)]
        let parts = (0..<dice.below(4)).map { _ -> String in
            switch dice.below(depth < 3 ? 6 : 5) {
            case 0: ""
            case 1: "NULL"
            case 2: String(dice.below(100))
            case 3: "\"" + text().replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
            case 4: text()
            default: literal(depth: depth + 1)
            }
        }
        return open + parts.joined(separator: dice.below(9) == 0 ? " " : ",") + close
    }

    mutating func text() -> String {
        (0..<dice.below(6)).map { _ in Self.pieces.randomElement(using: &dice) ?? "" }.joined()
    }

    mutating func value(unchanged: Bool) -> SampleValue {
        switch dice.below(unchanged ? 10 : 9) {
        case 0: .null
        case 1: .integer(String(Int64.random(in: .min ... .max, using: &dice)))
        case 2: .real(String(Double.random(in: -1e300...1e300, using: &dice)))
        case 3: .blob((0..<dice.below(40)).map { _ in UInt8(truncatingIfNeeded: dice.next()) })
        case 4: .malformed((0..<dice.below(9)).map { _ in UInt8(truncatingIfNeeded: dice.next()) })
        case 5: .text(String(dice.next()))
        case 6, 7: .text(text())
        case 8: .text(literal())
        default: .unchanged
        }
    }

    mutating func row(of relation: Relation, unchanged: Bool = false) -> [SampleValue] {
        relation.columns.map { value(unchanged: unchanged && $0.keyPosition == nil) }
    }

    mutating func change(of relation: Relation) -> SampleChange {
        let old = row(of: relation)
        switch dice.below(7) {
        case 0: return .insert(row(of: relation))
        case 1: return .snapshot(row(of: relation))
        case 2: return .update(to: row(of: relation, unchanged: true))
        case 3: return .update(.full, from: old, to: row(of: relation, unchanged: true))
        case 4:
            let key = zip(relation.columns, old).map { $0.keyPosition == nil ? .null : $1 }
            return .update(.key, from: key, to: row(of: relation, unchanged: true))
        case 5: return .delete(.full, old)
        default: return .truncate
        }
    }
}
