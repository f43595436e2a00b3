import ConnectorKit
import Glibc

/// The list of a folder's finished files: a line of JSON for each, in the order in which they were finished.
///
/// A file counts as complete once its line is there. Lines are only ever put behind the others. What a crash left of
/// the lines of one round is completed by the next start, which knows them by the stored state.
struct FileManifest {
    /// The manifest's path; each sink has its own in a folder.
    static func path(inFolderOf path: String, sink: String) -> String {
        let folder = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path[...$0] } ?? ""
        return folder + "_\(sink).manifest"
    }

    /// The line of a finished file.
    static func line(_ entry: FileState.Entry) -> String {
        guard let part = entry.part else { return "" }
        let path = part.finalPath
        let start = path.utf8.lastIndex(of: UInt8(ascii: "/")).map { path.utf8.index(after: $0) } ?? path.startIndex
        let name = String(path[start...])
        let extent = entry.extent
        return "{\"name\":\(quoted(name)),\"bytes\":\(extent.length),\"records\":\(extent.recordCount),"
            + "\"first_offset\":\(extent.firstOffset),\"last_offset\":\(extent.lastOffset),"
            + "\"crc32\":\"\(Checksum.text(extent.wholeChecksum))\","
            + "\"finished_at\":\"\(timeText(part.finishedAt ?? 0))\"}\n"
    }

    /// What the state tells of the manifest before lines are put into it. A missing one has no length and no number.
    static func listed(_ path: String) throws(ConnectorFailure) -> FileState.Manifest {
        var info = stat()
        guard unsafe stat(path, &info) == 0 else {
            guard errno == ENOENT else { throw FileFailure.system("look at", path, errno) }
            return FileState.Manifest(path: path, length: 0, device: 0, inode: 0)
        }
        guard info.isRegular else { throw FileFailure.system("write to", path, EISDIR) }
        return FileState.Manifest(
            path: path, length: info.st_size, device: UInt64(info.st_dev), inode: UInt64(info.st_ino))
    }

    /// Puts lines behind what the state lists, as far as they are not there already, and makes them durable.
    ///
    /// Of a manifest that somebody took away since, a new one is begun with those lines whose files are still there.
    /// One that a sink of the same name in another pipeline wrote to since, or this one in a life that its state does
    /// not know, is never cut: what is missing comes behind.
    static func append(
        _ lines: [(text: String, isThere: Bool)], to manifest: FileState.Manifest, _ mark: WriterMark,
        _ fault: FileFault?
    ) throws(ConnectorFailure) {
        let path = manifest.path
        guard !fault.strikes(.open) else { throw FileFailure.system("open", path, errno) }
        let descriptor = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o666)
        guard descriptor >= 0 else { throw FileFailure.system("open", path, errno) }
        defer { close(descriptor) }
        guard FileLock.take(descriptor) else { throw FileFailure.inUse(path) }
        var info = stat()
        guard unsafe fstat(descriptor, &info) == 0 else { throw FileFailure.system("look at", path, errno) }
        let isNew = manifest.inode == 0
        let isSame =
            isNew || UInt64(info.st_dev) == manifest.device && UInt64(info.st_ino) == manifest.inode
        let isShared = mark.owner(of: descriptor) == .other || mark.isNewer(descriptor)
        if !isShared { mark.put(on: descriptor) }
        let place = isSame && !isShared && info.st_size >= manifest.length ? manifest.length : info.st_size
        var missing = lines.filter { isSame || $0.isThere }.map(\.text)
        if isShared {
            let known = try bytes(from: 0, count: info.st_size, of: descriptor, path)
            let texts = Set(known.split(separator: 10).map { String(decoding: $0, as: UTF8.self) + "\n" })
            missing.removeAll { texts.contains($0) }
        }
        var wanted = Array(missing.joined().utf8)
        if place > 0, try byte(at: place - 1, of: descriptor, path) != 10 { wanted.insert(10, at: 0) }
        let present = try bytes(from: place, count: info.st_size - place, of: descriptor, path)
        let common = zip(present, wanted).prefix { $0 == $1 }.count
        if common < present.count {
            guard !fault.strikes(.cut), ftruncate(descriptor, place + common) == 0 else {
                throw FileFailure.system("cut back", path, errno)
            }
        }
        try write(Array(wanted[common...]), at: place + common, to: descriptor, path, fault)
        guard !fault.strikes(.sync), fdatasync(descriptor) == 0 else {
            throw FileFailure.system("sync", path, errno)
        }
        mark.put(on: descriptor)
    }

    private static func byte(at place: Int, of descriptor: Int32, _ path: String) throws(ConnectorFailure) -> UInt8 {
        try bytes(from: place, count: 1, of: descriptor, path).first ?? 0
    }

    /// What lies behind the listed length is at most the lines of one round.
    private static func bytes(
        from place: Int, count: Int, of descriptor: Int32, _ path: String
    ) throws(ConnectorFailure) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: max(0, count))
        guard !bytes.isEmpty else { return [] }
        let got = unsafe pread(descriptor, &bytes, bytes.count, place)
        guard got >= 0 else { throw FileFailure.system("read the end of", path, errno) }
        return Array(bytes.prefix(got))
    }

    private static func write(
        _ bytes: [UInt8], at place: Int, to descriptor: Int32, _ path: String, _ fault: FileFault?
    ) throws(ConnectorFailure) {
        var done = 0
        while done < bytes.count {
            let got = unsafe bytes.withUnsafeBytes { bytes in
                guard !fault.strikes(.write) else { return -1 }
                return unsafe pwrite(
                    descriptor, bytes.baseAddress.map { unsafe $0 + done }, bytes.count - done, place + done)
            }
            if got < 0, errno == EINTR { continue }
            guard got > 0 else { throw FileFailure.system("write to", path, got < 0 ? errno : EIO) }
            done += got
        }
    }

    /// `2026-11-21T10:00:00.123456Z`.
    static func timeText(_ time: Int64) -> String {
        let day = CalendarDay.number(ofMicroseconds: time)
        let inDay = time - CalendarDay.times(ofDay: day).lowerBound
        let parts = [inDay / 3_600_000_000, inDay / 60_000_000 % 60, inDay / 1_000_000 % 60]
        let clock = parts.map { CalendarDay.padded($0, 2) }.joined(separator: ":")
        return CalendarDay(day).text + "T" + clock + "." + CalendarDay.padded(inDay % 1_000_000, 6) + "Z"
    }

    /// A JSON string.
    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            default:
                if scalar.value < 0x20 {
                    let digits = String(scalar.value, radix: 16)
                    quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                } else {
                    quoted.unicodeScalars.append(scalar)
                }
            }
        }
        return quoted + "\""
    }
}
