import ConnectorKit

/// The sections of the file that hold connectors, and the whole of it.
extension SettingReader {
    /// A file has no more sinks than this.
    static let sinkCountMax = 100

    /// A connector's part of the file.
    private struct Connector {
        var kind: String
        var settings: SettingValues
    }

    /// What may stand in a section, and who looks at it.
    private struct Choice {
        var tables: [String: [Setting]]
        var checks: [String: ConnectorTables.Check]
        /// For the checks: defaults are made from it.
        var pipelineName: String
    }

    /// The whole file; nil only with problems reported.
    mutating func configuration(of root: YAMLNode, _ tables: ConnectorTables) -> PipelineConfiguration? {
        let start = FilePosition(line: 1, column: 1)
        guard let all = entries(of: root, "", at: root.position) else { return nil }
        let sections = ["source", "sinks"]
        refuseUnknown(all, "", known: PipelineSettings.top.map(\.name) + sections)
        let own = all.filter { entry in PipelineSettings.top.contains { $0.name == entry.name } }
        let top = values(of: own, PipelineSettings.top, "", at: start)
        let name = checkedName(top, all)
        let source = all.first { $0.name == "source" }
        if source == nil {
            let hint = "add source: with one of \(tables.sources.keys.sorted().joined(separator: ", "))"
            report("config.missing_key", "\"source\" is missing", "source", start, hint)
        }
        // A name that was refused or is missing is no reason not to check the rest.
        let nameForChecks = name ?? "millrace"
        let sourceChoice = Choice(
            tables: tables.sources, checks: tables.sourceChecks, pipelineName: nameForChecks)
        let sinkChoice = Choice(tables: tables.sinks, checks: tables.sinkChecks, pipelineName: nameForChecks)
        let transforms = self.transforms(top, at: all.first { $0.name == "transforms" }?.keyPosition ?? start)
        let outboxes = self.outboxes(top, at: all.first { $0.name == "outbox" }?.keyPosition ?? start)
        let server = self.server(top, all)
        let sensitivity = self.sensitivity(top, at: all.first { $0.name == "sensitivity" }?.keyPosition ?? start)
        let connector = source.flatMap { self.source($0, sourceChoice) }
        let sinks = all.first { $0.name == "sinks" }.map { self.sinks($0, sinkChoice) } ?? []
        guard problems.isEmpty, let name, let connector else { return nil }
        let log = top.group("log")
        let retention = log?.group("retention")
        guard let schemas = top.group("schemas").flatMap(Self.schemas), let logDirectory = log?.text("directory"),
            let age = retention?.duration("age"), let size = retention?.size("size"),
            let acknowledge = log?.text("acknowledge").flatMap(LogAcknowledgement.init),
            let undelivered = retention?.text("undelivered").flatMap(UndeliveredPolicy.init),
            let reserve = log?.size("reserve")
        else { return nil }
        return PipelineConfiguration(
            name: name, sourceKind: connector.kind, source: connector.settings,
            transforms: transforms, maskSalt: top.text("mask_salt"), outboxes: outboxes,
            schemas: schemas, sensitivity: sensitivity,
            log: LogConfiguration(
                directory: logDirectory, retentionAge: age, retentionSize: size, undelivered: undelivered,
                limit: log?.size("limit"), reserve: reserve, acknowledge: acknowledge),
            sinks: sinks, server: server, locations: locations, folder: folder, secrets: secrets)
    }

    private static func schemas(_ values: SettingValues) -> SchemaConfiguration? {
        guard let directory = values.text("directory"),
            let onChange = values.text("on_change").flatMap(ChangePolicy.init),
            let onNewTable = values.text("on_new_table").flatMap(NewTablePolicy.init),
            let onInvalid = values.text("on_invalid").flatMap(InvalidPolicy.init),
            let onIncompatible = values.text("on_incompatible").flatMap(IncompatiblePolicy.init)
        else { return nil }
        return SchemaConfiguration(
            directory: directory, onChange: onChange, onNewTable: onNewTable, onInvalid: onInvalid,
            onIncompatible: onIncompatible)
    }

    private mutating func checkedName(_ top: SettingValues, _ all: [Entry]) -> String? {
        guard let name = top.text("name"), let entry = all.first(where: { $0.name == "name" }) else { return nil }
        if PipelineSettings.isName(name) { return name }
        report(
            "config.bad_value", "the name is not a small letter and up to 39 small letters, digits, _ or -", "name",
            entry.value.position, "choose a name such as shop")
        return nil
    }

    private mutating func refuseUnknown(_ all: [Entry], _ path: String, known: [String]) {
        for entry in all where !known.contains(entry.name) { refuse(entry, path, candidates: known) }
    }

    private mutating func source(_ section: Entry, _ choice: Choice) -> Connector? {
        guard let inner = entries(of: section.value, "source", at: section.keyPosition) else { return nil }
        refuseUnknown(inner, "source", known: Array(choice.tables.keys))
        let hasStranger = inner.contains { choice.tables[$0.name] == nil }
        return connector(
            in: inner, choice, "source", at: section.keyPosition, what: "source", isMissingKnown: hasStranger)
    }

    private mutating func sinks(_ section: Entry, _ choice: Choice) -> [SinkConfiguration] {
        guard let inner = entries(of: section.value, "sinks", at: section.keyPosition) else { return [] }
        guard inner.count <= Self.sinkCountMax else {
            report("config.bad_value", "there are more than \(Self.sinkCountMax) sinks", "sinks", section.keyPosition)
            return []
        }
        return inner.compactMap { sink($0, choice) }
    }

    private mutating func sink(_ section: Entry, _ choice: Choice) -> SinkConfiguration? {
        let path = joined("sinks", printable(section.name))
        if !PipelineSettings.isName(section.name) {
            report(
                "config.bad_value",
                "the sink's name is not a small letter and up to 39 small letters, digits, _ or -", path,
                section.keyPosition, "choose a name such as archive")
        }
        guard let inner = entries(of: section.value, path, at: section.keyPosition) else { return nil }
        let common = PipelineSettings.sink.map(\.name)
        refuseUnknown(inner, path, known: common + choice.tables.keys)
        let hasStranger = inner.contains { !common.contains($0.name) && choice.tables[$0.name] == nil }
        let found = connector(
            in: inner, choice, path, at: section.keyPosition, what: "sink", isMissingKnown: hasStranger)
        let own = inner.filter { common.contains($0.name) }
        let values = values(of: own, PipelineSettings.sink, path, at: section.keyPosition)
        let patterns = self.patterns(values, inner, path)
        let clearance = clearance(values.list("clearance"), joined(path, "clearance"), at: section.keyPosition)
        let start = start(values, path, at: section.keyPosition)
        let debezium = debezium(values, inner.first { $0.name == "debezium" }, values.text("format"), path)
        guard let found, let patterns, let format = values.text("format").flatMap(RecordFormat.init) else { return nil }
        if format == .csv, found.kind != "file" {
            let position = inner.first { $0.name == "format" }?.value.position ?? section.keyPosition
            report(
                "config.bad_value", "\"csv\" is a format of files", joined(path, "format"), position,
                "take cloudevents or row")
        }
        return SinkConfiguration(
            name: section.name, kind: found.kind, settings: found.settings, tables: patterns, format: format,
            debezium: debezium, clearance: clearance, start: start,
            onRejected: values.text("on_rejected").flatMap(RejectedPolicy.init) ?? .quarantine)
    }

    private mutating func start(
        _ values: SettingValues, _ path: String, at position: FilePosition
    ) -> StartPosition {
        // What is missing was reported already.
        guard let text = values.text("from") else { return .earliest }
        if let start = StartPosition(text) { return start }
        let place = joined(path, "from")
        report(
            "config.bad_value", "\(quoted(text)) is no place in the log", place,
            locations.position(of: place) ?? position, "write \(StartPosition.words)")
        return .earliest
    }

    private mutating func patterns(_ values: SettingValues, _ inner: [Entry], _ path: String) -> [TablePattern]? {
        guard let texts = values.list("tables") else { return nil }
        let position = inner.first { $0.name == "tables" }?.keyPosition ?? FilePosition(line: 1, column: 1)
        return patterns(texts, path, at: position, hint: "name tables, or take the key out for all")
    }

    /// The one connector of a mapping. When a key was refused already, which may have been meant as the connector, that
    /// none is there is not said again.
    private mutating func connector(
        in inner: [Entry], _ choice: Choice, _ path: String, at position: FilePosition, what: String,
        isMissingKnown: Bool
    ) -> Connector? {
        let found = inner.filter { choice.tables[$0.name] != nil }
        for extra in found.dropFirst() {
            report(
                "config.bad_value", "the \(what) has \(quoted(found[0].name)) already", joined(path, extra.name),
                extra.keyPosition, "keep one of them")
        }
        guard let entry = found.first, let table = choice.tables[entry.name] else {
            if !isMissingKnown {
                report(
                    "config.missing_key", "the \(what) names no connector", path, position,
                    "add one of \(choice.tables.keys.sorted().joined(separator: ", "))")
            }
            return nil
        }
        let inside = joined(path, entry.name)
        guard let settings = entries(of: entry.value, inside, at: entry.keyPosition) else { return nil }
        let problemCount = problems.count
        let values = values(of: settings, table, inside, at: entry.keyPosition)
        // Where the file itself is wrong, what the connector would say may only be what follows from that.
        if problems.count == problemCount, let problem = choice.checks[entry.name]?(values, choice.pipelineName) {
            problems += problem.all.map { locations.describe($0, inside, secrets: secrets) }
        }
        return Connector(kind: entry.name, settings: values)
    }
}
