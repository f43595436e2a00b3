import Foundation

/// The program under test, in a folder of its own with a configuration.
package struct MillraceProgram: Sendable {
    /// Where it runs, with `millrace.yaml` inside.
    package let folder: TemporaryFolder

    /// Makes the folder and writes the configuration.
    package init(configuration: String) throws {
        folder = try TemporaryFolder()
        try folder.write("millrace.yaml", configuration)
    }

    /// A pipeline `shop` that captures tables of a PostgreSQL into the file `out/all.jsonl`. `source` is added to the
    /// settings of the source, `more` beside it: a line or several each.
    package init(
        shop database: PostgresDatabase, tables: String..., source: String = "", schemas: String = "", more: String = ""
    ) throws {
        try self.init(
            configuration: """
                name: shop
                source:
                  postgres:
                    url: \(database.url)
                    tables: [\(tables.map { "public." + $0 }.joined(separator: ", "))]
                    slot: \(database.name)
                    publication: \(database.name)
                    \(source)
                schemas: {\(schemas)}
                \(more)
                sinks:
                  all:
                    file: {path: out/all.jsonl}
                """)
    }

    /// The program that was built beside the tests.
    package static var executable: String {
        let tests = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        return tests.deletingLastPathComponent().appendingPathComponent("millrace").path
    }

    /// Starts a command. With `haltAt` it stops dead at that point (`name:count`) and says so. `environment` is added
    /// to this process's own.
    package func start(
        _ arguments: String..., haltAt: String? = nil, environment: [String: String] = [:]
    ) throws -> ChildProcess {
        let halt = haltAt.map { ["MILLRACE_HALT_AT": $0] } ?? [:]
        return try ChildProcess(
            Self.executable, arguments, environment: environment.merging(halt) { $1 }, folder: folder.url)
    }

    /// Runs a command to its end.
    @discardableResult
    package func run(_ arguments: String...) throws -> ChildResult {
        try runProgram(Self.executable, arguments, folder: folder.url)
    }

    /// Runs until everything committed before is delivered. Throws with the program's own words when that fails.
    package func catchUp() throws {
        let result = try run("run", "--until-caught-up")
        guard result.exitCode == 0 else {
            throw ChildFailure(description: "run --until-caught-up ended with \(result.exitCode): \(result.errors)")
        }
    }

    /// The events in a file of the folder, in order. While the program runs, the last line may be unfinished.
    package func events(in file: String, ignoringTornEnd: Bool = false) throws -> [Event] {
        guard var text = try? String(contentsOfFile: folder.path(file), encoding: .utf8) else { return [] }
        if ignoringTornEnd {
            text = String(text[..<(text.lastIndex(of: "\n").map(text.index(after:)) ?? text.startIndex)])
        }
        return try Event.parse(lines: text)
    }

    /// The events in the log, as `tail` prints them.
    package func loggedEvents() throws -> [Event] {
        let result = try run("tail")
        guard result.exitCode == 0 else { throw ChildFailure(description: "tail: \(result.errors)") }
        return try Event.parse(lines: result.output)
    }
}
