package import ConnectorKit
import Glibc

/// What a file sink is told in the configuration.
package struct FileSettings: Sendable, Equatable {
    /// Where records go: the names of finished files, or of the files that are appended to.
    package var path: PathTemplate
    /// When files are finished; nil for files that are appended to for ever.
    package var rotation: Rotation?
    /// How files are compressed.
    package var compression: Compression
    /// How many parts `{partition}` has.
    package var partitionCount: Int
    /// The pipeline that the sink belongs to.
    let pipelineName: String

    /// What must be the same for a file that was begun earlier to be gone on with.
    var signature: String { "\(rotation == nil ? "" : "rotated ")\(compression.name) \(partitionCount) \(path.text)" }

    /// The path as the file system takes it now: that of another sink with the same files is the same. Nil for a
    /// device, which sinks may share.
    package var resolvedPath: String? {
        let isDevice = path.text.hasPrefix("/dev/") && !path.text.hasPrefix("/dev/shm/")
        return isDevice ? nil : path.resolvedText
    }

    /// True when the sink writes to a file, by whatever path or link, without any table having part in its name. Only
    /// looks at names: the file may be a database that this process has open.
    package func writes(to file: String) -> Bool {
        guard let resolvedPath else { return false }
        if resolvedPath == Self.resolved(file) { return true }
        var (ours, theirs) = (stat(), stat())
        return unsafe stat(path.text, &ours) == 0 && stat(file, &theirs) == 0 && ours.st_dev == theirs.st_dev
            && ours.st_ino == theirs.st_ino
    }

    /// True when the sink writes to files in a folder, or below it.
    package func writesBelow(_ folder: String) -> Bool {
        guard let resolvedPath else { return false }
        return resolvedPath.hasPrefix(Self.resolved(folder) + "/")
    }

    /// A path as the file system takes it now.
    package static func resolved(_ path: String) -> String { PathTemplate.resolved(path, hasPlaceholders: false) }

    /// True for a file in a folder, or below it.
    package static func isBelow(_ file: String, folder: String) -> Bool {
        resolved(file).hasPrefix(resolved(folder) + "/")
    }

    /// True when no two tables have a file in common.
    package var hasFilePerTable: Bool { path.parts.contains(.table) || path.parts.contains(.topic) }

    /// The settings that may stand under `file:`.
    package static let table: [Setting] = [
        Setting(
            "path", .text,
            "The file that records are written to. {schema} and {table} stand for the names of the table, {topic} for"
                + " the topic of an outbox event (schema.table for any other), {date} and {hour} for the day and the"
                + " hour of the commit in UTC (2026-11-21, 00 to 23), {partition} for a number by the row's key (see"
                + " `partitions`), and {offset}, with `rotate`, for the log offset of the file's first event. Folders"
                + " are made as needed. Characters of names that have a meaning in paths are written as %XX. A path"
                + " that is no ordinary file (/dev/stdout, a named pipe) is written to without any promise across"
                + " crashes.",
            isRequired: true),
        Setting(
            "rotate", .group(rotateTable),
            "When a file is finished and the next one begun; without it, files are appended to for ever. A file that is"
                + " not finished has a name that ends in `.part`; a finished one never changes, and stands in the"
                + " manifest of its folder. See [Files](../guides/files.md)."),
        Setting(
            "compress", .choice(Compression.allCases.map(\.name)),
            "How files are compressed. Names get `.gz` or `.zst` at their end, unless the path has it. Whatever is"
                + " durable can be decompressed.",
            default: .text(Compression.none.name)),
        Setting(
            "partitions", .integer(1...partitionsMax),
            "How many parts {partition} tells apart: the number is the CRC-32 of the key's text modulo this, so that"
                + " the events of a row lie in one part."),
    ]

    private static let rotateTable = [
        Setting(
            "size", .size,
            "A file is finished before it would become larger than this; one event alone may be. A compressed file may"
                + " become larger by what a batch of events (1 MiB) compresses to."),
        Setting("age", .duration, "A file is finished this long after its first event was written, by the clock."),
        Setting(
            "date", .flag,
            "Whether files are finished when their {date}, or their {hour}, is over. Once `size` or `age` is there,"
                + " they always are.",
            default: .flag(false)),
        Setting(
            "finish_on_stop", .flag,
            "Whether an orderly end of `millrace run` finishes all files. Otherwise the next run goes on with them.",
            default: .flag(false)),
    ]

    private static let partitionsMax = 1024
    private static let sizeMin = 1 << 10

    /// Settings from checked values.
    package init(values: SettingValues, pipelineName: String) throws(SettingProblem) {
        self.pipelineName = pipelineName
        guard let text = values.text("path") else {
            throw SettingProblem("path", "path is missing", hint: "write path: out/{table}.jsonl")
        }
        compression = Compression.allCases.first { $0.name == values.text("compress") } ?? .none
        partitionCount = values.integer("partitions") ?? 1
        var check = SettingCheck()
        let template = check.attempt { () throws(SettingProblem) in try PathTemplate(text) }
        rotation = Self.rotation(values.group("rotate"), template, &check)
        let wanted = try check.value(template)
        if wanted.parts.contains(.partition) != (values.integer("partitions") != nil) {
            check.note(
                SettingProblem(
                    "path", "{partition} in path and the setting partitions need each other",
                    hint: "write both, such as path: out/{table}-{partition}.jsonl and partitions: 16, or neither"))
        }
        if rotation == nil, wanted.parts.contains(.offset) {
            check.note(
                SettingProblem(
                    "path", "{offset} has a meaning only with rotate",
                    hint: "add rotate: {size: 256MiB}, or take it out"))
        }
        let isDevice = text.hasPrefix("/dev/") && !text.hasPrefix("/dev/shm/")
        if rotation != nil, isDevice {
            check.note(
                SettingProblem("path", "a device cannot be rotated", hint: "take rotate out, or write to a file"))
        }
        try check.finish()
        path = isDevice ? wanted : try wanted.completed(isRotated: rotation != nil, compression)
    }

    /// The rotation; nil for none, and where nothing says when.
    private static func rotation(
        _ values: SettingValues?, _ path: PathTemplate?, _ check: inout SettingCheck
    ) -> Rotation? {
        guard let values else { return nil }
        let isDated = values.flag("date") ?? false
        let (size, age) = (values.size("size"), values.duration("age"))
        guard size != nil || age != nil || isDated else {
            if values.flag("finish_on_stop") != true { return nil }
            check.note(
                SettingProblem(
                    "rotate", "nothing says when files are finished",
                    hint: "add size: 256MiB, age: 1h, or, with {date} in path, date: true"))
            return nil
        }
        if isDated, let path, !path.hasDate, !path.hasHour {
            check.note(
                SettingProblem("rotate.date", "path has no {date}", hint: "write path: out/{date}/{table}.jsonl"))
        }
        if let size, size < sizeMin { check.note(SettingProblem("rotate.size", "the size is less than 1KiB")) }
        if let age, age < .seconds(1) { check.note(SettingProblem("rotate.age", "the age is less than 1s")) }
        return Rotation(size: size, age: age, finishesOnStop: values.flag("finish_on_stop") ?? false)
    }
}

/// When files are finished.
package struct Rotation: Sendable, Equatable {
    /// Bytes that a file has at most.
    var size: Int?
    /// How long after its first event.
    var age: Duration?
    /// Whether an orderly stop finishes all files.
    var finishesOnStop = false

    /// A day's or an hour's file stays open for so long after the last event that came to it: while a source is behind,
    /// events of the past come.
    static let quietMicroseconds: Int64 = 60_000_000

    /// True when a file has had its time, whatever its size.
    func isOver(_ part: RotatedPart, _ clock: FileClock) -> Bool {
        let now = clock.wall()
        if let age, now - part.begunAt >= age.microseconds { return true }
        guard let end = part.periodEnd, now >= end else { return false }
        return clock.steady() - part.lastWrite >= Self.quietMicroseconds
    }

    /// How often somebody should look.
    var interval: Duration {
        guard let age else { return .seconds(1) }
        return min(max(age / 20, .milliseconds(50)), .seconds(1))
    }
}
