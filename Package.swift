// swift-tools-version: 6.2
import PackageDescription

/// Every target: Swift 6 mode, warnings are errors, explicit existentials and imports.
let house: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]
/// Targets on the row path: every unsafe operation is marked, and non-escapable views may be stored.
let rowPath: [SwiftSetting] =
    house + [
        .strictMemorySafety(),
        .enableExperimentalFeature("Lifetimes"),
    ]

let grdb = Target.Dependency.product(name: "GRDB", package: "GRDB.swift")
let yams = Target.Dependency.product(name: "Yams", package: "Yams")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
/// The listener of Hummingbird without its router and what that brings, and the types that it is spoken to in.
let httpServer: [Target.Dependency] = [
    .product(name: "HummingbirdCore", package: "hummingbird"),
    .product(name: "HTTPTypes", package: "swift-http-types"),
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
    .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
]

let package = Package(
    name: "millrace",
    products: [.executable(name: "millrace", targets: ["Millrace"])],
    dependencies: [
        .package(url: "https://github.com/groue/GRDB.swift", exact: "7.10.0"),
        .package(url: "https://github.com/jpsim/Yams", exact: "6.2.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", exact: "2.28.1", traits: []),
        .package(url: "https://github.com/apple/swift-http-types.git", exact: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-nio.git", exact: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", exact: "1.35.2"),
    ],
    targets: [
        .systemLibrary(name: "CLinux", path: "Sources/CLinux"),
        .systemLibrary(name: "CLibPQ", path: "Sources/CLibPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(
            name: "CSQLite", path: "Sources/CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(
            name: "CLibCrypto", path: "Sources/CLibCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CLibCurl", path: "Sources/CLibCurl", pkgConfig: "libcurl",
            providers: [.apt(["libcurl4-openssl-dev"])]),
        .systemLibrary(
            name: "CNATS", path: "Sources/CNATS", pkgConfig: "libnats", providers: [.apt(["libnats-dev"])]),
        .systemLibrary(
            name: "CPCRE2", path: "Sources/CPCRE2", pkgConfig: "libpcre2-8", providers: [.apt(["libpcre2-dev"])]),
        .systemLibrary(name: "CZlib", path: "Sources/CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstd", path: "Sources/CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),

        .target(name: "ByteKit", swiftSettings: rowPath),
        .target(name: "ChangeModel", dependencies: ["ByteKit"], swiftSettings: rowPath),
        .target(name: "ConnectorKit", dependencies: ["ByteKit", "ChangeModel"], swiftSettings: rowPath),
        .target(
            name: "ConnectorTesting", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit"], swiftSettings: rowPath),
        .target(name: "JSONText", swiftSettings: house),
        .target(name: "JSONSchema", dependencies: ["ByteKit", "JSONText", "CPCRE2"], swiftSettings: rowPath),
        .target(
            name: "SchemaRegistry",
            dependencies: ["ChangeModel", "ConnectorKit", "JSONSchema", "JSONText", "CLibCrypto"],
            swiftSettings: house),
        .target(
            name: "EventFormat", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "JSONSchema", "JSONText"],
            swiftSettings: rowPath),
        .target(
            name: "EventLog", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "CLinux", grdb],
            swiftSettings: house),
        .target(
            name: "Masking", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "CLibCrypto"],
            swiftSettings: rowPath),
        .target(name: "Outbox", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit"], swiftSettings: rowPath),
        .target(
            name: "Pipeline",
            dependencies: [
                "ByteKit", "ChangeModel", "ConnectorKit", "EventFormat", "EventLog", "Masking", "Outbox",
                "SchemaRegistry", "Sensitivity", logging,
            ],
            swiftSettings: house),
        .target(
            name: "Sensitivity",
            dependencies: ["ChangeModel", "ConnectorKit", "EventFormat", "EventLog", "Masking", "SchemaRegistry"],
            swiftSettings: house),
        .target(
            name: "Verification",
            dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "EventLog", "Masking", "Outbox", "CSQLite"],
            swiftSettings: house),
        .target(
            name: "Broker",
            dependencies: [
                "ByteKit", "ChangeModel", "ConnectorKit", "EventFormat", "EventLog", "JSONText", "SchemaRegistry",
                "Sensitivity",
            ],
            swiftSettings: house),
        .target(name: "PipelineConfiguration", dependencies: ["ConnectorKit", yams], swiftSettings: house),
        .target(
            name: "HTTPAPI",
            dependencies: [
                "Broker", "ConnectorKit", "EventFormat", "EventLog", "JSONSchema", "JSONText", "SchemaRegistry",
                logging,
            ] + httpServer,
            swiftSettings: house),

        .target(
            name: "PostgresSource", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "CLibPQ"],
            path: "Connectors/PostgresSource", swiftSettings: rowPath),
        .target(
            name: "SQLiteSource", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "CSQLite"],
            path: "Connectors/SQLiteSource", swiftSettings: rowPath),
        .target(
            name: "FileSink", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "CLinux", "CZlib", "CZstd"],
            path: "Connectors/FileSink", swiftSettings: rowPath),
        .target(
            name: "WebhookSink",
            dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "CLibCrypto", "CLibCurl", "CLinux"],
            path: "Connectors/WebhookSink", swiftSettings: rowPath),
        .target(
            name: "NATSSink", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "CNATS"],
            path: "Connectors/NATSSink", swiftSettings: rowPath),

        .executableTarget(
            name: "Millrace",
            dependencies: [
                "Broker", "ByteKit", "CLinux", "ChangeModel", "ConnectorKit", "EventFormat", "EventLog", "HTTPAPI",
                "JSONSchema", "JSONText", "Masking", "Outbox", "Pipeline", "PipelineConfiguration", "SchemaRegistry",
                "Sensitivity", "Verification", "PostgresSource", "SQLiteSource", "FileSink", "NATSSink", "WebhookSink",
                arguments, logging,
            ],
            swiftSettings: house),

        .testTarget(name: "ByteKitTests", dependencies: ["ByteKit", "ConnectorTesting"], swiftSettings: house),
        .testTarget(
            name: "ChangeModelTests", dependencies: ["ByteKit", "ChangeModel", "ConnectorTesting"], swiftSettings: house
        ),
        .testTarget(
            name: "ConnectorKitTests", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "ConnectorTesting"],
            swiftSettings: house),
        .testTarget(name: "JSONTextTests", dependencies: ["JSONText"], swiftSettings: house),
        .testTarget(
            name: "JSONSchemaTests", dependencies: ["ByteKit", "ConnectorTesting", "JSONSchema", "JSONText"],
            exclude: ["Suite"],
            swiftSettings: house),
        .testTarget(
            name: "SchemaRegistryTests",
            dependencies: [
                "ChangeModel", "ConnectorKit", "JSONSchema", "JSONText", "ProgramTesting", "SchemaRegistry", "Millrace",
            ],
            swiftSettings: house),
        .testTarget(
            name: "EventFormatTests",
            dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "ConnectorTesting", "EventFormat", "JSONText"],
            swiftSettings: house),
        .testTarget(
            name: "EventLogTests",
            dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "EventLog", "ProgramTesting", grdb],
            swiftSettings: house),
        .testTarget(
            name: "MaskingTests", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "Masking"],
            swiftSettings: house),
        .testTarget(
            name: "SensitivityTests",
            dependencies: [
                "ByteKit", "ChangeModel", "ConnectorKit", "EventFormat", "EventLog", "SchemaRegistry", "Sensitivity",
            ],
            swiftSettings: house),
        .testTarget(
            name: "OutboxTests", dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "EventFormat", "Outbox"],
            swiftSettings: house),
        .testTarget(
            name: "PipelineTests",
            dependencies: [
                "ByteKit", "ChangeModel", "ConnectorKit", "ConnectorTesting", "EventFormat", "EventLog", "Outbox",
                "Pipeline", "SchemaRegistry", logging,
            ],
            swiftSettings: house),
        .testTarget(
            name: "VerificationTests",
            dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "EventLog", "Verification"],
            swiftSettings: house),
        .testTarget(
            name: "BrokerTests",
            dependencies: [
                "Broker", "ByteKit", "ChangeModel", "ConnectorKit", "ConnectorTesting", "EventFormat", "EventLog",
                "JSONText", "SchemaRegistry", "Sensitivity",
            ],
            swiftSettings: house),
        .testTarget(
            name: "HTTPAPITests",
            dependencies: ["ConnectorKit", "HTTPAPI", "JSONText", "ProgramTesting", "SchemaRegistry", logging],
            swiftSettings: house),
        .testTarget(
            name: "PipelineConfigurationTests",
            dependencies: ["ConnectorKit", "ConnectorTesting", "PipelineConfiguration"],
            swiftSettings: house),
        .testTarget(
            name: "PostgresSourceTests",
            dependencies: [
                "ByteKit", "ChangeModel", "ConnectorKit", "ConnectorTesting", "EventFormat", "JSONText",
                "PostgresSource",
                "ProgramTesting", "SchemaRegistry",
            ],
            swiftSettings: house),
        .testTarget(
            name: "SQLiteSourceTests",
            dependencies: ["ByteKit", "ChangeModel", "ConnectorKit", "ConnectorTesting", "SQLiteSource"],
            swiftSettings: house),
        .testTarget(
            name: "FileSinkTests",
            dependencies: [
                "ByteKit", "ChangeModel", "ConnectorKit", "ConnectorTesting", "FileSink", "ProgramTesting",
            ],
            swiftSettings: house),
        .testTarget(
            name: "WebhookSinkTests",
            dependencies: [
                "ByteKit", "ChangeModel", "ConnectorKit", "ConnectorTesting", "ProgramTesting", "WebhookSink",
            ],
            exclude: ["Front"],
            swiftSettings: house),
        .testTarget(
            name: "NATSSinkTests",
            dependencies: [
                "ByteKit", "ChangeModel", "ConnectorKit", "ConnectorTesting", "NATSSink", "ProgramTesting", "CNATS",
            ],
            exclude: ["Accounts"], swiftSettings: house),
        .target(
            name: "ProgramTesting", dependencies: ["CNATS"], path: "Tests/ProgramTesting", swiftSettings: house),
        .testTarget(
            name: "IntegrationTests", dependencies: ["JSONText", "ProgramTesting", "Millrace"],
            exclude: ["Debezium", "RegistryClient", "WebhookClient"],
            swiftSettings: house),
        .testTarget(
            name: "FaultTests",
            dependencies: [
                "ChangeModel", "ConnectorKit", "ConnectorTesting", "EventFormat", "EventLog", "Pipeline",
                "ProgramTesting",
                "SchemaRegistry", "Millrace", logging,
            ],
            swiftSettings: house),
        .testTarget(name: "TidyTests", dependencies: ["ProgramTesting", "Millrace"], swiftSettings: house),
    ]
)
