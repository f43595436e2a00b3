import ConnectorKit
import EventLog
import PipelineConfiguration

extension Project {
    /// What `doctor` finds of the sinks: where they deliver to, and whether what the log knows of them still fits.
    func sinkFindings() async -> [Finding] {
        let log = try? LogReader(directory: logDirectory)
        var found: [Finding] = []
        for sink in sinks {
            let known = known(sink.configuration.name, log)
            if let known, !retention.dropsUndelivered, let failure = log?.failure(at: known.nextOffset) {
                // The sink was not in the configuration when retention removed what it is to go on with.
                let text = "the sink \(known.name) cannot go on: \(failure.message)"
                found.append(Finding(.problem, failure.code, text, fix: failure.hint))
            }
            found += await sink.settings.findings(known)
        }
        return found
    }

    /// What the log knows of a sink, read when it is to be compared: a run may be at work. Nil without a log that can
    /// be read.
    private func known(_ sink: String, _ log: LogReader?) -> KnownSink? {
        do throws(ConnectorFailure) {
            guard let log else { return nil }
            let (cursor, bounds) = (try log.cursor(of: sink), try log.bounds())
            return KnownSink(
                name: sink, log: log.identity, state: cursor?.state, nextOffset: cursor?.offset ?? bounds.lowerBound)
        } catch {
            return nil
        }
    }
}
