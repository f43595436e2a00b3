import ConnectorKit
import Testing

@Suite struct SettingTests {
    @Test func eachAccessorReadsItsKindOnly() {
        let inner = SettingValues(["x": .flag(true)])
        let all: [SettingValue] = [
            .text("t"), .integer(7), .flag(false), .duration(.seconds(5)), .size(1 << 40), .list(["a"]), .group(inner),
        ]
        for (index, value) in all.enumerated() {
            let values = SettingValues(["v": value])
            #expect((values.text("v") == "t") == (index == 0))
            #expect((values.integer("v") == 7) == (index == 1))
            #expect((values.flag("v") == false) == (index == 2))
            #expect((values.duration("v") == .seconds(5)) == (index == 3))
            #expect((values.size("v") == 1 << 40) == (index == 4))
            #expect((values.list("v") == ["a"]) == (index == 5))
            #expect((values.group("v") == inner) == (index == 6))
            #expect(values["v"] == value)
            #expect(values["other"] == nil)
        }
    }
}
