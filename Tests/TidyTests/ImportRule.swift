/// Which module may import which. A module's line names what is special about it; the rest is forbidden.
enum ImportRule {
    /// Modules that any module may import.
    static let everywhere: Set<String> = ["Glibc", "Synchronization"]

    /// Our modules with what they may import. A connector knows the kit and its C library, and nothing else of ours.
    static let table: [String: Set<String>] = [
        "ByteKit": [],
        "ChangeModel": ["ByteKit"],
        "ConnectorKit": ["ByteKit", "ChangeModel"],
        "ConnectorTesting": ["ByteKit", "ChangeModel", "ConnectorKit"],
        "JSONText": [],
        "JSONSchema": ["ByteKit", "JSONText", "CPCRE2"],
        "SchemaRegistry": ["ChangeModel", "ConnectorKit", "JSONSchema", "JSONText", "CLibCrypto", "Foundation"],
        "EventFormat": ["ByteKit", "ChangeModel", "ConnectorKit", "JSONSchema", "JSONText"],
        "EventLog": ["ByteKit", "ChangeModel", "ConnectorKit", "CLinux", "GRDB", "Foundation"],
        "Masking": ["ByteKit", "ChangeModel", "ConnectorKit", "CLibCrypto"],
        "Outbox": ["ByteKit", "ChangeModel", "ConnectorKit"],
        "Pipeline": [
            "ByteKit", "ChangeModel", "ConnectorKit", "EventFormat", "EventLog", "Masking", "Outbox", "SchemaRegistry",
            "Sensitivity", "Logging",
        ],
        "Sensitivity": ["ChangeModel", "ConnectorKit", "EventFormat", "EventLog", "Masking", "SchemaRegistry"],
        "Verification": ["ByteKit", "ChangeModel", "ConnectorKit", "EventLog", "Masking", "Outbox", "CSQLite"],
        "PipelineConfiguration": ["ConnectorKit", "Yams"],
        "Broker": [
            "ByteKit", "ChangeModel", "ConnectorKit", "EventFormat", "EventLog", "JSONText", "SchemaRegistry",
            "Sensitivity",
        ],
        "HTTPAPI": [
            "Broker", "ConnectorKit", "EventFormat", "EventLog", "JSONSchema", "JSONText", "SchemaRegistry",
            "HummingbirdCore", "HTTPTypes", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOHTTPTypes", "NIOHTTPTypesHTTP1",
            "Logging",
        ],
        "PostgresSource": ["ByteKit", "ChangeModel", "ConnectorKit", "CLibPQ"],
        "SQLiteSource": ["ByteKit", "ChangeModel", "ConnectorKit", "CSQLite"],
        "FileSink": ["ByteKit", "ChangeModel", "ConnectorKit", "CLinux", "CZlib", "CZstd"],
        "NATSSink": ["ByteKit", "ChangeModel", "ConnectorKit", "CNATS"],
        "WebhookSink": ["ByteKit", "ChangeModel", "ConnectorKit", "CLibCrypto", "CLibCurl", "CLinux"],
        "Millrace": [
            "Broker", "ByteKit", "CLinux", "ChangeModel", "ConnectorKit", "EventFormat", "EventLog", "FileSink",
            "HTTPAPI", "JSONSchema", "JSONText", "Masking", "NATSSink", "Outbox", "Pipeline", "PipelineConfiguration",
            "PostgresSource", "SQLiteSource",
            "SchemaRegistry", "Sensitivity", "Verification", "WebhookSink",
            "ArgumentParser", "Logging", "Foundation",
        ],
    ]

    /// An import line of a file.
    struct Import: Equatable {
        var module: String
        var line: Int
    }

    /// The imports of a file, whatever stands before the word, and without submodules.
    static func imports(of text: SwiftText) -> [Import] {
        let lines = String(decoding: text.code, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        let before: Set<Substring> = ["public", "package", "internal", "fileprivate", "private"]
        let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "let", "var", "typealias"]
        return zip(1..., lines).flatMap { number, line in
            line.split(separator: ";").compactMap { statement -> Import? in
                var words = statement.split(separator: " ").drop { before.contains($0) || $0.hasPrefix("@") }
                guard words.popFirst() == "import", var module = words.first else { return nil }
                if kinds.contains(module), let next = words.dropFirst().first { module = next }
                return Import(module: String(module.prefix { $0 != "." }), line: number)
            }
        }
    }

    /// The module that a file of the product belongs to: the second part of its path.
    static func module(of path: String) -> String {
        path.split(separator: "/").dropFirst().first.map(String.init) ?? ""
    }

    static func violations(_ file: RepositoryFile, _ table: [String: Set<String>] = table) -> [Violation] {
        let module = module(of: file.path)
        guard let allowed = table[module] else {
            return [Violation(path: file.path, line: 1, remedy: "give \(module) a line in the import table")]
        }
        return imports(of: SwiftText(file.text)).filter {
            !allowed.contains($0.module) && !everywhere.contains($0.module)
        }
        .map { found in
            let remedy =
                table[found.module] == nil
                ? "\(module) may not import \(found.module): see who may in the import table, and ask there"
                : "\(module) may not import \(found.module): give it what it needs as values or through the kit"
            return Violation(path: file.path, line: found.line, remedy: remedy)
        }
    }
}
