import ChangeModel
import ConnectorKit
import Testing

@testable import PostgresSource

struct ReadPaceTests {
    @Test func singleCommitsAreReadAtOnce() {
        var pace = ReadPace()
        var now = ContinuousClock.now
        for _ in 0..<1000 {
            now += .milliseconds(5)
            for _ in 0..<3 {
                now += .microseconds(50)
                pace.didRead(200, at: now)
            }
            #expect(!pace.isBacklog)
        }
    }

    @Test func aTrickleWithoutPauseIsABacklogUntilSeveralPausesBringLittle() {
        var pace = ReadPace()
        var now = ContinuousClock.now
        for _ in 0...ReadPace.runLength {
            now += .microseconds(10)
            pace.didRead(150, at: now)
        }
        #expect(pace.isBacklog)
        pace.didRead(100_000, at: now + .milliseconds(1))
        #expect(pace.isBacklog)
        for number in 1...ReadPace.trickleLength {
            #expect(pace.isBacklog)
            pace.didRead(150, at: now + .milliseconds(1 + number))
        }
        #expect(!pace.isBacklog)
    }

    @Test func oneLargeReadIsABacklog() {
        var pace = ReadPace()
        pace.didRead(1 << 20, at: .now)
        #expect(pace.isBacklog)
    }
}

struct FeedbackClockTests {
    @Test func advancesAreToldPromptlyAndIdleServersHearFromUs() {
        let start = ContinuousClock.now
        var clock = FeedbackClock(interval: .seconds(10), senderTimeout: .seconds(60), told: LSN(5), now: start)
        #expect(clock.due(acknowledged: LSN(5)) == start + .seconds(10))
        #expect(clock.due(acknowledged: LSN(6)) == start + .milliseconds(100))
        clock.sent(LSN(6), at: start + .seconds(1))
        #expect(clock.told == LSN(6))
        #expect(clock.due(acknowledged: LSN(6)) == start + .seconds(11))
    }

    @Test func anImpatientServerHearsInTime() {
        let start = ContinuousClock.now
        let clock = FeedbackClock(interval: .seconds(10), senderTimeout: .seconds(3), told: LSN(5), now: start)
        #expect(clock.due(acknowledged: LSN(5)) == start + .seconds(1))
    }
}

struct SilenceWatchTests {
    @Test func aSilentServerIsAskedOnceAndGivenUpWhenItDoesNotAnswer() {
        let start = ContinuousClock.now
        var watch = SilenceWatch(senderTimeout: .seconds(60), now: start)
        #expect(watch.due == start + .seconds(30))
        #expect(watch.step(at: start + .seconds(29)) == .wait)
        #expect(watch.step(at: start + .seconds(31)) == .ask)
        #expect(watch.due == start + .seconds(61))
        #expect(watch.step(at: start + .seconds(60)) == .wait)
        #expect(watch.step(at: start + .seconds(61)) == .giveUp)
        watch.heard(at: start + .seconds(62))
        #expect(watch.step(at: start + .seconds(90)) == .wait)
    }

    @Test func aThreadThatWasHeldUpAsksBeforeItGivesUp() {
        let start = ContinuousClock.now
        var watch = SilenceWatch(senderTimeout: nil, now: start)
        #expect(watch.patience == .seconds(60))
        #expect(watch.step(at: start + .seconds(600)) == .ask)
        #expect(watch.step(at: start + .seconds(629)) == .wait)
        #expect(watch.step(at: start + .seconds(630)) == .giveUp)
    }
}

struct WALEndTests {
    @Test func anEmptyPageIsRoundedDownToItsStart() {
        let (page, segment) = (UInt64(8192), UInt64(16 << 20))
        #expect(WALEnd.reachable(LSN(8192 * 5 + 24), pageBytes: page, segmentBytes: segment) == LSN(8192 * 5))
        #expect(WALEnd.reachable(LSN(8192 * 5 + 32), pageBytes: page, segmentBytes: segment) == LSN(8192 * 5 + 32))
        #expect(WALEnd.reachable(LSN((16 << 20) + 40), pageBytes: page, segmentBytes: segment) == LSN(16 << 20))
        #expect(WALEnd.reachable(LSN((16 << 20) + 48), pageBytes: page, segmentBytes: segment) == LSN((16 << 20) + 48))
    }
}

struct ServerErrorTests {
    @Test func theStateIsFoundInAnyLanguage() {
        let english = ServerError(
            libpqMessage:
                "connection to server at \"::1\", port 1 failed: FATAL:  28P01: password failed\nLOCATION:  a, b.c:1\n")
        #expect(english.sqlState == "28P01")
        #expect(english.message == "password failed")
        let plain =
            "connection to server at \"h\", port 1 failed: FATAL:  28000: no pg_hba.conf entry for …, no encryption\n"
        // With sslmode=prefer libpq tries again without TLS; what was said before counts.
        let refused = ServerError(
            libpqMessage: "connection to server at \"h\", port 1 failed: FATAL:  28P01: password failed\n"
                + "password retrieved from file \"/p\"\n" + plain)
        #expect(refused.sqlState == "28P01")
        #expect(refused.passwordFile == "/p")
        let keyless = ServerError(
            libpqMessage: "connection to server at \"h\", port 1 failed: could not load private key file\n" + plain)
        #expect(keyless.sqlState == nil)
        #expect(keyless.message.contains("private key file"))
        let elsewhere = ServerError(
            libpqMessage: "connection to server at \"g\", port 1 failed: Connection refused\n" + plain)
        #expect(elsewhere.sqlState == "28000")
        let german = ServerError(libpqMessage: "… fehlgeschlagen: FATAL:  3D000: Datenbank »x« existiert nicht\n")
        #expect(german.sqlState == "3D000")
        #expect(ServerError(libpqMessage: "connection refused\n").sqlState == nil)
        #expect(ServerError(libpqMessage: "").message == "no answer")
    }
}

struct PostgresSettingsTests {
    private func settings(_ values: [String: SettingValue], name: String = "shop") throws(SettingProblem)
        -> PostgresSettings
    {
        let base: [String: SettingValue] = ["url": .text("postgres://u@h/db"), "tables": .list(["public.*"])]
        return try PostgresSettings(values: SettingValues(base.merging(values) { $1 }), pipelineName: name)
    }

    @Test func namesComeFromThePipeline() throws {
        let settings = try settings([:], name: "My-Shop é")
        #expect(settings.slot == "millrace_my_shop__")
        #expect(settings.publication == "millrace_my_shop__")
        #expect(settings.statusInterval == .seconds(10))
    }

    @Test func numericIsAStringUnlessTheFileSaysNumber() throws {
        #expect(try settings([:]).numeric == .numeric)
        #expect(try settings(["numeric": .text("string")]).numeric == .numeric)
        #expect(try settings(["numeric": .text("number")]).numeric == .number)
    }

    @Test func whatLibpqDoesNotTakeIsNamedWithoutItsText() {
        for url in ["", "mysql://u:secret@h", "host=h secret"] {
            #expect {
                try settings(["url": .text(url)])
            } throws: {
                let problem = $0 as? SettingProblem
                return problem?.setting == "url" && problem?.message.contains("secret") == false
            }
        }
        #expect(throws: Never.self) { try settings(["url": .text("host=/tmp dbname=x options='-c x=y'")]) }
    }

    /// What libpq says otherwise may hold a part of a password.
    @Test(arguments: [
        ("postgresql://u@h/d?foo_bar=1", true), ("host=h foo_bar=1", true), ("postgresql://u@h/d?Sec/ret=1", false),
        ("postgresql://u@h/d?foo_bar", false),
    ])
    func aParameterThatLibpqDoesNotKnowIsNamed(url: String, isNamed: Bool) {
        #expect {
            try settings(["url": .text(url)])
        } throws: {
            let text = ($0 as? SettingProblem)?.message ?? ""
            return text.contains("\"foo_bar\"") == isNamed && !text.contains("Sec")
        }
    }

    @Test func badNamesAreProblemsOfTheirSettings() {
        for (setting, value) in [
            ("slot", SettingValue.text("Upper")), ("slot", .text("")), ("publication", .text("")),
            ("tables", .list([])), ("tables[1]", .list(["public.*", "orders"])), ("status_interval", .duration(.zero)),
        ] {
            #expect {
                try settings([setting.replacing("[1]", with: ""): value])
            } throws: {
                ($0 as? SettingProblem)?.setting == setting
            }
        }
    }
}

struct SQLTextTests {
    @Test func namesAndTextsAreQuoted() {
        #expect(SQLText.identifier("a\"b") == "\"a\"\"b\"")
        #expect(SQLText.literal("it's") == "'it''s'")
    }
}
