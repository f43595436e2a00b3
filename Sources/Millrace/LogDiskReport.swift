import ConnectorKit
import EventLog

/// What is said of a disk that has no room for the log.
struct LogDiskReport: Sendable {
    private let disk: LogDisk
    /// How large the log's reserve is to be.
    private let wanted: Int

    /// A report of what was seen of a log whose reserve is to have `reserve` bytes.
    init(_ disk: LogDisk, reserve: Int) { (self.disk, wanted) = (disk, reserve) }

    /// The code of what is wrong; nil when there is room.
    var code: String? { disk.isFull(reserve: wanted) ? EventLog.diskFullCode : nil }

    /// What helps.
    static let fix =
        "make room on that file system (df); or lower log.retention and start again, which removes what every sink "
        + "has; or mend the sink that does not take its events, and retry or discard its dead letters (millrace "
        + "deadletters list); or lower log.reserve if it was raised: nothing is lost"

    /// As `status` shows it; nil when there is room.
    var text: [String]? { code != nil ? ["[\(EventLog.diskFullCode)] \(words)", Self.fix] : nil }

    /// What `doctor` finds.
    func findings() -> [Finding] {
        if let code { return [Finding(.problem, code, words, fix: Self.fix)] }
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
