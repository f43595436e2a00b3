internal import ChangeModel

/// How Debezium spells the values of a type, decided once from the type and the modes.
enum DebeziumForm: UInt8 {
    case boolean, integer, float, string, bytes
    /// A decimal number of a known scale, one that brings its scale, as text, and as a number.
    case decimal, variableDecimal, decimalText, decimalNumber
    case money, moneyText, moneyNumber
    case days, isoDate
    case timeMillis, timeMicros, timeNanos, isoTime
    case timestampMillis, timestampMicros, timestampNanos, isoTimestamp
    case zonedTimestamp, zonedTime
    case durationMicros, isoDuration
    case hstoreJSON, hstoreMap
    case point
    case bits, bit
}

/// How one value, or one element of an array, is spelled.
struct DebeziumLeaf: BitwiseCopyable {
    var form: DebeziumForm
    /// The scale of a decimal number, or how many decimals a zoned timestamp has.
    var parameter: Int32 = 0
}

/// The type of a column or an element, as far as Debezium tells types apart.
struct DebeziumType {
    var type: ValueType
    var shape: TypeShape?
    /// The type's name without its schema and its modifier, and the numbers of the modifier.
    var name: String
    var numbers: [Int]
    var precision: Int?
    var scale: Int?

    init(_ column: Column) {
        self.init(PartType(type: column.type, typeName: column.typeName, shape: column.shape))
        if let precision = column.precision { (self.precision, scale) = (precision, column.scale ?? 0) }
    }

    init(_ part: PartType) {
        (type, shape) = (part.type, part.shape)
        var words = part.typeName
        if let open = words.firstIndex(of: "("), let close = words[open...].firstIndex(of: ")") {
            numbers = words[words.index(after: open)..<close].split(separator: ",").compactMap { Int($0) }
            words.removeSubrange(open...close)
        } else {
            numbers = []
        }
        name = words.split(separator: ".").last.map(String.init) ?? words
        if part.type == .numeric || part.type == .number, let first = numbers.first {
            (precision, scale) = (first, numbers.count > 1 ? numbers[1] : 0)
        }
    }

    func leaf(_ options: DebeziumOptions) -> DebeziumLeaf {
        switch type {
        case .boolean: DebeziumLeaf(form: .boolean)
        case .int16, .int32, .int64: DebeziumLeaf(form: .integer)
        case .float32, .float64: DebeziumLeaf(form: .float)
        case .numeric, .number: decimal(options.decimals)
        case .bytes: DebeziumLeaf(form: .bytes)
        case .date: DebeziumLeaf(form: options.times == .isostring ? .isoDate : .days)
        case .time: DebeziumLeaf(form: time(options.times))
        case .timestamp: DebeziumLeaf(form: timestamp(options.times))
        case .timestampTZ: DebeziumLeaf(form: .zonedTimestamp, parameter: Int32(clamping: numbers.first ?? 6))
        case .timeTZ: DebeziumLeaf(form: .zonedTime)
        case .interval: DebeziumLeaf(form: options.intervals == .string ? .isoDuration : .durationMicros)
        case .other: other(options)
        case .text, .json, .uuid, .dynamic: DebeziumLeaf(form: .string)
        }
    }

    private func decimal(_ mode: DebeziumOptions.Decimals) -> DebeziumLeaf {
        switch mode {
        case .string: DebeziumLeaf(form: .decimalText)
        case .double: DebeziumLeaf(form: .decimalNumber)
        case .precise:
            if precision != nil {
                DebeziumLeaf(form: .decimal, parameter: Int32(clamping: scale ?? 0))
            } else {
                DebeziumLeaf(form: .variableDecimal)
            }
        }
    }

    private func time(_ mode: DebeziumOptions.Times) -> DebeziumForm {
        switch mode {
        case .adaptive: (numbers.first ?? 6) <= 3 ? .timeMillis : .timeMicros
        case .adaptiveTimeMicroseconds, .microseconds: .timeMicros
        case .connect: .timeMillis
        case .isostring: .isoTime
        case .nanoseconds: .timeNanos
        }
    }

    private func timestamp(_ mode: DebeziumOptions.Times) -> DebeziumForm {
        switch mode {
        case .adaptive, .adaptiveTimeMicroseconds: (numbers.first ?? 6) <= 3 ? .timestampMillis : .timestampMicros
        case .microseconds: .timestampMicros
        case .connect: .timestampMillis
        case .isostring: .isoTimestamp
        case .nanoseconds: .timestampNanos
        }
    }

    private func other(_ options: DebeziumOptions) -> DebeziumLeaf {
        if shape != nil { return DebeziumLeaf(form: .string) }
        switch name {
        case "oid": return DebeziumLeaf(form: .integer)
        case "point": return DebeziumLeaf(form: .point)
        case "bit", "bit varying":
            let isOne = name == "bit" ? (numbers.first ?? 1) == 1 : numbers.first == 1
            return DebeziumLeaf(form: isOne ? .bit : .bits)
        case "hstore": return DebeziumLeaf(form: options.hstores == .map ? .hstoreMap : .hstoreJSON)
        case "money":
            switch options.decimals {
            case .precise: return DebeziumLeaf(form: .money)
            case .string: return DebeziumLeaf(form: .moneyText)
            case .double: return DebeziumLeaf(form: .moneyNumber)
            }
        default: return DebeziumLeaf(form: .string)
        }
    }
}

extension ValueNodes {
    /// Adds the parts of a column's values as Debezium spells them; returns the place of the whole. Arrays are arrays;
    /// everything else of several parts is text.
    mutating func add(_ type: DebeziumType, _ options: DebeziumOptions) -> Int {
        var node = ValueNode()
        guard case .array(let element, let delimiter) = type.shape else {
            node.leaf = type.leaf(options)
            return append(node)
        }
        (node.kind, node.delimiter, node.childCount) = (.array, delimiter, 1)
        let place = append(node)
        setFirstChild(of: place, to: add(DebeziumType(element), options))
        return place
    }
}
