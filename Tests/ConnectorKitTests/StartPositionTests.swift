import Testing

@testable import ConnectorKit

struct StartPositionTests {
    @Test(arguments: [
        ("earliest", StartPosition.earliest), ("latest", .latest), ("0", .offset(0)), ("42", .offset(42)),
        ("1970-01-02T00:00:00Z", .time(86_400_000_000)), ("1970-01-02", .time(86_400_000_000)),
        ("1970-01-01T02:00:00.5+02:00", .time(500_000)), ("1972-02-29T00:00:00Z", .time(68_169_600_000_000)),
        ("1972-06-30T23:59:60Z", .time(78_796_800_000_000)),
    ])
    func placesAreReadAsPeopleSayThem(text: String, position: StartPosition) {
        #expect(StartPosition(text) == position)
    }

    @Test(arguments: [
        "", "-3", "first", "1970-01", "2026-02-30T00:00:00Z", "2026-02-29", "2026-02-31T00:00:60Z", "2026-04-31",
        "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T10:00Z", "2026-01-01T10:00:00+2",
    ])
    func whatIsNoPlaceIsRefused(text: String) { #expect(StartPosition(text) == nil) }
}
