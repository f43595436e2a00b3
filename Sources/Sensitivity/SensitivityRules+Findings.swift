package import ConnectorKit
package import SchemaRegistry

extension SensitivityRules {
    /// What `doctor` says about the contracts of a pipeline: words that are no class, classes of what is no column, and
    /// what each sink does not see. `columns` are those that the tables had last, by subject, as far as they are known.
    package func findings(
        of pipelineName: String, _ schemas: SchemaFolder, sinks: [(name: String, clearance: Clearance)],
        columns known: [String: Set<String>] = [:]
    ) -> [Finding] {
        var findings: [Finding] = []
        var hidden: [String: [String]] = [:]
        do throws(ConnectorFailure) {
            for subject in try schemas.subjects() where subject.hasPrefix(pipelineName + ".") {
                let classes = try schemas.classes(of: subject)
                let table = String(subject.dropFirst(pipelineName.count + 1))
                if let word = classes.unknownWords.first { findings.append(Self.unknown(word, subject)) }
                for column in classes.suspected { findings.append(Self.suspected(column, table, subject)) }
                let columns = classes.all(unclassified: unclassified)
                if let captured = known[subject] {
                    for column in columns where column.isClassified && !captured.contains(column.name) {
                        findings.append(Self.unmatched(column.name, table, subject))
                    }
                }
                for sink in sinks {
                    let unseen = columns.filter { !sink.clearance.allows($0.sensitivity) }
                    hidden[sink.name, default: []] += unseen.map { column in
                        let mask = column.isKey ? "hash" : mask(of: column.sensitivity).name
                        return "\(table).\(column.name) (\(column.sensitivity.rawValue): \(mask))"
                    }
                    if salt == nil, let key = unseen.first(where: \.isKey) {
                        findings.append(Self.unsalted("\(table).\(key.name)", sink.name))
                    }
                }
            }
        } catch {
            return [Finding(.problem, error.code, error.message, fix: error.hint)]
        }
        for (name, columns) in hidden.sorted(by: { $0.key < $1.key }) where !columns.isEmpty {
            let shown = columns.prefix(8).joined(separator: ", ")
            let more = columns.count > 8 ? " and \(columns.count - 8) more" : ""
            findings.append(Finding(.ok, "sensitivity.hidden", "sink \(name) does not see \(shown)\(more)"))
        }
        return findings
    }

    private static func unknown(_ word: String, _ subject: String) -> Finding {
        Finding(
            .problem, "sensitivity.unknown_class",
            "a version of \(subject) says \(ClassStatements.keyword): \(word.prefix(40)), which is no class; it counts "
                + "as restricted",
            fix: "write public, internal, confidential or restricted")
    }

    private static func unmatched(_ column: String, _ table: String, _ subject: String) -> Finding {
        Finding(
            .warning, "sensitivity.unmatched",
            "\(subject) classifies \(column), and \(table) had no such column when it was last captured: nothing is "
                + "hidden by it",
            fix: "write the column's name as the database has it (capital letters count) in a new version of \(subject)"
        )
    }

    private static func suspected(_ column: String, _ table: String, _ subject: String) -> Finding {
        Finding(
            .warning, "sensitivity.suspected",
            "\(table).\(column) came when a classified column went, and may be the same under another name: it has "
                + "that one's class",
            fix: "state its class (\(ClassStatements.keyword)) in a new version of \(subject)")
    }

    private static func unsalted(_ column: String, _ sink: String) -> Finding {
        Finding(
            .problem, "sensitivity.salt_missing",
            "sink \(sink) may not see \(column), a key, and there is no mask_salt for the hash that has to stand for "
                + "it",
            fix: "add mask_salt: ${MASK_SALT}, with what openssl rand -hex 32 prints")
    }
}
