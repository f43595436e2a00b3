package import ConnectorKit
package import JSONText

/// How sensitive the columns of a table are, by all versions of its contract.
///
/// A class holds until a later version states another one: a version that leaves it out takes nothing back. A column
/// that comes in the version in which a classified one goes may be that column under another name, and has its class
/// until a version states one.
package struct TableClasses: Sendable, Equatable {
    /// What holds from a version on.
    private struct State: Sendable, Equatable {
        var version: Int
        var table: SensitivityClass?
        var stated: [String: SensitivityClass] = [:]
        /// Classes of columns that may have had another name.
        var suspected: [String: SensitivityClass] = [:]
        /// The columns of the table as far as versions tell.
        var present: Set<String> = []
        /// All columns that a version ever named.
        var known: Set<String> = []
        var key: Set<String> = []
    }

    /// By version, lowest first.
    private var states: [State] = []
    /// What stands in versions where a class should, and is none.
    package private(set) var unknownWords: [String] = []

    /// What these versions say, lowest first. `documents` are schemas of others that they may refer to.
    package init(_ versions: [(version: Int, schema: JSONValue)], documents: [String: [JSONValue]] = [:]) {
        for (version, schema) in versions { append(version, ClassStatements(schema, documents: documents)) }
    }

    /// The highest version; nil for a subject without any.
    package var latest: Int? { states.last?.version }

    private mutating func append(_ version: Int, _ statements: ClassStatements) {
        var state = states.last ?? State(version: version)
        state.version = version
        state.table = statements.table ?? state.table
        let columns = statements.namesAll ? statements.named : state.present.union(statements.named)
        let lost = Self.strictest(of: state.present.subtracting(columns), in: state)
        for column in columns {
            if let stated = statements.stated[column] {
                state.stated[column] = stated
                state.suspected[column] = nil
            } else if let lost, !state.known.contains(column) {
                state.suspected[column] = lost
            }
        }
        state.present = columns
        state.key = statements.key
        state.known.formUnion(columns)
        states.append(state)
        unknownWords += statements.unknownWords
    }

    /// The strictest class that was stated for some columns.
    private static func strictest(of columns: Set<String>, in state: State) -> SensitivityClass? {
        columns.compactMap { column -> SensitivityClass? in
            let suspected = state.suspected[column]
            return state.stated[column].map { max($0, suspected ?? $0) } ?? suspected
        }.max()
    }

    private static func value(
        of column: String, in state: State, lost: SensitivityClass?, unclassified: SensitivityClass
    ) -> SensitivityClass {
        if let stated = state.stated[column] { return stated }
        let table = state.table ?? unclassified
        let suspected = state.suspected[column] ?? (state.known.contains(column) ? nil : lost)
        return suspected.map { max($0, table) } ?? table
    }

    /// The classes of a row's columns for an event under `version` (0: under none): of what that version and each later
    /// one say, the strictest. Nil when the version itself is not there, so that nobody knows what it said.
    package func classes(
        of columns: [String], under version: Int, unclassified: SensitivityClass
    ) -> [SensitivityClass]? {
        guard version == 0 || states.contains(where: { $0.version == version }) else { return nil }
        // Under no version, what the latest one says is all that is said about it.
        let states = version == 0 ? states.suffix(1) : states.filter { $0.version >= version }[...]
        var classes = [SensitivityClass?](repeating: nil, count: columns.count)
        for state in states {
            let lost = Self.strictest(of: state.present.subtracting(columns), in: state)
            for (index, column) in columns.enumerated() {
                let value = Self.value(of: column, in: state, lost: lost, unclassified: unclassified)
                classes[index] = max(classes[index] ?? value, value)
            }
        }
        return classes.map { $0 ?? unclassified }
    }

    /// A column of the latest version.
    package struct ClassifiedColumn: Sendable {
        /// Its name.
        package var name: String
        /// What holds for it.
        package var sensitivity: SensitivityClass
        /// True when a version says so of the column itself, or it may be a classified one under another name.
        package var isClassified: Bool
        /// True for a part of the key.
        package var isKey: Bool
    }

    /// The columns of the latest version with what holds for them.
    package func all(unclassified: SensitivityClass) -> [ClassifiedColumn] {
        guard let state = states.last else { return [] }
        return state.present.sorted().map { column in
            ClassifiedColumn(
                name: column, sensitivity: Self.value(of: column, in: state, lost: nil, unclassified: unclassified),
                isClassified: state.stated[column] != nil || state.suspected[column] != nil,
                isKey: state.key.contains(column))
        }
    }

    /// The class of columns without their own, when a version states one.
    package var table: SensitivityClass? { states.last?.table }

    /// The columns that have a class only because they may be classified ones under another name.
    package var suspected: [String] { states.last?.suspected.keys.sorted() ?? [] }

    /// A schema for the next version with the classes that hold for its columns by the versions before it.
    ///
    /// What it states itself stays, and where it `raisesOnly`, as far as it is not less than what holds.
    func carried(into next: JSONValue, raisesOnly: Bool = false) -> JSONValue {
        guard var schema = next.object, let properties = schema["properties"]?.object, let last = states.last else {
            return next
        }
        var after = self
        after.append(last.version + 1, ClassStatements(next.withoutClasses))
        guard let state = after.states.last else { return next }
        schema["properties"] = .object(
            JSONObject(
                properties.members.map { member in
                    // What is only suspected is written where it is sure not to be less than what holds without.
                    let suspected = state.suspected[member.name].flatMap { $0 == .restricted ? $0 : nil }
                    guard var property = member.value.object, let holds = state.stated[member.name] ?? suspected else {
                        return member
                    }
                    let own = property[ClassStatements.keyword]?.string.flatMap(SensitivityClass.init)
                    property[ClassStatements.keyword] = .string(Self.next(own, holds, raisesOnly).rawValue)
                    return .init(name: member.name, value: .object(property))
                }))
        if let table = state.table {
            let own = schema[ClassStatements.keyword]?.string.flatMap(SensitivityClass.init)
            schema[ClassStatements.keyword] = .string(Self.next(own, table, raisesOnly).rawValue)
        }
        return .object(schema)
    }

    private static func next(
        _ own: SensitivityClass?, _ holds: SensitivityClass, _ raisesOnly: Bool
    ) -> SensitivityClass {
        own.map { raisesOnly ? max($0, holds) : $0 } ?? holds
    }
}
