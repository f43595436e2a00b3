import ByteKit
import CLinux
import ConnectorKit
import Glibc

extension OutputFile {
    /// So many bytes are told to the disk at a time: less would have it write pages that are not full yet.
    private static let begunBytesMin = 1 << 20
    /// So many bytes between two syncs are bulk. Whoever follows the file reads less than that from the page cache.
    private static let bulkBytesMin = 8 << 20
    /// Below IOV_MAX (writev(2)).
    private static let partsMax = 512

    /// Keeps a line of the current batch for ``writePending(of:torn:)``.
    func take(_ line: Range<Int>, offset: UInt64) {
        if let last = pending.indices.last, pending[last].upperBound == line.lowerBound {
            pending[last] = pending[last].lowerBound..<line.upperBound
        } else {
            pending.append(line)
        }
        pendingCount += line.count
        guard part != nil else { return }
        if extent.recordCount == 0 { extent.firstOffset = offset }
        extent.lastOffset = offset
        extent.recordCount += 1
    }

    /// Writes the pending lines of `body` behind each other, by as few calls as possible. After a failure the file may
    /// have a part of them; opening the sink again cuts that off.
    func writePending(of body: FrozenBytes, torn: HaltPoint) throws(ConnectorFailure) {
        if pool != nil { return try compressPending(of: body, torn: torn) }
        if try needsLineFeed() { try write(bytes: [10]) }
        if extent.length == 0, !headerLine.isEmpty, !isStream { try write(bytes: headerLine) }
        var parts: [iovec] = unsafe []
        unsafe parts.reserveCapacity(pending.count)
        for range in pending {
            let bytes = unsafe body.unsafeBytes(range)
            if part != nil { extent.checksum = unsafe Checksum.crc32(bytes, after: extent.checksum) }
            unsafe parts.append(
                iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count))
        }
        if torn.isNext, let last = unsafe parts.indices.last {
            unsafe parts[last].iov_len -= min(8, parts[last].iov_len / 2)
            try unsafe write(&parts)
        }
        torn.reached()
        try unsafe write(&parts)
        pending.removeAll(keepingCapacity: true)
        pendingCount = 0
    }

    /// True when the file ends in the middle of a line.
    private func needsLineFeed() throws(ConnectorFailure) -> Bool {
        guard mayBeTorn, part == nil else { return false }
        guard extent.length > 0 else { return false }
        var last: UInt8 = 0
        guard unsafe pread(descriptor, &last, 1, extent.length - 1) == 1 else {
            throw FileFailure.system("read the end of", path, errno)
        }
        return last != 10
    }

    private func write(bytes: [UInt8]) throws(ConnectorFailure) {
        var bytes = bytes
        if part != nil { extent.checksum = Checksum.crc32(bytes, after: extent.checksum) }
        let failure: ConnectorFailure? = unsafe bytes.withUnsafeMutableBytes { bytes in
            var parts = unsafe [iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)]
            do throws(ConnectorFailure) { try unsafe write(&parts) } catch { return error }
            return nil
        }
        if let failure { throw failure }
    }

    // MARK: Compressed streams

    private func compressPending(of body: FrozenBytes, torn: HaltPoint) throws(ConnectorFailure) {
        guard let pool else { return }
        let compressor = if let compressor { compressor } else { try beginStream(pool) }
        isDirty = true
        // Standard output and pipes have no front that could be looked at.
        if extent.length == 0, !compressor.isInside, !headerLine.isEmpty, !isStream {
            unsafe headerLine.withUnsafeBytes { unsafe compressor.append($0, to: &pool.output) }
        }
        for range in pending {
            unsafe compressor.append(body.unsafeBytes(range), to: &pool.output)
            if pool.output.count >= CompressorPool.outputBytesMax { try putOut(pool, ending: []) }
        }
        if torn.isNext {
            compressor.flush(to: &pool.output)
            pool.output.truncate(to: pool.output.count - min(8, pool.output.count / 2))
            try putOut(pool, ending: [])
        }
        torn.reached()
        try putOut(pool, ending: [])
        pending.removeAll(keepingCapacity: true)
        pendingCount = 0
    }

    /// What ended the stream before stays: the next bytes go behind it.
    private func beginStream(_ pool: CompressorPool) throws(ConnectorFailure) -> Compressor {
        let compressor = try pool.lend(to: self)
        self.compressor = compressor
        extent.checksum = extent.wholeChecksum
        extent.ending = []
        return compressor
    }

    /// Puts everything that was compressed into the file, and an ending behind it, so that the file is whole.
    func flushStream() throws(ConnectorFailure) {
        guard let pool, let compressor, compressor.hasUnflushed else { return }
        compressor.flush(to: &pool.output)
        try putOut(pool, ending: compressor.ending)
        // What a pipe has got cannot be written over.
        if isStream { compressor.reset() }
    }

    /// Ends the stream: what comes next begins another one.
    func endStream() throws(ConnectorFailure) {
        guard let pool, let compressor else { return }
        try flushStream()
        self.compressor = nil
        pool.takeBack(compressor, from: self)
    }

    /// Writes the pool's output over the ending of the file, and an ending behind it.
    private func putOut(_ pool: CompressorPool, ending: [UInt8]) throws(ConnectorFailure) {
        if compressor?.hasFailed == true { throw FileFailure.noMemory }
        guard pool.output.count > 0 else { return }
        defer { pool.output.removeAll() }
        extent.length -= extent.ending.count
        let checksum = Self.checksum(of: pool.output, after: extent.checksum)
        pool.output.append(ending)
        try write(pool.output)
        if isStream { return }
        extent.checksum = checksum
        extent.ending = ending
    }

    private static func checksum(of output: borrowing OutputBuffer, after checksum: UInt32) -> UInt32 {
        unsafe output.bytes.withUnsafeBytes { unsafe Checksum.crc32($0, after: checksum) }
    }

    private func write(_ output: borrowing OutputBuffer) throws(ConnectorFailure) {
        let failure: ConnectorFailure? = unsafe output.bytes.withUnsafeBytes { bytes in
            var parts = unsafe [
                iovec(iov_base: UnsafeMutableRawPointer(mutating: bytes.baseAddress), iov_len: bytes.count)
            ]
            do throws(ConnectorFailure) { try unsafe write(&parts) } catch { return error }
            return nil
        }
        if let failure { throw failure }
    }

    // MARK: System calls

    /// Makes what was written durable. The file is whole then, also when it is compressed.
    func sync() throws(ConnectorFailure) {
        try flushStream()
        guard isDirty, !isStream else { return }
        guard !fault.strikes(.sync), fdatasync(descriptor) == 0 else {
            throw FileFailure.system("sync", path, errno)
        }
        isDirty = false
        begunLength = extent.length
        if extent.length - syncedLength >= Self.bulkBytesMin { forgetCache(syncedLength..<extent.length) }
        syncedLength = extent.length
    }

    /// Lets go of the memory that holds what was written and is on the disk by now: else a snapshot
    /// or a backlog would push everything else out of the page cache, a database's pages among it, and each page taken
    /// anew costs more than what is copied there. What is still on its way stays until the next sync.
    private func forgetCache(_ range: Range<Int>) {
        _ = posix_fadvise(descriptor, range.lowerBound, range.count, POSIX_FADV_DONTNEED)
        forgottenLength = range.upperBound
    }

    /// Writes all parts behind what is there; the length moves only when all of them are there.
    private func write(_ parts: inout [iovec]) throws(ConnectorFailure) {
        isDirty = true
        var written = 0
        var next = 0
        while unsafe next < parts.count {
            let got = unsafe fault.strikes(.write) ? -1 : writeOnce(parts[next...], at: extent.length + written)
            if got < 0 {
                if errno == EINTR { continue }
                if errno == EAGAIN {
                    waitUntilWritable()
                    continue
                }
                throw FileFailure.system("write to", path, errno)
            }
            guard got > 0 else { throw FileFailure.system("write to", path, EIO) }
            written += got
            unsafe Self.advance(&parts, &next, by: got)
        }
        mayBeTorn = false
        if isStream { return }
        extent.length += written
        if extent.length - begunLength >= Self.begunBytesMin { beginWriting() }
    }

    private func writeOnce(_ parts: ArraySlice<iovec>, at place: Int) -> Int {
        unsafe parts.withUnsafeBufferPointer { parts in
            let rest = unsafe UnsafeBufferPointer(rebasing: parts.prefix(Self.partsMax))
            return isStream
                ? unsafe writev(descriptor, rest.baseAddress, Int32(rest.count))
                : unsafe pwritev(descriptor, rest.baseAddress, Int32(rest.count), place)
        }
    }

    /// A hint: what comes of it is asked for by ``sync()``.
    private func beginWriting() {
        _ = sync_file_range(descriptor, begunLength, extent.length - begunLength, UInt32(SYNC_FILE_RANGE_WRITE))
        begunLength = extent.length
        let start = max(forgottenLength, syncedLength)
        let end = extent.length - Self.bulkBytesMin / 2
        if end - start >= Self.bulkBytesMin / 2 { forgetCache(start..<end) }
    }

    /// Passes over `count` written bytes.
    private static func advance(_ parts: inout [iovec], _ next: inout Int, by count: Int) {
        var count = count
        while unsafe next < parts.count && count >= parts[next].iov_len {
            unsafe count -= parts[next].iov_len
            next += 1
        }
        if count > 0, unsafe next < parts.count {
            unsafe parts[next].iov_base = parts[next].iov_base.map { unsafe $0 + count }
            unsafe parts[next].iov_len -= count
        }
    }

    private func waitUntilWritable() {
        var poll = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = unsafe Glibc.poll(&poll, 1, 1000)
    }
}
