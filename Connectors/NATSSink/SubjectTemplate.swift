import ByteKit
import ConnectorKit

/// A subject with placeholders, as in `{name}.{schema}.{table}`.
///
/// What comes from the database can only ever be part of one token, but for the dots of a topic: see ``token(_:)``.
struct SubjectTemplate: Sendable, Equatable {
    enum Part: Sendable, Equatable {
        case literal(String)
        case schema, table, topic, key
    }
    let parts: [Part]
    /// The tokens that every topic begins with, where that is known.
    let topicFront: [String]

    /// Reads a template, or says what is wrong with it. The pipeline's name is put in at once. `topicPrefix` is what
    /// every topic begins with, before a dot.
    init(_ text: String, pipelineName: String, topicPrefix: String? = nil) throws(SettingProblem) {
        topicFront = topicPrefix.map { Self.tokens(of: $0) } ?? []
        var parts: [Part] = []
        var rest = text[...]
        while let open = rest.firstIndex(where: { $0 == "{" || $0 == "}" }) {
            if open > rest.startIndex { parts.append(.literal(String(rest[..<open]))) }
            guard rest[open] == "{", let close = rest[open...].firstIndex(of: "}") else {
                throw SettingProblem("subject", "the subject has a brace without its partner", hint: Self.known)
            }
            parts.append(try Self.placeholder(String(rest[rest.index(after: open)..<close]), pipelineName))
            rest = rest[rest.index(after: close)...]
        }
        if !rest.isEmpty { parts.append(.literal(String(rest))) }
        self.parts = parts
        try checkTokens()
    }

    /// True when records of one topic go to subjects of their own.
    var hasKey: Bool { parts.contains(.key) }

    /// The subject of records of a topic with a key.
    func subject(_ topic: Topic, key: String) -> String {
        var subject = ""
        for part in parts {
            switch part {
            case .literal(let text): subject += text
            case .schema: subject += Self.token(topic.schema)
            case .table: subject += Self.token(topic.table)
            case .topic: subject += Self.tokens(of: topic)
            case .key: subject += Self.token(key)
            }
        }
        return subject
    }

    /// Every subject that the template can give, and perhaps some more.
    var pattern: SubjectPattern {
        var tokens: [String] = [""]
        for part in parts {
            guard case .literal(let text) = part else {
                if part == .topic {
                    if tokens.last == "" { tokens.insert(contentsOf: topicFront, at: tokens.count - 1) }
                    tokens[tokens.count - 1] = ">"
                    break
                }
                tokens[tokens.count - 1] = "*"
                continue
            }
            for (index, piece) in text.split(separator: ".", omittingEmptySubsequences: false).enumerated() {
                if index > 0 {
                    tokens.append(String(piece))
                } else if tokens[tokens.count - 1] != "*" {
                    tokens[tokens.count - 1] += piece
                }
            }
        }
        return SubjectPattern(tokens.joined(separator: "."))
    }

    /// The template as the user may have written it.
    var text: String {
        parts.reduce(into: "") { text, part in
            switch part {
            case .literal(let literal): text += literal
            case .schema: text += "{schema}"
            case .table: text += "{table}"
            case .topic: text += "{topic}"
            case .key: text += "{key}"
            }
        }
    }

    /// A text as one token: what has a meaning in subjects (dots, `*`, `>`, blanks, a `$`, control characters) and the
    /// percent sign itself become `%XX`, so that it can be read back. An empty text is a lone `%`; a long one is its
    /// front, `%~`, which stands in no other token, and a hash of the whole.
    static func token(_ text: String) -> String {
        guard !text.isEmpty else { return "%" }
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if byte <= 0x20 || byte == 0x7F || special.contains(byte) {
                let hex = String(byte, radix: 16, uppercase: true)
                bytes += Array("%\(byte < 16 ? "0" : "")\(hex)".utf8)
            } else {
                bytes.append(byte)
            }
        }
        guard bytes.count > tokenBytesMax else { return String(decoding: bytes, as: UTF8.self) }
        var end = tokenBytesMax - 18
        while bytes[end] & 0xC0 == 0x80 { end -= 1 }
        if let percent = bytes[(end - 2)..<end].firstIndex(of: UInt8(ascii: "%")) { end = percent }
        let digits = String(hash(text), radix: 16, uppercase: true)
        let tail = "%~" + String(repeating: "0", count: 16 - digits.count) + digits
        return String(decoding: bytes[..<end], as: UTF8.self) + tail
    }

    /// Servers take 4096 bytes for subject and reply together unless they are told otherwise.
    static let tokenBytesMax = 255
    private static let special: Set<UInt8> = [
        UInt8(ascii: "."), UInt8(ascii: "*"), UInt8(ascii: ">"), UInt8(ascii: "%"), UInt8(ascii: "$"),
    ]

    /// `schema.table`, or the dots of a topic that the application chose.
    private static func tokens(of topic: Topic) -> String {
        guard let routed = topic.routed else { return token(topic.schema) + "." + token(topic.table) }
        return tokens(of: routed).joined(separator: ".")
    }

    private static func tokens(of topic: String) -> [String] {
        topic.split(separator: ".", omittingEmptySubsequences: false).map { token(String($0)) }
    }

    /// FNV-1a with 64 bits: the same at every start.
    private static func hash(_ name: String) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return hash
    }

    private static let known = "the placeholders are {name}, {schema}, {table}, {topic} and {key}"

    private static func placeholder(_ name: String, _ pipelineName: String) throws(SettingProblem) -> Part {
        switch name {
        case "name": return .literal(token(pipelineName))
        case "schema": return .schema
        case "table": return .table
        case "topic": return .topic
        case "key": return .key
        default: throw SettingProblem("subject", "the subject has the unknown placeholder {\(name)}", hint: known)
        }
    }

    /// A subject is tokens between dots, none of them empty; what is written in the template is no wildcard.
    private func checkTokens() throws(SettingProblem) {
        let example = subject(Topic(schema: "s", table: "t"), key: "k")
        let tokens = example.split(separator: ".", omittingEmptySubsequences: false)
        let hasEmpty = tokens.contains { $0.isEmpty }
        let hasSpecial = example.utf8.contains { $0 <= 0x20 || $0 == 0x7F || $0 == 0x2A || $0 == 0x3E }
        guard !hasEmpty, !hasSpecial, !example.hasPrefix("$"), example.utf8.count <= 1024 else {
            throw SettingProblem(
                "subject", "\(text) does not make subjects that can be published to",
                hint: "write tokens with dots between them, without blanks, * or >, such as {name}.{schema}.{table}")
        }
    }
}
