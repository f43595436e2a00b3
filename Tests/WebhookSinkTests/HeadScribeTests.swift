import ByteKit
import ConnectorKit
import ProgramTesting
import Testing

@testable import WebhookSink

/// Heads of requests that are written before they are needed.
struct HeadScribeTests {
    private static let secret = SettingValue.text("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    private static let batch: RecordBatch = {
        var event = SampleEvent(1, key: "1", attributes: "type:shop.order\nsource:shop\n")
        event.headers = "__op:\"c\"\n"
        return .of([event, SampleEvent(2, key: "2", id: "shop 2")])
    }()

    private func settings(_ mode: String, hasHeaders: Bool = false) throws -> WebhookSettings {
        var settings = try SinkFixture.settings(1, ["secret": Self.secret, "mode": .text(mode)])
        settings.sendsRecordHeaders = hasHeaders
        return settings
    }

    /// What a scribe makes of a batch in the second 1795255200.
    private func parcel(of batch: RecordBatch, _ settings: WebhookSettings) throws -> Parcel {
        guard var scribe = try HeadScribe(settings, contentType: "application/json", second: { 1_795_255_200 }) else {
            throw ChildFailure(description: "no scribe")
        }
        return try scribe.parcel(of: batch)
    }

    private func heads(of index: Int, in parcel: Parcel, at second: Int) -> String? {
        var output = OutputBuffer()
        guard parcel.heads?.append(index, ofSecond: second, to: &output) == true else { return nil }
        return String(validatingUTF8: output.bytes)
    }

    @Test(arguments: [("structured", false), ("structured", true), ("binary", false)])
    func aHeadIsTheSameWhetherItIsWrittenAheadOrWhenItIsSent(mode: String, hasHeaders: Bool) throws {
        let settings = try settings(mode, hasHeaders: hasHeaders)
        var head = try RequestHead(settings, contentType: "application/json")
        let writer = RequestWriter(settings)
        let parcel = try parcel(of: Self.batch, settings)
        for index in 0..<2 {
            var output = OutputBuffer()
            let content = try writer.content(of: ParcelRecord(parcel: parcel, index: index))
            try head.append(content, timestamp: 1_795_255_200, to: &output)
            let written = try #require(heads(of: index, in: parcel, at: 1_795_255_200))
            #expect(written == String(validatingUTF8: output.bytes))
            #expect(written.contains("webhook-signature: v1,") && written.hasSuffix("\r\n\r\n"))
        }
    }

    /// The timestamp, which is signed, is that of the attempt.
    @Test func aHeadOfAnotherSecondIsNotUsed() throws {
        let parcel = try parcel(of: Self.batch, try settings("structured"))
        #expect(heads(of: 0, in: parcel, at: 1_795_255_200) != nil)
        #expect(heads(of: 0, in: parcel, at: 1_795_255_201) == nil)
        #expect(heads(of: 2, in: parcel, at: 1_795_255_200) == nil)
    }

    @Test func whatIsLargeIsSignedWhenItIsSent() throws {
        let large = String(repeating: "x", count: 100_000)
        let batch = RecordBatch.of([SampleEvent(1, key: "1", payload: large), SampleEvent(2, key: "2")])
        let parcel = try parcel(of: batch, try settings("structured"))
        #expect(heads(of: 0, in: parcel, at: 1_795_255_200) == nil)
        #expect(heads(of: 1, in: parcel, at: 1_795_255_200)?.contains("webhook-id: shop-2\r\n") == true)
    }
}
