internal import ByteKit
internal import ChangeModel
internal import ConnectorKit

/// The topics of one batch that come from rows of outboxes, each once. Nothing is allocated for a row whose topic is
/// known.
struct RoutedTopics: ~Copyable {
    /// The name of a topic while it is put together.
    var name = OutputBuffer(capacity: 64)
    private(set) var topics: [Topic] = []
    private var text = OutputBuffer(capacity: 256)
    private var entries: [Entry] = []
    /// Indices of ``entries`` by hash; where two have one, the next number is taken.
    private var places: [UInt64: Int] = [:]

    private struct Entry {
        var relation: Relation
        var name: Range<Int>
    }

    /// The index of a relation's topic with the present ``name``; a new one is added.
    mutating func index(of plan: ColumnPlan) -> Int {
        let relation = plan.version.relation
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for place in 0..<name.count { hash = (hash ^ UInt64(name.bytes.byte(place))) &* 0x100_0000_01B3 }
        while let known = places[hash] {
            let entry = entries[known]
            if entry.relation === relation, text.bytes.extracting(entry.name).hasSameBytes(as: name.bytes) {
                return known
            }
            hash &+= 1
        }
        let start = text.count
        text.append(contentsOf: name)
        places[hash] = entries.count
        entries.append(Entry(relation: relation, name: start..<text.count))
        topics.append(
            Topic(
                schema: relation.schema, table: relation.name,
                routed: String(validatingUTF8: name.bytes) ?? relation.name, header: plan.header))
        return entries.count - 1
    }
}
