internal import ChangeModel
internal import JSONText

/// What a schema says about the values of a type, nested types inside.
struct ValueForm {
    /// The types in JSON; empty where any value is possible.
    private var types: [JSONValue] = []
    /// What follows the types.
    var keywords = JSONObject()
    /// True for a value that is written as an array or an object when its text has the expected shape, and as a string
    /// of the text otherwise.
    private(set) var isStructure = false

    /// The strings that stand for numbers which JSON cannot spell.
    static let numberPattern = "^(NaN|-?Infinity)$"

    /// The form of a column's or a part's values, other than NULL.
    init(_ type: ValueType, _ shape: TypeShape?) {
        guard let shape else {
            describe(type)
            return
        }
        switch shape {
        case .array(let element, _): describeList(of: element, isNested: true)
        case .vector(let element): describeList(of: element, isNested: false)
        case .composite(let fields): describe(fields)
        case .range(let bound): describe(rangeOf: bound)
        case .multirange(let bound):
            (types, isStructure) = (["array"], true)
            keywords["items"] = ValueForm(.other, .range(of: bound)).schema
        case .enumeration(let labels):
            types = ["string"]
            // A new label must not make events invalid, so the list is for people and code generators.
            keywords["x-millrace"] = ["labels": .array(labels.map { .string($0) })]
        case .json: break
        }
    }

    /// The schema as a JSON object.
    var schema: JSONValue {
        guard let first = types.first else { return .object(keywords) }
        let type = JSONObject.Member(name: "type", value: types.count == 1 ? first : .array(types))
        return .object(JSONObject([type] + keywords.members))
    }

    /// Lets values of one more type of JSON pass.
    mutating func allow(_ type: JSONValue) {
        if !types.isEmpty, !types.contains(type) { types.append(type) }
    }

    private mutating func describe(_ type: ValueType) {
        switch type {
        case .boolean: types = ["boolean"]
        case .int16, .int32, .int64: types = ["integer"]
        case .float32, .float64, .number:
            types = ["number", "string"]
            keywords["pattern"] = .string(Self.numberPattern)
        case .bytes:
            types = ["string"]
            keywords["contentEncoding"] = "base64"
        case .json:
            types = ["string"]
            keywords["contentMediaType"] = "application/json"
        case .uuid:
            types = ["string"]
            keywords["format"] = "uuid"
        case .dynamic: types = ["string", "number"]
        case .numeric, .text, .date, .time, .timeTZ, .timestamp, .timestampTZ, .interval, .other: types = ["string"]
        }
    }

    /// The elements of an array with several dimensions are arrays.
    private mutating func describeList(of element: PartType, isNested: Bool) {
        (types, isStructure) = (["array"], true)
        var items = ValueForm(element.type, element.shape)
        if isNested {
            items.allow("null")
            items.allow("array")
        }
        keywords["items"] = items.schema
    }

    private mutating func describe(_ fields: [TypeField]) {
        (types, isStructure) = (["object"], true)
        keywords["properties"] = .object(
            JSONObject(fields.map { .init(name: $0.name, value: Self.orNull($0.type)) }))
    }

    private mutating func describe(rangeOf bound: PartType) {
        (types, isStructure) = (["object"], true)
        let value = Self.orNull(bound)
        let flag: JSONValue = ["type": "boolean"]
        keywords["properties"] = [
            "lower": value, "upper": value, "lower_inclusive": flag, "upper_inclusive": flag, "empty": flag,
        ]
        keywords["required"] = ["lower", "upper", "lower_inclusive", "upper_inclusive", "empty"]
    }

    private static func orNull(_ part: PartType) -> JSONValue {
        var form = ValueForm(part.type, part.shape)
        form.allow("null")
        return form.schema
    }
}
