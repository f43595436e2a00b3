/// Comparisons of what a sink stored with the samples.
extension SinkConformance {
    /// What differs from the expected payloads, one sentence a topic.
    static func differences(_ stored: [String: [[UInt8]]], _ expected: [String: [[UInt8]]]) -> [String] {
        Set(stored.keys).union(expected.keys).sorted().compactMap { topic in
            let (has, wants) = (stored[topic] ?? [], expected[topic] ?? [])
            guard has != wants else { return nil }
            let place = zip(has, wants).enumerated().first { $1.0 != $1.1 }?.offset ?? min(has.count, wants.count)
            return "\(topic) has \(has.count) records, not \(wants.count), or others, first at record \(place)"
        }
    }

    /// Offsets of samples that are not stored under their topic.
    static func missing(in stored: [String: [[UInt8]]], _ offsets: Range<UInt64>) -> [UInt64] {
        let sets = stored.mapValues(Set.init)
        return offsets.filter { offset in
            let topic = SampleRecords.topicName(SampleRecords.topic(at: offset))
            return !(sets[topic]?.contains(SampleRecords.payload(at: offset)) ?? false)
        }
    }

    /// Offsets of samples that are stored more than once.
    static func repeated(in stored: [String: [[UInt8]]], _ offsets: Range<UInt64>) -> [UInt64] {
        var counts: [[UInt8]: Int] = [:]
        for payload in stored.values.joined() { counts[payload, default: 0] += 1 }
        return offsets.filter { counts[SampleRecords.payload(at: $0), default: 0] > 1 }
    }

    /// The payloads without those that appeared before.
    static func firstAppearances(_ payloads: [[UInt8]]) -> [[UInt8]] {
        var seen: Set<[UInt8]> = []
        return payloads.filter { seen.insert($0).inserted }
    }
}
