import ChangeModel
import Testing

@testable import Broker

struct LogPlaceTests {
    @Test func aPlaceIsReadAsItIsWritten() {
        let place = LogPlace(offset: 1042, identity: ChangeIdentity(commit: 0x16B_3748, ordinal: 10))
        #expect(place.text == "1042.16B3748.A")
        #expect(LogPlace(place.text) == place)
        let last = LogPlace(offset: .max - 1, identity: ChangeIdentity(commit: .max, ordinal: .max))
        #expect(LogPlace(last.text) == last)
    }

    @Test func anythingElseIsNone() {
        for text in [
            "", "1", "1.2", "1.2.3.4", "1.x.3", "-1.2.3", "1.2.-3", " 1.2.3", "18446744073709551615.1.1", "1..1",
            "1.2.1FFFFFFFF", "shop-00000000016B3748-0000000A",
        ] {
            #expect(LogPlace(text) == nil, "\(text)")
        }
    }
}
