internal import ByteKit
internal import ChangeModel

/// Which line of a server's history was read: its number, and where it left the line before it.
///
/// Two standbys that were promoted from one primary may both count themselves to timeline 2; where they left timeline 1
/// tells them apart.
struct TimelineMemory: Equatable {
    /// The timeline's number, from 1 on.
    var number: UInt32
    /// Where each earlier timeline ended, by number; empty for timeline 1.
    var forks: [UInt32: LSN]

    init(number: UInt32, forks: [UInt32: LSN]) {
        self.number = number
        self.forks = forks
    }

    /// Why a source that was read up to `position` on this line cannot go on upon `other`; nil when nothing of the
    /// other line was passed over.
    ///
    /// What was read must lie before the point where the two lines parted.
    func obstacle(to other: TimelineMemory, readUpTo position: LSN) -> String? {
        if other == self { return nil }
        guard let parting = Self.parting(self, other) else { return "their histories have nothing in common" }
        return position <= parting
            ? nil : "they parted at \(parting), and this log has read the old one up to \(position)"
    }

    /// Where two lines of one origin parted: where the last one that they share ended for either.
    private static func parting(_ a: TimelineMemory, _ b: TimelineMemory) -> LSN? {
        var agreed: LSN?
        for number in Set(a.forks.keys).union(b.forks.keys).sorted() {
            switch (a.forks[number], b.forks[number]) {
            case (let one?, let other?) where one == other: agreed = one
            case (let one?, let other?): return min(one, other)
            case (nil, let end?): return a.number == number ? end : agreed
            case (let end?, nil): return b.number == number ? end : agreed
            case (nil, nil): break
            }
        }
        return agreed
    }
}

// MARK: - Text and bytes

extension TimelineMemory {
    /// Reads the history file that TIMELINE_HISTORY gives: a line for each earlier timeline with its number, its end
    /// and a reason, parted by tabs or blanks; empty lines and `#` mean nothing.
    init(number: UInt32, history: String) {
        self.number = number
        forks = [:]
        for line in history.split(separator: "\n") where !line.hasPrefix("#") {
            let fields = line.split(whereSeparator: { $0 == "\t" || $0 == " " })
            guard fields.count >= 2, let ended = UInt32(fields[0]), let end = LSN(fields[1]) else { continue }
            forks[ended] = end
        }
    }

    /// The bytes for the notes: the number, then each earlier timeline with its end.
    var encoded: [UInt8] {
        var out = NoteWriter()
        out.number32(number)
        out.count(forks.count)
        for (ended, end) in forks.sorted(by: { $0.key < $1.key }) {
            out.number32(ended)
            out.number(end.value)
        }
        return out.bytes
    }

    /// Reads them back; nil when they are something else.
    init?(decoding bytes: [UInt8]) {
        var reader = NoteReader(bytes.rawBytes)
        guard let number = reader.number32(), let count = reader.count() else { return nil }
        (self.number, forks) = (number, [:])
        for _ in 0..<count {
            guard let ended = reader.number32(), let end = reader.number() else { return nil }
            forks[ended] = LSN(end)
        }
        guard reader.isAtEnd else { return nil }
    }
}
