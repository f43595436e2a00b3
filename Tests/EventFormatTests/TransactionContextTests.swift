import ByteKit
import Testing

@testable import EventFormat

struct TransactionContextTests {
    private static let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

    private func read(_ content: String) -> (words: [String], problem: ContextProblem?) {
        let context = TransactionContext.read(Array(content.utf8).rawBytes)
        let words = context.attributes.flatMap { [$0.name, $0.value] }
        return (words, context.problem)
    }

    @Test func attributesAreReadInTheirOrder() {
        let content =
            #"{"correlationid":"a b","causationid":"ü","traceparent":"\#(Self.parent)","#
            + #""tracestate":"k=v,x=y","tenant1":"t"}"#
        let found = read(content)
        #expect(found.problem == nil)
        #expect(
            found.words == [
                "correlationid", "a b", "causationid", "ü", "traceparent", Self.parent, "tracestate", "k=v,x=y",
                "tenant1", "t",
            ])
    }

    @Test func nothingAndNullSayNothing() {
        #expect(read("{}").words.isEmpty)
        #expect(read("{}").problem == nil)
        #expect(read(#"{"correlationid":null}"#).problem == nil)
        #expect(read(#"{"correlationid":null}"#).words.isEmpty)
    }

    @Test(arguments: [
        ("", ContextProblem.notJSON), ("{", .notJSON), ("[]", .notAnObject), ("\"x\"", .notAnObject),
        (#"{"correlation_id":"x"}"#, .badName), (#"{"correlationId":"x"}"#, .badName), (#"{"id":"x"}"#, .badName),
        (#"{"data":"x"}"#, .badName), (#"{"":"x"}"#, .badName), (#"{"aaaaaaaaaaaaaaaaaaaaa":"x"}"#, .badName),
        (#"{"correlationid":1}"#, .badValue), (#"{"correlationid":""}"#, .badValue),
        (#"{"correlationid":"a\nb"}"#, .badValue), (#"{"correlationid":"a\u0000"}"#, .badValue),
        (#"{"correlationid":"\uFFFE"}"#, .badValue), (#"{"traceparent":"x"}"#, .badTraceParent),
        (#"{"tracestate":"k=v"}"#, .badTraceState),
    ])
    func whatCannotBeUsedIsNamed(content: String, problem: ContextProblem) {
        let found = read(content)
        #expect(found.problem == problem)
        #expect(found.words.isEmpty)
    }

    @Test func aBadAttributeLeavesTheOthers() {
        let found = read(#"{"id":"x","correlationid":"r1","correlationid":"r2","n":7}"#)
        #expect(found.words == ["correlationid", "r1"])
        #expect(found.problem == .badName)
    }

    @Test func moreAttributesThanTheBoundAreRefused() {
        let members = (0..<17).map { #""a\#($0)":"x""# }
        #expect(read("{" + members.dropLast().joined(separator: ",") + "}").words.count == 32)
        #expect(read("{" + members.joined(separator: ",") + "}").problem == .tooManyAttributes)
    }

    @Test func contentThatIsNotUTF8IsIgnored() {
        #expect(TransactionContext.read(([0x22, 0xFF, 0x22] as [UInt8]).rawBytes).problem == .notJSON)
    }

    private static let parents: [(String, Bool)] = [
        (parent, true), ("01" + parent.dropFirst(2) + "-more", true), ("01" + parent.dropFirst(2), true),
        (parent + "-more", false), ("ff" + parent.dropFirst(2), false), (parent.uppercased(), false),
        ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", false),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false),
        (parent.replacing("-", with: "_"), false), (String(parent.dropLast()), false),
        ("01" + parent.dropFirst(2) + "more", false),
    ]

    @Test(arguments: parents)
    func aTraceParentIsOfTheFormOfTraceContext(text: String, isRight: Bool) {
        #expect(TraceContext.isParent(text) == isRight)
    }

    private static let states: [(String, Bool)] = [
        ("k=v", true), ("k=v, x@y=z", true), ("k=v,,x=y", true), ("", false), ("k", false), ("K=v", false),
        ("k=", false), ("k=a=b", false), ("k=\u{7F}", false),
        (Array(repeating: "k=v", count: 33).joined(separator: ","), false),
        ("k=" + String(repeating: "v", count: 511), false),
    ]

    @Test(arguments: states)
    func aTraceStateIsOfTheFormOfTraceContext(text: String, isRight: Bool) {
        #expect(TraceContext.isState(text) == isRight)
    }
}
