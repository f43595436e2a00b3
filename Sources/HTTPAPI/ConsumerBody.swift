import Broker
import ConnectorKit
import JSONText

/// The bodies that consumers send. One that is empty stands for an empty object.
struct ConsumerBody {
    let members: JSONObject

    /// Reads a body whose members have these names; nil for any. Throws 400 for anything else.
    init(_ request: APIRequest, _ names: [String]?) throws(HTTPProblem) {
        if names != nil { try request.refuseUnknown([]) }
        guard !request.body.isEmpty else {
            members = JSONObject([])
            return
        }
        let value: JSONValue
        do {
            value = try JSONValue(parsing: request.body, depthMax: 8)
        } catch {
            throw HTTPProblem(400, "the body is no JSON: \(error)")
        }
        guard let members = value.object else { throw HTTPProblem(400, "the body is no JSON object") }
        if let name = value.repeatedName { throw HTTPProblem(400, "the body has more than one \"\(name)\"") }
        if let names, let strange = members.members.first(where: { !names.contains($0.name) }) {
            throw HTTPProblem(
                400, "\"\(strange.name)\" is no member of this body: there are \(names.joined(separator: ", "))")
        }
        self.members = members
    }

    /// The receipts, of which there must be one at least.
    func receipts(max: Int) throws(HTTPProblem) -> [Receipt] {
        let texts = members["receipts"]?.array ?? []
        let receipts = texts.compactMap { $0.string.flatMap { Receipt($0) } }
        guard !receipts.isEmpty, receipts.count == texts.count, receipts.count <= max else {
            throw HTTPProblem(400, "\"receipts\" is a list of 1 to \(max) receipts as pull gives them")
        }
        return receipts
    }

    /// Log offsets; nil for all.
    func offsets() throws(HTTPProblem) -> [UInt64]? {
        guard let value = members["offsets"] else { return nil }
        let offsets = (value.array ?? []).compactMap { $0.number.flatMap { UInt64($0.text) } }
        guard let items = value.array, offsets.count == items.count else {
            throw HTTPProblem(400, "\"offsets\" is a list of log offsets")
        }
        return offsets
    }

    /// Where to begin.
    func start() throws(HTTPProblem) -> StartPosition? {
        guard let value = members["from"] else { return nil }
        let text = value.string ?? value.number?.text ?? ""
        return try EventQuery.start(text)
    }

    /// A number in a range.
    func count(_ name: String, _ range: ClosedRange<Int>) throws(HTTPProblem) -> Int? {
        guard let value = members[name] else { return nil }
        guard let number = value.number?.integer, range.contains(number) else {
            throw HTTPProblem(400, "\"\(name)\" is a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return number
    }

    /// A time of so many seconds at most.
    func time(_ name: String, max: Int) throws(HTTPProblem) -> Duration? {
        guard let value = members[name] else { return nil }
        guard let time = value.string.flatMap(SubscriptionSettings.duration), time <= .seconds(max) else {
            let longest = max >= 3600 ? "\(max / 3600)h" : "\(max)s"
            throw HTTPProblem(400, "\"\(name)\" is a time up to \(longest), such as \"500ms\" or \"20s\"")
        }
        return time
    }
}
