package import ConnectorKit
import Foundation
import Glibc

/// Where commands leave wishes for the process that writes the log, and find its answers: a folder of small files
/// beside the log.
///
/// A request is a file that appears whole or not at all, and stays until it is carried out, so that it outlives both
/// processes; one that is made while nothing runs waits for the next start. Any number of processes may use the folder.
/// On a full disk, the files get their room from the log's reserve.
package struct RequestBox: Sendable {
    /// The folder's path.
    private let directory: String
    /// The log that the box belongs to.
    private let log: LogDirectory

    private static let requestSuffix = ".request"
    private static let answerSuffix = ".answer"
    /// Larger files are no requests.
    private static let fileBytesMax = 1 << 20
    /// Answers that nobody took within a day are removed.
    private static let answerSecondsMax = 86_400

    /// The box of the log in this folder.
    package init(logDirectory: String) {
        log = LogDirectory(logDirectory)
        directory = Self.directory(in: log.path)
    }

    /// Where requests are, of the log in this folder.
    package static func directory(in logDirectory: String) -> String { logDirectory + "/requests" }

    /// True while a process writes the log, which is the one that carries requests out.
    package var isAttended: Bool { LogLock.isHeld(log) }

    /// Leaves a request; it is durable on return. Throws `log.directory` or `log.disk_full`.
    package func post(_ request: OperatorRequest) throws(ConnectorFailure) {
        try write(request, as: request.id + Self.requestSuffix)
    }

    /// The requests that wait, oldest first. A file that is no request is answered as such and removed.
    package func pending() throws(ConnectorFailure) -> [OperatorRequest] {
        var requests: [OperatorRequest] = []
        for id in try ids(of: Self.requestSuffix) {
            if let request: OperatorRequest = read(id + Self.requestSuffix), request.id == id {
                requests.append(request)
            } else if access(directory + "/" + id + Self.requestSuffix, F_OK) == 0 {
                try answer(id, RequestOutcome(isDone: false, text: "the file \(id) is no request of this version"))
            }
        }
        return requests
    }

    /// Says what became of a request, and takes it out of the box.
    package func answer(_ id: String, _ outcome: RequestOutcome) throws(ConnectorFailure) {
        try write(outcome, as: id + Self.answerSuffix)
        remove(id + Self.requestSuffix)
        try forgetOldAnswers()
    }

    /// What became of a request, once: the answer is removed. Nil while it waits.
    package func takeAnswer(to id: String) -> RequestOutcome? {
        guard let outcome: RequestOutcome = read(id + Self.answerSuffix) else { return nil }
        remove(id + Self.answerSuffix)
        return outcome
    }

    private func forgetOldAnswers() throws(ConnectorFailure) {
        for id in try ids(of: Self.answerSuffix) {
            var info = stat()
            guard stat(directory + "/" + id + Self.answerSuffix, &info) == 0 else { continue }
            if time(nil) - info.st_mtim.tv_sec > Self.answerSecondsMax { remove(id + Self.answerSuffix) }
        }
    }
}

// MARK: - Files

extension RequestBox {
    /// The names with this suffix, without it, sorted; empty without a folder.
    private func ids(of suffix: String) throws(ConnectorFailure) -> [String] {
        guard let stream = opendir(directory) else {
            if errno == ENOENT { return [] }
            throw LogFailure.system("look into the folder", directory, errno)
        }
        defer { closedir(stream) }
        var ids: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: name.pointee)) {
                    String(cString: $0)
                }
            }
            if !name.hasPrefix("."), name.hasSuffix(suffix) { ids.append(String(name.dropLast(suffix.count))) }
        }
        return ids.sorted()
    }

    private func read<T: Decodable>(_ name: String) -> T? {
        let file = open(directory + "/" + name, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: Self.fileBytesMax + 1)
        var count = 0
        while count < bytes.count {
            let got = bytes.withUnsafeMutableBytes {
                Glibc.read(file, $0.baseAddress?.advanced(by: count), $0.count - count)
            }
            if got < 0 && errno == EINTR { continue }
            guard got > 0 else { break }
            count += got
        }
        guard count <= Self.fileBytesMax else { return nil }
        return try? JSONDecoder().decode(T.self, from: Data(bytes[..<count]))
    }

    /// Writes a file. When there is no room for it, some of the log's reserve is given back; more than once only if
    /// somebody else took that.
    private func write(_ value: some Encodable, as name: String) throws(ConnectorFailure) {
        var triesLeft = 3
        while true {
            do throws(ConnectorFailure) {
                return try tryToWrite(value, as: name)
            } catch {
                triesLeft -= 1
                guard error.code == EventLog.diskFullCode, triesLeft > 0, LogReserve.giveBackForRequest(log) else {
                    throw error
                }
            }
        }
    }

    /// Writes under another name first, so that nobody ever reads half a file.
    private func tryToWrite(_ value: some Encodable, as name: String) throws(ConnectorFailure) {
        try LogDirectory(directory).make()
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        guard let data = try? encoder.encode(value) else {
            throw LogFailure.directory(directory, "cannot write \(name): it has no JSON form")
        }
        let temporary = directory + "/." + name + "-" + String(getpid())
        let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw LogFailure.system("write", temporary, errno) }
        defer { close(file) }
        let written = data.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
        guard written == data.count, fsync(file) == 0 else {
            let number = written == data.count || written < 0 ? errno : ENOSPC
            unlink(temporary)
            throw LogFailure.system("write", temporary, number)
        }
        guard rename(temporary, directory + "/" + name) == 0 else {
            let number = errno
            unlink(temporary)
            throw LogFailure.system("write", directory + "/" + name, number)
        }
        try LogDirectory(directory).syncNames()
    }

    private func remove(_ name: String) { unlink(directory + "/" + name) }
}
