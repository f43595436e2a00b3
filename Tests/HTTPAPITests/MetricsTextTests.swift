import Testing

@testable import HTTPAPI

struct MetricsTextTests {
    @Test func figuresAreWrittenWithTheirLabelsEscaped() {
        var text = MetricsText()
        text.add("a_total", .counter, "How many.", 7)
        text.add("b", .gauge, "How much.", [([("sink", "x\"\\\ny"), ("z", "")], "1.5"), ([("sink", "ü")], "-2")])
        text.add("c", .gauge, "Nothing.", Int?.none)
        text.add("d", .gauge, "Nothing.", [])
        #expect(
            text.text == """
                # HELP a_total How many.
                # TYPE a_total counter
                a_total 7
                # HELP b How much.
                # TYPE b gauge
                b{sink="x\\"\\\\\\ny",z=""} 1.5
                b{sink="ü"} -2

                """)
    }
}
