internal import ChangeModel

/// How far the stream was read: the pure bookkeeping behind every checkpoint.
///
/// The resume position moves only when a transaction has ended, to the end of its commit, or to the server's word that
/// everything before a position was sent while no transaction is open.
struct ReplicationProgress {
    /// The end of the last complete transaction: where reading may begin again.
    private(set) var resume: LSN
    /// The last change that was put into a batch.
    private(set) var last: ChangeIdentity?
    /// Changes up to this one are in the log already; nil when nothing more is to be left out.
    private(set) var skipThrough: ChangeIdentity?
    /// What else is to be known at the next start.
    var notes: SourceNotes { didSet { encodedNotes = notes.encoded } }
    private var encodedNotes: [UInt8]

    /// Begins after `checkpoint`, or at the slot's own position when there is none.
    init(after checkpoint: SourceCheckpoint?, slotPosition: LSN, notes: SourceNotes) {
        resume = max(slotPosition, LSN(checkpoint?.resume.value ?? 0))
        last = checkpoint?.last
        skipThrough = checkpoint?.last
        self.notes = notes
        encodedNotes = self.notes.encoded
    }

    /// The checkpoint that covers everything read so far.
    var checkpoint: SourceCheckpoint {
        SourceCheckpoint(last: last, resume: ResumePosition(resume.value), notes: encodedNotes)
    }

    /// True when the log has this change already.
    func isLogged(_ identity: ChangeIdentity) -> Bool {
        guard let skipThrough else { return false }
        return identity <= skipThrough
    }

    /// A change was put into the batch.
    mutating func took(_ identity: ChangeIdentity) { last = identity }

    /// A transaction is complete.
    mutating func committed(at commit: LSN, end: LSN) {
        resume = max(resume, end)
        if let skipped = skipThrough, skipped.commit <= commit.value { skipThrough = nil }
    }

    /// Outside of a transaction: everything before `end` was sent.
    mutating func reached(_ end: LSN) { resume = max(resume, end) }
}
