internal import ByteKit
private import CPCRE2

/// Why text is no regular expression that can be used.
struct PatternProblem: Error {
    var message: String
}

/// A regular expression in the dialect of ECMA-262 with its Unicode flag, compiled once and shared by all threads.
///
/// An automaton searches for most expressions, and PCRE2 (pcre2api(3)) for the others; what that reads differently is
/// rewritten first.
@safe final class TextPattern: @unchecked Sendable {
    /// How a search ended.
    enum Outcome { case found, notFound, gaveUp }

    /// The expression as the schema has it.
    let source: String
    /// Memory that the compiled expression takes.
    let byteCount: Int
    /// For most expressions: what searches for it without PCRE2.
    let automaton: PatternAutomaton?
    private let code: OpaquePointer
    /// True for an expression that can begin to match in one place only.
    private let isAnchored: Bool

    /// Longer expressions are refused.
    static let sourceBytesMax = 16 << 10

    /// Compiles an expression. Takes from `work` what an automaton for it costs; without any left it has none.
    convenience init(_ source: String, work: inout Int) throws(PatternProblem) {
        guard source.utf8.count <= Self.sourceBytesMax else {
            throw PatternProblem(message: "the expression is longer than \(Self.sourceBytesMax >> 10) KiB")
        }
        let pcre = try PatternDialect.pcre(source)
        try self.init(pcre: pcre, source, PatternAutomaton(source, work: &work))
    }

    /// Compiles an expression in PCRE2's own words.
    init(pcre: String, _ source: String = "", _ automaton: PatternAutomaton? = nil) throws(PatternProblem) {
        (self.source, self.automaton) = (source, automaton)
        let code = try unsafe Self.compiled(pcre)
        unsafe self.code = code
        // Where no memory may be executed this fails, and the interpreter does the work.
        if automaton == nil { _ = unsafe pcre2_jit_compile_8(code, UInt32(PCRE2_JIT_COMPLETE)) }
        var (size, jitSize, options) = (0, 0, UInt32(0))
        _ = unsafe pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_SIZE), &size)
        _ = unsafe pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_JITSIZE), &jitSize)
        _ = unsafe pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_ALLOPTIONS), &options)
        byteCount = size + jitSize + (automaton?.byteCount ?? 0)
        isAnchored = options & UInt32(PCRE2_ANCHORED) != 0
    }

    deinit { unsafe pcre2_code_free_8(code) }

    /// True for text that is a regular expression.
    static func isPattern(_ source: String) -> Bool {
        guard source.utf8.count <= sourceBytesMax, let pcre = try? PatternDialect.pcre(source),
            let code = try? unsafe compiled(pcre)
        else { return false }
        unsafe pcre2_code_free_8(code)
        return true
    }

    @unsafe
    private static func compiled(_ pcre: String) throws(PatternProblem) -> OpaquePointer {
        let text = Array(pcre.utf8)
        let options =
            UInt32(PCRE2_UTF) | UInt32(PCRE2_MATCH_UNSET_BACKREF) | UInt32(PCRE2_DOLLAR_ENDONLY)
            | UInt32(PCRE2_ALLOW_EMPTY_CLASS) | UInt32(PCRE2_NEVER_BACKSLASH_C) | UInt32(PCRE2_USE_OFFSET_LIMIT)
        var (number, place): (Int32, Int) = (0, 0)
        let code = unsafe text.withUnsafeBufferPointer { text in
            unsafe pcre2_compile_8(text.baseAddress, text.count, options, &number, &place, nil)
        }
        guard let code = unsafe code else {
            throw PatternProblem(message: "it is no regular expression that is supported: \(message(number))")
        }
        return unsafe code
    }

    private static func message(_ number: Int32) -> String {
        var text = [UInt8](repeating: 0, count: 256)
        let count = unsafe text.withUnsafeMutableBufferPointer { text in
            unsafe pcre2_get_error_message_8(number, text.baseAddress, text.count)
        }
        return String(decoding: text.prefix(max(0, Int(count))), as: UTF8.self)
    }
}

// MARK: - Searching

extension TextPattern {
    /// What searches write to, and the time that those of one run may take together. One thread uses it at a time.
    @safe final class Scratch: @unchecked Sendable {
        fileprivate let data: OpaquePointer?
        fileprivate let context: OpaquePointer?
        private var stack: OpaquePointer?
        private var quickCount = 0
        /// How many bytes the whole document has.
        private var byteCount = 0
        private var clock: ThreadClock?

        init() {
            unsafe data = unsafe pcre2_match_data_create_8(1, nil)
            unsafe context = unsafe pcre2_match_context_create_8(nil)
            guard let context = unsafe context else { return }
            unsafe pcre2_set_heap_limit_8(context, TextPattern.heapKilobytesMax)
            allowQuickSearch()
        }

        deinit {
            unsafe pcre2_match_data_free_8(data)
            unsafe pcre2_match_context_free_8(context)
            unsafe pcre2_jit_stack_free_8(stack)
        }

        /// Begins a run over a document: its searches together may take 2 seconds of processor time, and one more for
        /// each 8 MB.
        func begin(byteCount: Int) {
            self.byteCount = byteCount
            clock = nil
            quickCount = 0
        }

        /// Sets what a short search may use.
        fileprivate func allowQuickSearch() { allow(steps: TextPattern.quickStepsMax, lastStart: .max) }

        /// Sets how many steps one start may take, and the last place where a match may begin.
        fileprivate func allow(steps: Int, lastStart: Int) {
            guard let context = unsafe context else { return }
            unsafe pcre2_set_match_limit_8(context, UInt32(clamping: steps))
            unsafe pcre2_set_offset_limit_8(context, lastStart)
        }

        /// True while there is time. Short searches are so quick that it suffices to look now and then.
        fileprivate func hasTimeForQuickSearch() -> Bool {
            quickCount &+= 1
            return quickCount & 15 != 0 || hasTime()
        }

        fileprivate func hasTime() -> Bool {
            let known = clock ?? ThreadClock(timeMax: .seconds(2) + .microseconds(byteCount / 8))
            clock = known
            return known.hasTime
        }

        /// Gives compiled code more room than the 32 KiB that it has at first; false when it has that already.
        fileprivate func growStack() -> Bool {
            guard unsafe stack == nil, let context = unsafe context else { return false }
            unsafe stack = unsafe pcre2_jit_stack_create_8(64 << 10, TextPattern.stackBytesMax, nil)
            unsafe pcre2_jit_stack_assign_8(context, nil, unsafe UnsafeMutableRawPointer(stack))
            return unsafe stack != nil
        }
    }

    /// Steps of a match from one start. A search that needs more goes on in parts, under the clock.
    private static let quickStepsMax = 1_000
    private static let stepsMax = 10_000_000
    private static let quickBytesMax = 256
    private static let stackBytesMax = 32 << 20
    private static let heapKilobytesMax: UInt32 = 64 << 10

    /// Searches in valid UTF-8.
    func search(_ text: RawSpan, _ scratch: Scratch) -> Outcome {
        if let automaton { return automaton.isFound(in: text) ? .found : .notFound }
        return unsafe text.withUnsafeBytes { text in
            let bytes = unsafe text.bindMemory(to: UInt8.self)
            if bytes.count <= Self.quickBytesMax {
                guard scratch.hasTimeForQuickSearch() else { return .gaveUp }
                let result = unsafe match(bytes, from: 0, scratch)
                if result >= 0 { return .found }
                if result == PCRE2_ERROR_NOMATCH { return .notFound }
            }
            defer { scratch.allowQuickSearch() }
            return unsafe searchInParts(bytes, scratch)
        }
    }

    /// Searches from a few starts at a time, with more and more steps for each, so that the clock is looked at often
    /// whatever the expression does.
    @unsafe
    private func searchInParts(_ text: UnsafeBufferPointer<UInt8>, _ scratch: Scratch) -> Outcome {
        let count = text.count
        var steps = max(100, min(10_000, 100_000_000 / (count + 1)))
        var width = isAnchored ? count + 1 : 256
        var from = 0
        while true {
            guard scratch.hasTime() else { return .gaveUp }
            let last = min(from + width - 1, count)
            scratch.allow(steps: steps, lastStart: last)
            let began = ThreadClock.now
            let result = unsafe match(text, from: from, scratch)
            if result >= 0 { return .found }
            switch result {
            case PCRE2_ERROR_NOMATCH:
                if last == count { return .notFound }
                from = last + 1
                // A match begins where a character does.
                while from < count, unsafe text[from] & 0xC0 == 0x80 { from += 1 }
                width = ThreadClock.now - began < .milliseconds(1) ? width * 2 : max(1, width / 2)
            case PCRE2_ERROR_MATCHLIMIT where steps < Self.stepsMax + 4 * count: steps *= 4
            case PCRE2_ERROR_JIT_STACKLIMIT where scratch.growStack(): break
            default: return .gaveUp
            }
        }
    }

    @unsafe
    private func match(_ text: UnsafeBufferPointer<UInt8>, from start: Int, _ scratch: Scratch) -> Int32 {
        guard let data = unsafe scratch.data, let context = unsafe scratch.context else { return PCRE2_ERROR_NOMEMORY }
        let none: StaticString = ""
        let bytes = unsafe text.baseAddress ?? none.utf8Start
        return unsafe pcre2_match_8(code, bytes, text.count, start, UInt32(PCRE2_NO_UTF_CHECK), data, context)
    }
}
