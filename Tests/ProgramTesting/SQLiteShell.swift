/// SQLite's command line tool. It waits for what another process has locked, instead of failing with
/// "database is locked".
package enum SQLiteShell {
    /// Runs statements or one dot command (`.read 'FILE'` for a long script) on a database file to their end, and
    /// returns what they printed. The first error is the last thing that is done, and is thrown.
    @discardableResult
    package static func run(_ database: String, _ script: String) throws -> String {
        let result = try runProgram(
            "/usr/bin/sqlite3", ["-batch", "-bail", "-cmd", ".timeout 10000", database, script])
        guard result.exitCode == 0 else { throw ChildFailure(description: "sqlite3: \(result.errors)") }
        return result.output
    }
}

extension MillraceProgram {
    /// Runs statements on a SQLite file of the folder: see ``SQLiteShell/run(_:_:)``.
    @discardableResult
    package func sqlite(_ file: String, _ statements: String) throws -> String {
        try SQLiteShell.run(folder.path(file), statements)
    }
}
