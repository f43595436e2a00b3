/// What a setting holds and how its text is read.
public indirect enum SettingKind: Sendable {
    /// Any text.
    case text
    /// A whole number in a range.
    case integer(ClosedRange<Int>)
    /// `true` or `false`.
    case flag
    /// A number with a unit: `250ms`, `30s`, `5m`, `2h`, `7d`.
    case duration
    /// A number of bytes with a unit: `512KiB`, `64MiB`, `10GiB`.
    case size
    /// A list of texts.
    case list
    /// One of some words.
    case choice([String])
    /// Settings inside of this one.
    case group([Setting])
    /// A list of mappings, each with these settings.
    case groups([Setting])
    /// Texts under names that the user chooses, each in a form: as a regular expression for the JSON Schema, and in
    /// words for the manual.
    case map(pattern: String, words: String)
}

/// One setting of a connector, declared once: the parser, the JSON Schema, the manual and the redaction of secrets all
/// read this table.
public struct Setting: Sendable {
    /// The name in the file, snake_case.
    public var name: String
    /// What it holds.
    public var kind: SettingKind
    /// What it means, in a sentence or two, with its unit and what follows from it.
    public var summary: String
    /// The value when the file says nothing; nil for "none".
    public var defaultValue: SettingValue?
    /// True when the file must say it.
    public var isRequired: Bool
    /// True when the value must never be printed.
    public var isSecret: Bool

    /// A setting of its parts.
    public init(
        _ name: String, _ kind: SettingKind, _ summary: String, default defaultValue: SettingValue? = nil,
        isRequired: Bool = false, isSecret: Bool = false
    ) {
        self.name = name
        self.kind = kind
        self.summary = summary
        self.defaultValue = defaultValue
        self.isRequired = isRequired
        self.isSecret = isSecret
    }
}

/// The value of a setting, in the form that its kind says.
public enum SettingValue: Sendable, Equatable {
    /// For `text` and `choice`.
    case text(String)
    /// For `integer`.
    case integer(Int)
    /// For `flag`.
    case flag(Bool)
    /// For `duration`.
    case duration(Duration)
    /// For `size`, in bytes.
    case size(Int)
    /// For `list`.
    case list([String])
    /// For `group`.
    case group(SettingValues)
    /// For `groups`.
    case groups([SettingValues])
    /// For `map`.
    case map([String: String])
}

/// The values of a table of settings, checked against their kinds and filled up with defaults.
public struct SettingValues: Sendable, Equatable {
    private var values: [String: SettingValue]
    private var given: Set<String> = []

    /// Values by setting name.
    public init(_ values: [String: SettingValue] = [:]) { self.values = values }

    /// Equal when all values are, whether the file says them or not.
    public static func == (a: SettingValues, b: SettingValues) -> Bool { a.values == b.values }

    /// True when the file says the setting, a default aside.
    public func isGiven(_ name: String) -> Bool { given.contains(name) }

    /// Notes that the file says a setting.
    public mutating func note(given name: String) { given.insert(name) }

    /// The value of a setting; nil when neither the file nor a default gives one.
    public subscript(name: String) -> SettingValue? {
        get { values[name] }
        set { values[name] = newValue }
    }

    /// The text of a `text` or `choice` setting.
    public func text(_ name: String) -> String? {
        if case .text(let value) = values[name] { value } else { nil }
    }
    /// The number of an `integer` setting.
    public func integer(_ name: String) -> Int? {
        if case .integer(let value) = values[name] { value } else { nil }
    }
    /// The truth of a `flag` setting.
    public func flag(_ name: String) -> Bool? {
        if case .flag(let value) = values[name] { value } else { nil }
    }
    /// The length of a `duration` setting.
    public func duration(_ name: String) -> Duration? {
        if case .duration(let value) = values[name] { value } else { nil }
    }
    /// The bytes of a `size` setting.
    public func size(_ name: String) -> Int? {
        if case .size(let value) = values[name] { value } else { nil }
    }
    /// The texts of a `list` setting.
    public func list(_ name: String) -> [String]? {
        if case .list(let value) = values[name] { value } else { nil }
    }
    /// The values inside of a `group` setting.
    public func group(_ name: String) -> SettingValues? {
        if case .group(let value) = values[name] { value } else { nil }
    }
    /// The values inside of each mapping of a `groups` setting.
    public func groups(_ name: String) -> [SettingValues]? {
        if case .groups(let value) = values[name] { value } else { nil }
    }
    /// The texts of a `map` setting by their names.
    public func map(_ name: String) -> [String: String]? {
        if case .map(let value) = values[name] { value } else { nil }
    }
}

/// What is wrong with a setting beyond its kind, such as a path template with an unknown placeholder.
public struct SettingProblem: Error, Sendable, Equatable {
    /// The setting's place inside of the connector's table, such as `rotate.size`.
    public var setting: String
    /// What is wrong, in one sentence.
    public var message: String
    /// What to write instead.
    public var hint: String?
    /// What else is wrong, found with it.
    public var others: [SettingProblem] = []

    /// A problem of its parts.
    public init(_ setting: String, _ message: String, hint: String? = nil) {
        self.setting = setting
        self.message = message
        self.hint = hint
    }

    /// It and the others.
    public var all: [SettingProblem] {
        var first = self
        first.others = []
        return [first] + others.flatMap(\.all)
    }
}

/// Looks at settings one after the other and keeps everything that is wrong, so that nobody mends a file twice.
public struct SettingCheck {
    private var found: [SettingProblem] = []

    /// A check that found nothing yet.
    public init() {}

    /// Notes what is wrong.
    public mutating func note(_ problem: SettingProblem) { found += problem.all }

    /// What a piece of work gives; nil when a setting that it looks at is wrong.
    @discardableResult
    public mutating func attempt<Value>(_ work: () throws(SettingProblem) -> Value) -> Value? {
        do throws(SettingProblem) {
            return try work()
        } catch {
            note(error)
            return nil
        }
    }

    /// Throws the first problem with the others in it; nothing without any.
    public func finish() throws(SettingProblem) {
        guard var first = found.first else { return }
        first.others = Array(found.dropFirst())
        throw first
    }

    /// The value of an ``attempt(_:)``. Throws what ``finish()`` throws when there is none.
    public func value<Value>(_ attempted: Value?) throws(SettingProblem) -> Value {
        try finish()
        guard let attempted else { throw SettingProblem("", "could not be read") }
        return attempted
    }
}
