internal import JSONText

/// What one subschema says, keyword by keyword, whatever draft it is of. Parts are numbers of other subschemas.
final class SchemaFacts {
    typealias Spot = Int32

    struct Bound {
        var number: ExactNumber
        var isExclusive: Bool
        /// The bound when it is a whole number of common size.
        var small: Int?
        var keyword: String
    }
    struct Property {
        var name: [UInt8]
        /// Negative for a name that is only known, without a schema.
        var spot: Spot
    }
    struct PatternProperty {
        var source: [UInt8]
        var pattern: TextPattern
        /// Negative for a pattern that is only known, without a schema.
        var spot: Spot
    }
    struct Contains {
        var spot: Spot
        var least = 1
        var most: Int?
    }
    struct Condition {
        var test: Spot
        var then: Spot?
        var otherwise: Spot?
    }
    struct Dependency {
        var name: [UInt8]
        var required: [[UInt8]] = []
        var spot: Spot?
        var keyword: String
    }

    /// The text of the schema, for messages.
    let schema: JSONValue
    let dialect: Dialect

    var kinds = ValueKinds.all
    /// The types that `type` names; all without it.
    var types = ValueKinds.all
    /// The values of `const` or `enum`.
    var values: [JSONValue]?
    var lowers: [Bound] = []
    var uppers: [Bound] = []
    var multipleOf: ExactNumber?
    var minLength: Int?
    var maxLength: Int?
    var pattern: [UInt8]?
    var format: FormatCheck?
    var prefix: [Spot] = []
    var items: Spot?
    var contains: Contains?
    var isUnique = false
    var minItems: Int?
    var maxItems: Int?
    var properties: [Property] = []
    var spotOfProperty: [[UInt8]: Spot] = [:]
    var patternProperties: [PatternProperty] = []
    var additional: Spot?
    var names: Spot?
    var required: [[UInt8]] = []
    var minProperties: Int?
    var maxProperties: Int?
    var dependencies: [Dependency] = []
    var allOf: [Spot] = []
    var anyOf: [Spot] = []
    var oneOf: [Spot] = []
    var not: Spot?
    var condition: Condition?
    var references: [Spot] = []
    /// True when something cannot be compared: a reference whose target depends on the way by which it is reached.
    var hasUnknownReference = false
    var unevaluatedItems: Spot?
    var unevaluatedProperties: Spot?

    init(_ schema: JSONValue, _ dialect: Dialect) {
        self.schema = schema
        self.dialect = dialect
    }

    /// True for a schema that takes everything.
    var allowsEverything: Bool { schema.bool == true || (schema.object?.members.isEmpty ?? false) }
    /// True for the schema `false`.
    var allowsNothing: Bool { schema.bool == false }

    /// Parts that look at the same value, whether or not they have to accept it.
    var inPlace: [Spot] {
        references + allOf + anyOf + oneOf
            + [not, condition?.test, condition?.then, condition?.otherwise].compactMap { $0 }
            + dependencies.compactMap(\.spot)
    }
    /// True when it says something about which members there may be.
    var describesMembers: Bool { !properties.isEmpty || !patternProperties.isEmpty || additional != nil }
}
