internal import ConnectorKit
internal import JSONText

/// What was read of a schema folder, and by which files: so that a look-up reads what changed since, and no more.
///
/// Every answer is as of now: the stamps of the files that it rests on are looked at each time.
struct RegistryIndex {
    /// A subject.
    struct Subject {
        /// What `subject.json` says.
        var record = SubjectRecord()
        /// All versions that have a file, lowest first.
        var versions: [Int] = []
        fileprivate var folderStamp: FileStamp?
        fileprivate var recordStamp: FileStamp?
        fileprivate var contents: [Int: Content] = [:]

        /// The versions in a scope, lowest first.
        func versions(_ scope: DeletionScope) -> [Int] {
            switch scope {
            case .all: versions
            case .live: record.deleted.isEmpty ? versions : versions.filter { !record.deleted.contains($0) }
            case .deletedOnly: versions.filter(record.deleted.contains)
            }
        }

        /// The number that the next version gets.
        var nextVersion: Int { max(versions.last ?? 0, record.lastVersion ?? 0) + 1 }
    }

    /// What is remembered of a version's file.
    fileprivate struct Content {
        var stamp: FileStamp
        var references: [SchemaReference]
        var fingerprint: SchemaFingerprint
    }

    /// A version with what its id rests on.
    struct Entry {
        var fingerprint: SchemaFingerprint
        var id: Int
        var references: [SchemaReference]
        var isDeleted: Bool
    }

    private let folder: SchemaFolder
    private var subjects: [String: Subject] = [:]
    /// Where an id was met; what is remembered here is looked at again before it is believed.
    private var places: [Int: Set<SubjectVersion>] = [:]

    init(_ folder: SchemaFolder) { self.folder = folder }

    /// The names of all folders of subjects, sorted.
    func subjectNames() throws(ConnectorFailure) -> [String] { try folder.subjects() }

    /// A subject as it is now; one that is not there has no versions.
    mutating func subject(_ name: String) throws(ConnectorFailure) -> Subject {
        let path = try folder.path(of: name)
        guard let now = try FileStamp(path) else {
            subjects[name] = nil
            return Subject()
        }
        var subject = subjects[name] ?? Subject()
        if !(subject.folderStamp?.holds(now) ?? false) {
            subject.versions = try folder.allVersions(of: name)
            subject.folderStamp = now
            let there = Set(subject.versions)
            subject.contents = subject.contents.filter { there.contains($0.key) }
        }
        let recordPath = path + "/" + SubjectRecord.fileName
        if let stamp = try FileStamp(recordPath) {
            if !(subject.recordStamp?.holds(stamp) ?? false) {
                subject.record = try SubjectRecord(file: recordPath)
                subject.recordStamp = stamp
            }
        } else {
            (subject.record, subject.recordStamp) = (SubjectRecord(), nil)
        }
        subjects[name] = subject
        return subject
    }

    /// A version as it is now; nil when it is not there.
    mutating func entry(_ place: SubjectVersion) throws(ConnectorFailure) -> Entry? {
        let subject = try subject(place.subject)
        guard subject.versions.contains(place.version) else { return nil }
        return try entry(place, subject)
    }

    /// A version of a subject that was looked at a moment ago.
    mutating func entry(_ place: SubjectVersion, _ subject: Subject) throws(ConnectorFailure) -> Entry? {
        let path = try folder.file(of: place.subject, version: place.version)
        let references = subject.record.references[place.version] ?? []
        guard let stamp = try FileStamp(path) else { return nil }
        var fingerprint = subject.contents[place.version].flatMap { content in
            content.stamp.holds(stamp) && content.references == references ? content.fingerprint : nil
        }
        if fingerprint == nil {
            guard let schema = try SchemaFolder.schema(in: path) else { return nil }
            let made = try SchemaFingerprint(of: schema, references)
            subjects[place.subject]?.contents[place.version] = Content(
                stamp: stamp, references: references, fingerprint: made)
            fingerprint = made
        }
        guard let fingerprint else { return nil }
        let id = subject.record.ids[place.version] ?? fingerprint.id()
        places[id, default: []].insert(place)
        return Entry(
            fingerprint: fingerprint, id: id, references: references,
            isDeleted: subject.record.deleted.contains(place.version))
    }

    /// Looks at every version of every subject. What is broken is passed over and returned.
    mutating func lookAtAll() throws(ConnectorFailure) -> [ConnectorFailure] {
        var problems: [ConnectorFailure] = []
        for name in try subjectNames() {
            do throws(ConnectorFailure) {
                let subject = try subject(name)
                for version in subject.versions {
                    do throws(ConnectorFailure) {
                        _ = try entry(SubjectVersion(subject: name, version: version), subject)
                    } catch { problems.append(error) }
                }
            } catch { problems.append(error) }
        }
        return problems
    }

    /// The versions that have an id, as far as they were looked at, in the order of their names.
    mutating func holders(of id: Int) throws(ConnectorFailure) -> [(place: SubjectVersion, entry: Entry)] {
        var found: [(place: SubjectVersion, entry: Entry)] = []
        for place in (places[id] ?? []).sorted(by: SubjectVersion.isBefore) {
            if let entry = try entry(place), entry.id == id {
                found.append((place, entry))
            } else {
                places[id]?.remove(place)
            }
        }
        return found
    }

    /// The version whose content has a GUID, among those that were looked at.
    func place(of guid: SchemaFingerprint.GUID) -> SubjectVersion? {
        var found: [SubjectVersion] = []
        for (name, subject) in subjects {
            for (version, content) in subject.contents where content.fingerprint.has(guid) {
                found.append(SubjectVersion(subject: name, version: version))
            }
        }
        return found.min(by: SubjectVersion.isBefore)
    }

    /// The id that a content has where it is registered, among what was looked at; nil where it is not.
    func id(of fingerprint: SchemaFingerprint) -> Int? {
        var ids: Set<Int> = []
        for subject in subjects.values {
            for (version, content) in subject.contents where content.fingerprint == fingerprint {
                ids.insert(subject.record.ids[version] ?? fingerprint.id())
            }
        }
        // Imported twice under two ids, it keeps the one that it would get by itself.
        return ids.contains(fingerprint.id()) ? fingerprint.id() : ids.min()
    }

    /// Ids that were met at more than one place.
    var sharedIDs: [Int] { places.filter { $0.value.count > 1 }.map(\.key) }

    /// All ids that were met.
    var ids: [Int] { places.filter { !$0.value.isEmpty }.map(\.key) }
}

extension SubjectVersion {
    /// By the code points of the subject, then by version.
    static func isBefore(_ a: SubjectVersion, _ b: SubjectVersion) -> Bool {
        if a.subject == b.subject { return a.version < b.version }
        return a.subject.unicodeScalars.lexicographicallyPrecedes(b.subject.unicodeScalars)
    }
}
