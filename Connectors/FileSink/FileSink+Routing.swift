import ByteKit
import ChangeModel
import ConnectorKit

/// Which record goes where.
extension FileSink {
    /// Collects for each file the runs of lines that go to it. Lines of one file that lie behind each other are one
    /// run.
    func assign(_ batch: RecordBatch) throws(ConnectorFailure) {
        touched.removeAll(keepingCapacity: true)
        if settings.rotation != nil || settings.partitionCount > 1 { return try assignEach(batch) }
        var routes = [Route?](repeating: nil, count: batch.topics.count)
        var run = 0..<0
        var runTopic = -1
        var runTimes: Range<Int64> = 0..<0
        for record in batch.records {
            let line = try Self.line(of: record, in: batch)
            let topic = Int(record.topic)
            if topic == runTopic, line.lowerBound == run.upperBound, runTimes.contains(record.committedAt) {
                run = run.lowerBound..<line.upperBound
                continue
            }
            if runTopic >= 0 { routes[runTopic]?.file.pending.append(run) }
            if routes[topic]?.times.contains(record.committedAt) != true {
                routes[topic] = try route(record, batch)
            }
            (run, runTopic, runTimes) = (line, topic, routes[topic]?.times ?? 0..<0)
        }
        if runTopic >= 0 { routes[runTopic]?.file.pending.append(run) }
    }

    /// The same where the file follows from more than the topic and the time.
    private func assignEach(_ batch: RecordBatch) throws(ConnectorFailure) {
        var routes: [Int: Route] = [:]
        for record in batch.records {
            let line = try Self.line(of: record, in: batch)
            let place = Int(record.topic) * settings.partitionCount + partition(of: record, in: batch)
            var route: Route
            if let known = routes[place], known.times.contains(record.committedAt), !isFull(known.file, line.count) {
                route = known
            } else {
                route = try self.route(record, batch)
                if isFull(route.file, line.count) {
                    seal(route.file)
                    route = try self.route(record, batch)
                }
                routes[place] = route
            }
            route.file.take(line, offset: record.offset)
        }
    }

    /// True when a line would make a file larger than it may become. Of a compressed file that is not known before.
    private func isFull(_ file: OutputFile, _ count: Int) -> Bool {
        guard let size = settings.rotation?.size, file.part != nil else { return false }
        if file.isSealed { return true }
        guard pool == nil, file.extent.recordCount > 0 else { return false }
        let length = max(file.extent.length, file.headerLine.count)
        return length + file.pendingCount + count > size
    }

    /// Seals a file that has its size after a batch.
    func sealWhenFull(_ file: OutputFile) {
        guard let size = settings.rotation?.size, file.part != nil, file.extent.length >= size else { return }
        seal(file)
    }

    private func partition(of record: Record, in batch: RecordBatch) -> Int {
        guard settings.partitionCount > 1 else { return 0 }
        let checksum = unsafe batch.key(of: record).withUnsafeBytes { unsafe Checksum.crc32($0, after: 0) }
        return Int(checksum) % settings.partitionCount
    }

    /// The bytes of a record with the line feed behind it, once they are seen to be there.
    private static func line(of record: Record, in batch: RecordBatch) throws(ConnectorFailure) -> Range<Int> {
        let start = Int(record.payload.offset)
        let end = start + Int(record.payload.length) + 1
        guard record.topic < UInt32(clamping: batch.topics.count), end <= batch.body.count,
            batch.body.load(at: end - 1, as: UInt8.self) == 10,
            Int(record.key.offset) + Int(record.key.length) <= batch.body.count
        else { throw FileFailure.badBatch }
        return start..<end
    }

    /// The file that a record goes to, and the times for which the same is true of its topic.
    private func route(_ record: Record, _ batch: RecordBatch) throws(ConnectorFailure) -> Route {
        let topic = batch.topics[Int(record.topic)]
        let period = settings.path.period(ofCommit: record.committedAt)
        let number = partition(of: record, in: batch)
        let path = settings.path.path(
            topic, period, partition: PathTemplate.name(ofPartition: number, of: settings.partitionCount))
        let headerLine = topic.header.map { Array(($0 + "\n").utf8) } ?? []
        let file =
            settings.rotation == nil
            ? try appendedFile(path, headerLine) : try lane(path, headerLine, topic, period, record)
        file.headerLine = headerLine
        if file.lastUse != batchNumber { touched.append(file) }
        file.lastUse = batchNumber
        return Route(file: file, times: period.times)
    }

    /// Without rotation: the file of a path. Where another header line stands at its front, because the table's columns
    /// were others, `-2` and so on stands behind its name.
    private func appendedFile(_ path: String, _ headerLine: [UInt8]) throws(ConnectorFailure) -> OutputFile {
        let header = headerLine.isEmpty ? 0 : Checksum.crc32(headerLine)
        for attempt in 1...FileNames.attemptsMax {
            let candidate = FileNames.path(path, attempt: attempt)
            if let file = files[candidate] {
                if file.header == header || headerLine.isEmpty { return file }
                continue
            }
            try reserved.check(candidate)
            if !headerLine.isEmpty, try !FileNames.begins(candidate, with: headerLine, isCompressed: pool != nil) {
                continue
            }
            let file = OutputFile(path: candidate, header: header, mark, pool, fault)
            files[candidate] = file
            return file
        }
        throw FileFailure.noFreeName(path)
    }

    // MARK: Rotation

    /// What the files of a lane have in common.
    static func laneKey(_ lane: String, _ header: UInt32) -> String { "\(lane)\u{0}\(header)" }

    /// With rotation: the unfinished file of a lane, begun with `record` when there is none.
    private func lane(
        _ lane: String, _ headerLine: [UInt8], _ topic: Topic, _ period: CommitPeriod, _ record: Record
    ) throws(ConnectorFailure) -> OutputFile {
        let header = headerLine.isEmpty ? 0 : Checksum.crc32(headerLine)
        noteHeader(header, topic, lane)
        let key = Self.laneKey(lane, header)
        if let file = lanes[key] { return file }
        for attempt in 1...FileNames.attemptsMax {
            let finalPath = PathTemplate.path(ofLane: lane, offset: record.offset, attempt: attempt)
            let path = finalPath + FileNames.unfinishedSuffix
            for name in [finalPath, path] { try reserved.check(name) }
            guard files[path] == nil, !files.values.contains(where: { $0.part?.finalPath == finalPath }),
                try FileNames.isFree(finalPath), try FileNames.isFreeOrEmpty(path)
            else {
                // A run that the log does not know of delivered this already.
                for taken in [finalPath, path] where mark.isNewer(atPath: taken) {
                    throw FileFailure.newerThanLog(taken)
                }
                continue
            }
            let part = RotatedPart(
                finalPath: finalPath, lane: lane, signature: settings.signature, begunAt: clock.wall(),
                periodEnd: settings.path.hasDate || settings.path.hasHour ? period.end : nil,
                lastWrite: clock.steady())
            let file = OutputFile(path: path, header: header, part: part, mark, pool, fault)
            files[path] = file
            lanes[key] = file
            return file
        }
        throw FileFailure.noFreeName(lane)
    }

    /// A topic whose header line is another one than before begins a new file: the one before is complete.
    private func noteHeader(_ header: UInt32, _ topic: Topic, _ lane: String) {
        guard header != 0 else { return }
        let place = "\(topic.name)\u{0}\(lane)"
        guard let before = headers.updateValue(header, forKey: place), before != header else { return }
        if let file = lanes[Self.laneKey(lane, before)] { seal(file) }
    }
}

/// Where records of one topic go that were committed in a range of times (microseconds since 1970-01-01 00:00 UTC).
private struct Route {
    let file: OutputFile
    let times: Range<Int64>
}
