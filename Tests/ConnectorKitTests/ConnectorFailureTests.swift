import ConnectorKit
import Testing

@Suite struct ConnectorFailureTests {
    @Test func failuresAreEqualInEveryPartOrNotAtAll() {
        let failure = ConnectorFailure("a.b", .stop, "what", setting: "s", hint: "h", exitCode: 2)
        #expect(failure == ConnectorFailure("a.b", .stop, "what", setting: "s", hint: "h", exitCode: 2))
        let others = [
            ConnectorFailure("a.c", .stop, "what", setting: "s", hint: "h", exitCode: 2),
            ConnectorFailure("a.b", .retry, "what", setting: "s", hint: "h", exitCode: 2),
            ConnectorFailure("a.b", .stop, "other", setting: "s", hint: "h", exitCode: 2),
            ConnectorFailure("a.b", .stop, "what", setting: nil, hint: "h", exitCode: 2),
            ConnectorFailure("a.b", .stop, "what", setting: "s", hint: "g", exitCode: 2),
            ConnectorFailure("a.b", .stop, "what", setting: "s", hint: "h"),
        ]
        for other in others { #expect(failure != other) }
        #expect(ConnectorFailure("a.b", .retry, "what").exitCode == 3)
    }

    @Test func findingsAreOrderedFromGoodToBad() {
        let levels: [Finding.Level] = [.ok, .warning, .problem]
        #expect(levels.shuffled().sorted() == levels)
        #expect(levels.max() == .problem)
        for level in levels { #expect(!(level < level)) }
    }
}
