internal import ByteKit
internal import ChangeModel

/// The runs of bytes between the context attributes of an event that change from row to row, where these stand beside
/// the data: a line `name:value` for each attribute.
struct ContextFragments {
    /// Up to the sequence in the id.
    var head = ByteRange.empty
    /// From the id to the time, by the operation's raw value less one.
    var middles: [ByteRange] = []
}

extension FragmentWriter {
    mutating func contextFragments(_ version: RelationVersion, _ pipelineName: String) -> ContextFragments {
        var fragments = ContextFragments()
        fragments.head = fragment { text in
            text.append("specversion:1.0\nid:")
            text.append(attribute: pipelineName + "-")
        }
        fragments.middles = Operation.allCases.map { operation in
            fragment { text in
                text.append("\nsource:")
                text.append(attribute: "/millrace/" + uriSegment(pipelineName))
                text.append("\ntype:")
                text.append(attribute: eventType(version.relation, operation))
                text.append("\ndatacontenttype:application/json\ndataschema:")
                text.append(attribute: dataSchema(version))
                text.append("\ntime:")
            }
        }
        return fragments
    }

    mutating func outboxContextFragments(
        _ relation: Relation, _ route: OutboxRoute, _ pipelineName: String
    ) -> OutboxFragments {
        var fragments = OutboxFragments()
        fragments.head = fragment { $0.append("specversion:1.0\nid:") }
        fragments.type = fragment { text in
            text.append("\nsource:")
            text.append(attribute: outboxSource(relation, pipelineName))
            text.append("\ntype:")
        }
        fragments.attributes = route.attributes.map { attribute in fragment { $0.append(utf8: attribute.name + ":") } }
        return fragments
    }
}

extension OutputBuffer {
    /// Appends text as the value of an attribute in a line of its own. Attributes of CloudEvents have no control
    /// characters: one is spelled as its bytes with percent signs, such as `%0A`; nothing else is changed.
    mutating func append(attribute text: RawSpan) {
        guard UTF8Check.hasControlCharacters(text) else { return append(text) }
        var place = 0
        while place < text.byteCount {
            let byte = text.byte(place)
            let length = byte < 0x20 || byte == 0x7F ? 1 : byte == 0xC2 && text.byte(place &+ 1) < 0xA0 ? 2 : 0
            if length == 0 { append(byte) }
            for offset in 0..<length {
                append(UInt8(ascii: "%"))
                append(hex: UInt64(text.byte(place &+ offset)), width: 2)
            }
            place &+= max(length, 1)
        }
    }

    /// The same for text of a configuration or a relation. Not for the row path.
    mutating func append(attribute text: String) {
        let bytes = [UInt8](text.utf8)
        append(attribute: bytes.rawBytes)
    }
}

func appendAttribute(_ text: borrowing OutputBuffer, to output: inout OutputBuffer) {
    output.append(attribute: text.bytes)
}
