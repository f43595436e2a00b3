/// What is known of all values of a column before any of them is seen, such as by its type.
///
/// It must hold for every value; whatever is not known is left as it is in ``anything``.
package struct ValueGuarantee: Sendable {
    /// Kinds of JSON values.
    package struct Kinds: OptionSet, Sendable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        package static let null = Kinds(rawValue: 1)
        package static let bool = Kinds(rawValue: 2)
        package static let number = Kinds(rawValue: 4)
        package static let string = Kinds(rawValue: 8)
        package static let array = Kinds(rawValue: 16)
        package static let object = Kinds(rawValue: 32)
        package static let all = Kinds(rawValue: 63)
    }

    /// Values are of these kinds.
    package var kinds: Kinds
    /// Numbers have no fraction.
    package var areNumbersWhole: Bool
    /// Numbers are not outside of these.
    package var numbers: ClosedRange<Int>?
    /// Strings have so many characters at least.
    package var lengthMin: Int
    /// Strings have so many characters at most.
    package var lengthMax: Int?
    /// Strings are among these.
    package var texts: [String]?
    /// Names of formats that all strings have, such as `uuid`.
    package var formats: Set<String>

    /// What is known; nothing by default.
    package init(
        kinds: Kinds = .all, areNumbersWhole: Bool = false, numbers: ClosedRange<Int>? = nil, lengthMin: Int = 0,
        lengthMax: Int? = nil, texts: [String]? = nil, formats: Set<String> = []
    ) {
        (self.kinds, self.areNumbersWhole, self.numbers) = (kinds, areNumbersWhole, numbers)
        (self.lengthMin, self.lengthMax, self.texts, self.formats) = (lengthMin, lengthMax, texts, formats)
    }

    /// Nothing is known.
    package static let anything = ValueGuarantee()
}
