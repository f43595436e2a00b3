import ProgramTesting

/// Waits until a condition holds, far longer than it takes: only a hang gets to the limit.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    let end = ContinuousClock.now + .seconds(120)
    while try await !condition() {
        guard ContinuousClock.now < end else { throw ChildFailure(description: "no \(what)") }
        try await Task.sleep(for: .milliseconds(5))
    }
}

/// The pause before a next attempt, as a pipeline makes it.
func pauseBeforeNextAttempt() async throws { try await Task.sleep(for: .milliseconds(100)) }
