package import ConnectorKit

/// What `millrace doctor` looks at for a NATS sink. Makes and changes nothing.
package actor NATSDoctor {
    private let thread = BlockingThread(name: "nats-doctor")
    /// The doctor's own thread.
    package nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe thread.asUnownedSerialExecutor() }

    private let settings: NATSSettings
    private let known: KnownSink?

    /// A doctor for a sink with these settings, of which the log may know something.
    package init(_ settings: NATSSettings, _ known: KnownSink? = nil) {
        self.settings = settings
        self.known = known
    }

    /// Whether each server takes the connection, and whether the stream can be published to.
    package func findings() -> [Finding] {
        var findings: [Finding] = []
        var working: NATSConnection?
        for server in settings.servers {
            do throws(ConnectorFailure) {
                let connection = try NATSConnection(settings, server)
                findings.append(Finding(.ok, "nats.server", "\(server.name) takes connections"))
                working = working ?? connection
            } catch {
                findings.append(Self.finding(error, settings.servers.count > 1 ? .warning : .problem))
            }
        }
        guard let working else {
            if let last = findings.popLast() {
                findings.append(Finding(.problem, last.code, last.message, fix: last.fix))
            }
            return findings
        }
        return findings + streamFindings(working)
    }

    private func streamFindings(_ connection: NATSConnection) -> [Finding] {
        do throws(ConnectorFailure) {
            return findings(about: try connection.streamFacts())
        } catch {
            guard error.code == "nats.stream_missing", settings.newStream != nil else {
                return [Self.finding(error, .problem)]
            }
            do throws(ConnectorFailure) {
                if let known, let state = known.state,
                    try SinkState(decoding: state).hadMessages(before: known.nextOffset)
                {
                    return [Self.finding(NATSFailure.vanished(settings, known.name), .problem)]
                }
            } catch {
                return [Self.finding(error, .problem)]
            }
            return [
                Finding(.ok, "nats.stream", "the stream \(settings.stream) is not there yet; millrace run makes it")
            ]
        }
    }

    private func findings(about stream: StreamFacts) -> [Finding] {
        if let problem = stream.problem(for: settings) { return [Self.finding(problem, .problem)] }
        let name = settings.stream
        var findings = [
            Finding(
                .ok, "nats.stream",
                "the stream \(name) takes the events, and knows them again for "
                    + "\(stream.duplicateWindow.components.seconds) s")
        ]
        let wanted = settings.subject.pattern
        if !stream.subjects.contains(where: { SubjectPattern($0).covers(wanted) }) {
            findings.append(
                Finding(
                    .warning, "nats.subjects_partly",
                    "the stream \(name) takes \(stream.subjects.joined(separator: ", ")), which may not be all of "
                        + wanted.text,
                    fix: "nats stream edit \(name) --subjects '\(wanted.text)', unless the sink's tables all fit"))
        }
        if stream.forgetsConsumed {
            findings.append(
                Finding(
                    .warning, "nats.forgets_consumed",
                    "the stream \(name) forgets what is consumed, so that after a crash only the duplicate window "
                        + "keeps an event from being stored again",
                    fix: "nats stream add with --retention limits, and --dupe-window as long as an outage may be"))
        }
        if stream.isInMemory {
            findings.append(
                Finding(
                    .warning, "nats.in_memory",
                    "the stream \(name) is in memory: what it has stored is gone when its servers restart",
                    fix: "use --storage file where events must outlive them"))
        }
        return findings
    }

    private static func finding(_ failure: ConnectorFailure, _ level: Finding.Level) -> Finding {
        Finding(level, failure.code, failure.message, fix: failure.hint)
    }
}
