import ConnectorKit
import PipelineConfiguration

/// Tables that have every kind of setting.
let sampleTables = ConnectorTables(
    sources: [
        "postgres": [
            Setting("url", .text, "The server's address.", isRequired: true, isSecret: true),
            Setting("tables", .list, "The tables.", default: .list(["public.*"])),
            Setting("slot", .text, "The slot."),
            Setting("window", .integer(1...64), "How many batches are read ahead.", default: .integer(8)),
            Setting("keepalive", .duration, "How often the server hears from us.", default: .duration(.seconds(10))),
        ],
        "sqlite": [Setting("path", .text, "The database file.", isRequired: true)],
    ],
    sinks: [
        "file": [
            Setting("path", .text, "Where the files go; `{table}` is the table | schema.", isRequired: true),
            Setting(
                "roll",
                .group([
                    Setting("size", .size, "A file ends at this size.", default: .size(256 << 20)),
                    Setting("age", .duration, "A file ends at this age."),
                ]), "When a new file begins."),
            Setting("sync", .flag, "Whether every batch waits for the disk.", default: .flag(true)),
            Setting("compress", .choice(["none", "gzip"]), "How files are packed.", default: .text("none")),
        ],
        "hook": [
            Setting("url", .text, "Where to send.", isRequired: true),
            Setting(
                "auth", .group([Setting("token", .text, "The token.", isRequired: true, isSecret: true)]), "Who we are."
            ),
        ],
    ])

/// A file in which every line matters.
let goodFile = """
    name: shop
    source:
      postgres:
        url: ${DATABASE_URL}
        tables: [public.orders, 'public.cust*']
        window: 4
        keepalive: 250ms
    schemas: {directory: contracts}
    log:
      directory: /var/lib/millrace
      retention: {age: 2h, size: 64MiB}
    sinks:
      archive:
        file: {path: "out/{table}.jsonl", roll: {age: 5m}, sync: false, compress: gzip}
      partner:
        hook:
          url: https://partner.example/${PATH_PART:-hooks}/$$
          auth: {token: "${HOOK_TOKEN}"}
        tables: [public.orders]
        format: row

    """

let sampleEnvironment = ["DATABASE_URL": "postgres://shop:hunter2@db/shop", "HOOK_TOKEN": "tok-5ecret", "EMPTY": ""]

/// Loads a text with the sample tables; problems come back as an error.
func load(
    _ text: String, environment: [String: String] = sampleEnvironment, folder: String = "/etc/millrace"
) throws(ConfigurationProblems) -> PipelineConfiguration {
    try load(bytes: Array(text.utf8), environment: environment, folder: folder)
}

/// Loads bytes with the sample tables.
func load(
    bytes: [UInt8], environment: [String: String] = sampleEnvironment, folder: String = "/etc/millrace"
) throws(ConfigurationProblems) -> PipelineConfiguration {
    let loader = ConfigurationLoader(tables: sampleTables) { environment[$0] }
    return try loader.load(bytes, file: "millrace.yaml", folder: folder)
}

/// The problems of a text as `code path line:column message (hint)`.
func problems(_ text: String, environment: [String: String] = sampleEnvironment) -> [String] {
    problems(bytes: Array(text.utf8), environment: environment)
}

/// The problems of bytes, in the same form.
func problems(bytes: [UInt8], environment: [String: String] = sampleEnvironment) -> [String] {
    do throws(ConfigurationProblems) {
        _ = try load(bytes: bytes, environment: environment)
        return []
    } catch {
        return error.problems.map { problem in
            let place = problem.position.map { "\($0.line):\($0.column)" } ?? "-"
            let hint = problem.hint.map { " (\($0))" } ?? ""
            return "\(problem.code) \(problem.path ?? "-") \(place) \(problem.message)\(hint)"
        }
    }
}
