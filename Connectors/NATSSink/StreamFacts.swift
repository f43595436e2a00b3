import CNATS
import ConnectorKit

/// What the server says about a stream.
struct StreamFacts: Equatable {
    var subjects: [String]
    /// The sequence of the newest message; 0 in a new stream. It never goes back.
    var lastSequence: UInt64
    /// When it was made, in nanoseconds since 1970.
    var created: Int64
    var duplicateWindow: Duration
    /// The most bytes of a message; nil without a limit.
    var messageBytesMax: Int?
    var isSealed: Bool
    var isMirror: Bool
    var answersNothing: Bool
    /// True when messages go as soon as they are consumed.
    var forgetsConsumed: Bool
    var replicas: Int
    var isInMemory: Bool

    init(_ info: UnsafeMutablePointer<jsStreamInfo>) {
        let config = unsafe info.pointee.Config.pointee
        subjects = (0..<Int(unsafe config.SubjectsLen)).compactMap { index in
            unsafe config.Subjects?[index].map { unsafe String(cString: $0) }
        }
        lastSequence = unsafe info.pointee.State.LastSeq
        created = unsafe info.pointee.Created
        duplicateWindow = .nanoseconds(unsafe config.Duplicates)
        let most = unsafe config.MaxMsgSize
        messageBytesMax = most > 0 ? Int(most) : nil
        isSealed = unsafe config.Sealed
        isMirror = unsafe config.Mirror != nil
        answersNothing = unsafe config.NoAck
        forgetsConsumed = unsafe config.Retention != js_LimitsPolicy
        replicas = Int(unsafe config.Replicas)
        isInMemory = unsafe config.Storage == js_MemoryStorage
    }

    /// What is wrong with it for a sink with these settings; nil when it can be published to.
    func problem(for settings: NATSSettings) -> ConnectorFailure? {
        if isSealed { return NATSFailure.sealed(settings) }
        if isMirror { return NATSFailure.mirror(settings) }
        if answersNothing { return NATSFailure.noAnswers(settings) }
        guard subjects.contains(where: { SubjectPattern($0).overlaps(settings.subject.pattern) }) else {
            return NATSFailure.subjectNotInStream(settings, subjects)
        }
        guard duplicateWindow >= settings.duplicateWindowMin else {
            return NATSFailure.windowTooShort(settings, duplicateWindow)
        }
        return nil
    }
}
