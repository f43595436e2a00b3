/// What the columns of an outbox table mean: each of its rows is an event of the application, not a change of a row.
///
/// It is stored with the relation, so an event stays what it was when the configuration changes.
public struct OutboxRoute: Sendable, Hashable, Codable {
    /// What the payload is taken for.
    public enum Content: String, Sendable, Hashable, Codable, CaseIterable {
        /// What its type says; text that is a JSON object or array is JSON.
        case auto
        /// JSON, whatever its type is.
        case json
        /// Text, even when it looks like JSON.
        case text
    }

    /// A column that becomes an attribute of the event.
    public struct Attribute: Sendable, Hashable, Codable {
        /// The attribute's name: 1 to 20 small letters and digits.
        public var name: String
        /// The column's index in the relation.
        public var column: Int

        /// An attribute of its parts.
        public init(name: String, column: Int) {
            self.name = name
            self.column = column
        }
    }

    /// Index of the column with the event's id.
    public var id: Int
    /// Index of the column with the event's type.
    public var type: Int
    /// Index of the column with the kind of thing that the event is about.
    public var aggregateType: Int
    /// Index of the column that says which thing it is about: the event's key.
    public var aggregateID: Int
    /// Index of the column with the event's data.
    public var payload: Int
    /// Columns that become attributes.
    public var attributes: [Attribute]
    /// What the payload is taken for.
    public var content: Content
    /// The topic up to the aggregate type, or the whole topic.
    public var topicPrefix: String
    /// The topic behind the aggregate type; nil for a topic without it.
    public var topicSuffix: String?

    /// A route of its parts.
    public init(
        id: Int, type: Int, aggregateType: Int, aggregateID: Int, payload: Int, attributes: [Attribute] = [],
        content: Content = .auto, topicPrefix: String = "outbox.event.", topicSuffix: String? = ""
    ) {
        self.id = id
        self.type = type
        self.aggregateType = aggregateType
        self.aggregateID = aggregateID
        self.payload = payload
        self.attributes = attributes
        self.content = content
        self.topicPrefix = topicPrefix
        self.topicSuffix = topicSuffix
    }

    /// JSON may be nested this deep: readers have limits of their own, and one value must not cost the whole event.
    public static let jsonDepthMax = 100

    /// True when every index is one of `columnCount` columns.
    public func fits(columnCount: Int) -> Bool {
        ([id, type, aggregateType, aggregateID, payload] + attributes.map(\.column)).allSatisfy {
            (0..<columnCount).contains($0)
        }
    }
}
