internal import ConnectorKit

extension SchemaFolder {
    private static let beforeRecord = HaltPoint("schema.before_record")
    private static let recordWritten = HaltPoint("schema.record_written")

    /// What is known of a subject beyond its schemas.
    func record(of subject: String) throws(ConnectorFailure) -> SubjectRecord {
        try SubjectRecord(file: path(of: subject) + "/" + SubjectRecord.fileName)
    }

    /// What holds for all subjects.
    func registryRecord() throws(ConnectorFailure) -> SubjectRecord { try SubjectRecord(file: registryPath) }

    /// Where that is written.
    var registryPath: String { directory + "/" + SubjectRecord.registryFileName }

    /// Writes a subject's record durably; an empty one has no file. The folder is the subject's and locked.
    func write(_ record: SubjectRecord, in folder: borrowing Folder) throws(ConnectorFailure) {
        try write(record, as: SubjectRecord.fileName, in: folder)
    }

    /// Writes what holds for all subjects. The folder is this one and locked.
    func writeRegistry(_ record: SubjectRecord, in folder: borrowing Folder) throws(ConnectorFailure) {
        try write(record, as: SubjectRecord.registryFileName, in: folder)
    }

    private func write(
        _ record: SubjectRecord, as name: String, in folder: borrowing Folder
    ) throws(ConnectorFailure) {
        if record.isEmpty {
            try folder.remove(name)
        } else {
            try folder.replace(name, with: record.text, beforeRename: Self.beforeRecord.reached)
        }
        try folder.sync()
        Self.recordWritten.reached()
    }
}
