/// How sensitive a column's values are, from least to most.
package enum SensitivityClass: String, Sendable, CaseIterable, Comparable {
    /// Everybody may see it.
    case `public`
    /// For everybody in the house.
    case `internal`
    /// For those who need it, such as personal data.
    case confidential
    /// For very few, such as secrets and numbers of cards.
    case restricted

    /// Less sensitive than another one.
    package static func < (a: SensitivityClass, b: SensitivityClass) -> Bool { a.rank < b.rank }

    private var rank: Int {
        switch self {
        case .public: 0
        case .internal: 1
        case .confidential: 2
        case .restricted: 3
        }
    }
}

/// Which classes somebody may see: all up to one.
package struct Clearance: Sendable, Hashable {
    /// The most sensitive class.
    package var highest: SensitivityClass

    /// All classes up to this one.
    package init(_ highest: SensitivityClass) { self.highest = highest }

    /// Who sees everything.
    package static let everything = Clearance(.restricted)
    /// Who is not given a clearance: what nobody classified is as a rule internal, and is seen.
    package static let usual = Clearance(.internal)

    /// True for a class that may be seen.
    package func allows(_ sensitivity: SensitivityClass) -> Bool { sensitivity <= highest }

    /// The classes that may not be seen.
    package var hidden: [SensitivityClass] { SensitivityClass.allCases.filter { !allows($0) } }
}
