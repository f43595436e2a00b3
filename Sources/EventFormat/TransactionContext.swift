internal import ByteKit
internal import JSONText

/// Why what an application said about a transaction gave no context, or not all of it. Nothing of it is in here.
package enum ContextProblem: Error, Equatable, CaseIterable, Sendable {
    case notJSON, notAnObject, tooManyAttributes
    case badName, badValue, badTraceParent, badTraceState

    /// What is wrong, for people.
    package var text: String {
        switch self {
        case .notJSON: "its content is not JSON"
        case .notAnObject: "its content is not a JSON object"
        case .tooManyAttributes: "it has more than \(TransactionContext.attributesMax) attributes"
        case .badName: "a name in it is not 1 to 20 small letters and digits, comes twice, or belongs to the event"
        case .badValue: "a value in it is not a text of printable characters, or is empty"
        case .badTraceParent: "its traceparent is not what W3C Trace Context says"
        case .badTraceState: "its tracestate is not what W3C Trace Context says, or has no traceparent"
        }
    }
}

/// What an application says about a transaction by a message at its head: attributes for all of its events.
struct TransactionContext {
    /// With more attributes nothing is read.
    static let attributesMax = 16
    /// CloudEvents: attribute names should not be longer.
    static let nameLengthMax = 20

    /// An attribute of an event.
    struct Attribute: Equatable {
        var name: String
        var value: String
    }
    /// What is to be written into events.
    var attributes: [Attribute] = []
    /// The first thing that is wrong. Attributes that are not concerned are read all the same.
    var problem: ContextProblem?

    /// Attributes of an event that only the event itself may set.
    private static let takenNames: Set<String> = [
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema", "data", "database64",
        "sequence", "partitionkey", "recordedtime", "aggregatetype",
    ]

    /// Reads what the application said.
    static func read(_ content: RawSpan) -> TransactionContext {
        guard let text = String(validatingUTF8: content), let value = try? JSONValue(parsing: text, depthMax: 8) else {
            return TransactionContext(problem: .notJSON)
        }
        guard case .object(let object) = value else { return TransactionContext(problem: .notAnObject) }
        guard object.members.count <= attributesMax else { return TransactionContext(problem: .tooManyAttributes) }
        return TransactionContext(object)
    }

    private init(problem: ContextProblem) { self.problem = problem }

    private init(_ object: JSONObject) {
        for member in object.members {
            do throws(ContextProblem) {
                guard let value = try Self.checked(member, attributes.map(\.name)) else { continue }
                attributes.append(Attribute(name: member.name, value: value))
            } catch {
                problem = problem ?? error
            }
        }
        if !attributes.contains(where: { $0.name == "traceparent" }),
            let state = attributes.firstIndex(where: { $0.name == "tracestate" })
        {
            attributes.remove(at: state)
            problem = problem ?? .badTraceState
        }
    }

    /// The value of a member; nil for JSON's null, which says nothing.
    private static func checked(
        _ member: JSONObject.Member, _ earlier: [String]
    ) throws(ContextProblem) -> String? {
        let name = member.name
        guard (1...nameLengthMax).contains(name.utf8.count), name.utf8.allSatisfy(isNameByte),
            !takenNames.contains(name), !earlier.contains(name)
        else { throw .badName }
        if case .null = member.value { return nil }
        guard case .string(let value) = member.value, !value.isEmpty, value.unicodeScalars.allSatisfy(isPrintable)
        else { throw .badValue }
        if name == "traceparent", !TraceContext.isParent(value) { throw .badTraceParent }
        if name == "tracestate", !TraceContext.isState(value) { throw .badTraceState }
        return value
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
    }

    /// CloudEvents: a String has no control characters and no noncharacters.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        !(0...0x1F).contains(scalar.value) && !(0x7F...0x9F).contains(scalar.value)
            && !(0xFDD0...0xFDEF).contains(scalar.value) && scalar.value & 0xFFFE != 0xFFFE
    }
}

/// The forms of "W3C Trace Context", level 1, sections 3.2 and 3.3.
enum TraceContext {
    /// True for a `traceparent`: of version 00 exactly, or of a later one whose front is in the form of 00.
    static func isParent(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        guard bytes.count >= 55, bytes.count <= 512 else { return false }
        let hyphens = [2, 35, 52]
        for (place, byte) in bytes.prefix(55).enumerated() {
            guard hyphens.contains(place) ? byte == UInt8(ascii: "-") : isHex(byte) else { return false }
        }
        let version = bytes[0..<2]
        let isFirst = version.elementsEqual("00".utf8)
        guard !version.elementsEqual("ff".utf8), !isFirst || bytes.count == 55,
            bytes.count == 55 || bytes[55] == UInt8(ascii: "-")
        else { return false }
        let zero = UInt8(ascii: "0")
        return !bytes[3..<35].allSatisfy { $0 == zero } && !bytes[36..<52].allSatisfy { $0 == zero }
    }

    /// True for a `tracestate`: up to 32 members `key=value` of printable ASCII, in at most 512 characters.
    static func isState(_ text: String) -> Bool {
        guard text.utf8.count <= 512, text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else { return false }
        let members = text.split(separator: ",", omittingEmptySubsequences: false)
            .map { $0.drop { $0 == " " } }.filter { !$0.isEmpty }
        return (1...32).contains(members.count)
            && members.allSatisfy { member in
                guard let equals = member.firstIndex(of: "=") else { return false }
                let key = member[..<equals]
                let value = member[member.index(after: equals)...]
                return (1...256).contains(key.utf8.count) && key.utf8.allSatisfy(isKeyByte)
                    && (1...256).contains(value.utf8.count) && !value.contains("=")
            }
    }

    private static func isHex(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }

    private static func isKeyByte(_ byte: UInt8) -> Bool {
        (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
            || [UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: "/"), UInt8(ascii: "@")]
                .contains(byte)
    }
}
