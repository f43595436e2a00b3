import ChangeModel
import Testing

@Suite struct LSNTests {
    @Test(arguments: [0, 1, 0xF, 0x16B_3748, 0xFFFF_FFFF, 0x1_0000_0000, 0x1_0000_0001, 0xABCD_EF01_2345_6789, .max])
    func textReadsBackToTheSameByte(value: UInt64) {
        #expect(LSN(LSN(value).description) == LSN(value))
    }

    @Test func textIsTheServers() {
        #expect(LSN(0x16B_3748).description == "0/16B3748")
        #expect(LSN(.max).description == "FFFFFFFF/FFFFFFFF")
        #expect(LSN(0x1_0000_0000).description == "1/0")
        #expect(LSN("0/16b3748") == LSN(0x16B_3748))
        #expect(LSN("00000000/016B3748") == LSN(0x16B_3748))
        #expect(LSN("xx0/16B3748".dropFirst(2)) == LSN(0x16B_3748))
    }

    @Test(arguments: [
        "", "/", "0", "0/", "/0", "0/0/0", "0//0", "g/0", "0/g", "-1/0", "+1/0", "0/+1", " 0/1", "0/1 ", "0x1/0",
        "123456789/0", "0/123456789", "0/\u{FF11}", "0/\u{0}1", "0\\1",
    ])
    func otherTextIsNoPosition(text: String) { #expect(LSN(text) == nil) }

    @Test func earlierIsLess() {
        #expect(LSN(1) < LSN(2))
        #expect(LSN(0xFFFF_FFFF) < LSN(0x1_0000_0000))
        #expect(!(LSN(2) < LSN(2)))
    }
}
