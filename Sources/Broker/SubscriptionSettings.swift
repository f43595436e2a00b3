package import ConnectorKit
internal import EventFormat
package import JSONText

/// What a subscription wants, as whoever makes it says it.
package struct SubscriptionSettings: Sendable, Equatable {
    /// The tables, as patterns; without any, all.
    package var tables: [String] = []
    /// The form of the events.
    package var format = "cloudevents"
    /// The most sensitive class that its consumers see; nil for all that readers may see.
    package var clearance: SensitivityClass?
    /// How long a consumer has an event before another one gets it.
    package var ackTimeout = Duration.seconds(30)
    /// How many events consumers have at a time.
    package var inFlightMax = 1000
    /// How often an event is given out before it is a dead letter; 0 for no bound.
    package var deliveryMax = 10

    /// What is wrong with what somebody said, in a sentence.
    package struct Problem: Error, Equatable {
        /// The sentence.
        package var message: String
    }

    /// The members of a body that makes a subscription; `from` counts when it is made, and is read apart.
    private static let names = [
        "tables", "format", "clearance", "ack_timeout", "max_in_flight", "max_deliveries", "from",
    ]
    private static let tableCountMax = 100

    /// What stands in a body, which must be an object of JSON without repeated members.
    package init(_ body: JSONObject) throws(Problem) {
        if let strange = body.members.first(where: { !Self.names.contains($0.name) }) {
            throw Problem(
                message: "\"\(strange.name)\" is no member of a subscription: there are "
                    + Self.names.joined(separator: ", "))
        }
        if let value = body["tables"] { tables = try Self.tables(value) }
        if let value = body["format"] {
            let words = EventView.formats.map(\.rawValue)
            guard let text = value.string, words.contains(text) else {
                throw Problem(message: "\"format\" is one of \(words.joined(separator: ", "))")
            }
            format = text
        }
        if let value = body["clearance"], !value.isNull {
            guard let known = value.string.flatMap(SensitivityClass.init) else {
                let words = SensitivityClass.allCases.map(\.rawValue).joined(separator: ", ")
                throw Problem(message: "\"clearance\" is the most sensitive class to see: one of \(words)")
            }
            clearance = known
        }
        if let value = body["ack_timeout"] {
            guard let time = value.string.flatMap(Self.duration), (.seconds(1) ... .seconds(43_200)).contains(time)
            else { throw Problem(message: "\"ack_timeout\" is a time between 1s and 12h, such as \"30s\"") }
            ackTimeout = time
        }
        inFlightMax = try Self.number(body["max_in_flight"], "max_in_flight", 1...10_000) ?? inFlightMax
        deliveryMax = try Self.number(body["max_deliveries"], "max_deliveries", 0...1000) ?? deliveryMax
    }

    /// As it is stored and shown.
    package var json: JSONValue {
        [
            "tables": .array(tables.map { .string($0) }), "format": .string(format),
            "clearance": clearance.map { .string($0.rawValue) } ?? .null,
            "ack_timeout": .string(Self.text(ackTimeout)), "max_in_flight": .number(JSONNumber(inFlightMax)),
            "max_deliveries": .number(JSONNumber(deliveryMax)),
        ]
    }

    /// What its consumers see, of what readers may see at all.
    package func view(atMost clearance: Clearance) -> EventView {
        let own = self.clearance.map { min($0, clearance.highest) } ?? clearance.highest
        return EventView(
            tables: tables.map { TablePattern($0) }, format: EventFormat(rawValue: format) ?? .cloudEvents,
            clearance: Clearance(own))
    }

    var limits: SubscriptionState.Limits {
        SubscriptionState.Limits(
            ackTime: ackTimeout.microseconds, inFlightMax: inFlightMax, deliveryMax: deliveryMax)
    }

    private static func tables(_ value: JSONValue) throws(Problem) -> [String] {
        let texts = value.array?.compactMap(\.string) ?? []
        guard let items = value.array, items.count == texts.count, texts.count <= tableCountMax,
            texts.allSatisfy({ !$0.isEmpty && TablePattern($0).isWellFormed })
        else { throw Problem(message: "\"tables\" is a list of patterns such as \"public.orders\" or \"public.*\"") }
        return texts
    }

    private static func number(
        _ value: JSONValue?, _ name: String, _ range: ClosedRange<Int>
    ) throws(Problem) -> Int? {
        guard let value else { return nil }
        guard let number = value.number?.integer, range.contains(number) else {
            throw Problem(message: "\"\(name)\" is a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A time such as `250ms`, `30s`, `5m` or `2h`; nil for anything else.
    package static func duration(_ text: String) -> Duration? {
        let digits = text.prefix { ("0"..."9").contains($0) }
        guard digits.utf8.count <= 9, let number = Int(digits) else { return nil }
        switch text.dropFirst(digits.count) {
        case "ms": return .milliseconds(number)
        case "s": return .seconds(number)
        case "m": return .seconds(number * 60)
        case "h": return .seconds(number * 3600)
        default: return nil
        }
    }

    private static func text(_ time: Duration) -> String {
        let milliseconds = time.microseconds / 1000
        return milliseconds % 1000 == 0 ? "\(milliseconds / 1000)s" : "\(milliseconds)ms"
    }
}
