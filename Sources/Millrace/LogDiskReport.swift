import ConnectorKit
import EventLog

/// What is said of a log that has no room: on its disk, or within its limit.
struct LogDiskReport: Sendable {
    private let disk: LogDisk
    /// How large the log's reserve is to be.
    private let wanted: Int
    /// How many bytes the log takes.
    private let byteCount: Int
    /// How many bytes it may take; nil for no limit.
    private let limit: Int?

    /// A report of what was seen of a log with such limits.
    init(_ log: LogStatistics, _ retention: LogRetention) {
        (disk, wanted) = (log.disk, retention.reserve)
        (byteCount, limit) = (log.byteCount, retention.limit)
    }

    /// The code of what is wrong; nil when there is room.
    var code: String? {
        if disk.isFull(reserve: wanted) { return EventLog.diskFullCode }
        return limit.map { byteCount > $0 } ?? false ? EventLog.fullCode : nil
    }

    private var fix: String { code == EventLog.fullCode ? Self.limitFix : Self.diskFix }

    private static let limitFix =
        "mend the sink that does not take its events, or take it out of the configuration and reload (SIGHUP); read "
        + "on or delete a subscription that holds events (DELETE /v1/subscriptions/NAME); retry or discard "
        + "what waits as dead letters; or raise log.limit and start again: nothing is lost"

    private static let diskFix =
        "make room on that file system (df); or lower log.retention and start again, which removes what every sink "
        + "has; or mend the sink that does not take its events, and retry or discard its dead letters (millrace "
        + "deadletters list); or lower log.reserve if it was raised: nothing is lost"

    /// As `status` shows it; nil when there is room.
    var text: [String]? { code.map { ["[\($0)] \(words)", fix] } }

    /// What `doctor` finds.
    func findings() -> [Finding] {
        if let code { return [Finding(.problem, code, words, fix: fix)] }
        guard wanted > 0, disk.reserveByteCount == nil, let free = disk.freeByteCount, free < 2 * wanted else {
            return []
        }
        return [
            Finding(
                .warning, "log.no_reserve",
                "the disk of the log has \(ByteCount.text(free)) free, and the log's reserve of "
                    + "\(ByteCount.text(wanted)) is made when twice that is free",
                fix: "make room on that file system, or give log.reserve a smaller size")
        ]
    }

    private var words: String {
        if let limit, code == EventLog.fullCode {
            return "the log takes \(ByteCount.text(byteCount)), more than the \(ByteCount.text(limit)) of log.limit: "
                + "capture waits until retention may remove what all sinks have"
        }
        let free = disk.freeByteCount.map { ", \(ByteCount.text($0)) free" } ?? ""
        guard disk.isReserveSpent(of: wanted) else { return "the disk of the log is full\(free): capture waits" }
        if disk.isReserveUsedUp(of: wanted) {
            return "the disk of the log is full\(free): the log's reserve is used up, and sinks, retention and capture"
                + " go on only as far as the log's files have room"
        }
        return
            "the disk of the log is full\(free): the log's reserve is being given back to it, sinks and retention go"
            + " on, and capture and new dead letters as far as what was removed makes room"
    }
}
