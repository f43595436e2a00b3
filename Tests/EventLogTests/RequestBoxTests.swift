import ConnectorKit
import EventLog
import Foundation
import Testing

struct RequestBoxTests {
    private let folder = FileManager.default.temporaryDirectory.path + "/millrace-requests-" + UUID().uuidString

    @Test func requestsWaitInTheirOrderUntilTheyAreAnswered() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let box = RequestBox(logDirectory: folder)
        #expect(try box.pending() == [])
        var posted: [OperatorRequest] = []
        for number in 0..<5 {
            posted.append(OperatorRequest(.snapshot(tables: ["public.t\(number)"])))
            try box.post(posted[number])
        }
        let expected = posted.sorted { $0.id < $1.id }
        #expect(try RequestBox(logDirectory: folder).pending() == expected)
        #expect(box.takeAnswer(to: posted[0].id) == nil)
        let outcome = RequestOutcome(isDone: true, text: "begun")
        try box.answer(posted[0].id, outcome)
        #expect(try box.pending() == expected.filter { $0 != posted[0] })
        #expect(box.takeAnswer(to: posted[0].id) == outcome)
        #expect(box.takeAnswer(to: posted[0].id) == nil)
    }

    @Test(arguments: ["", "{", "{\"id\":\"other\"}", "\u{0}\u{1}", String(repeating: "x", count: 2 << 20)])
    func aFileThatIsNoRequestIsAnsweredAndRemoved(content: String) throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let box = RequestBox(logDirectory: folder)
        try box.post(OperatorRequest(.snapshot(tables: ["t"])))
        try content.write(toFile: folder + "/requests/odd.request", atomically: false, encoding: .utf8)
        #expect(try box.pending().count == 1)
        #expect(try box.pending().count == 1)
        #expect(box.takeAnswer(to: "odd")?.isDone == false)
        #expect(!FileManager.default.fileExists(atPath: folder + "/requests/odd.request"))
    }

    @Test func aHalfWrittenFileIsNeverSeen() throws {
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let box = RequestBox(logDirectory: folder)
        try box.post(OperatorRequest(.snapshot(tables: ["t"])))
        try "{\"id\":".write(toFile: folder + "/requests/.a.request-1", atomically: false, encoding: .utf8)
        #expect(try box.pending().count == 1)
        #expect(FileManager.default.fileExists(atPath: folder + "/requests/.a.request-1"))
    }
}
