import ConnectorKit

/// The list `transforms`.
extension SettingReader {
    /// The entries of the list; what is wrong with their masks is reported.
    mutating func transforms(_ top: SettingValues, at position: FilePosition) -> [TransformConfiguration] {
        var transforms: [TransformConfiguration] = []
        for (index, values) in (top.groups("transforms") ?? []).enumerated() {
            let path = "transforms[\(index)]"
            // What is missing was reported already.
            guard let texts = values.list("tables"), let masks = values.map("mask") else { continue }
            let place = locations.position(of: path) ?? position
            let tables = patterns(texts, path, at: place, hint: "name tables, or take the entry out")
            if masks.isEmpty {
                report(
                    "config.bad_value", "the entry masks no column", "\(path).mask", place, "write mask: {email: hash}")
            }
            transforms.append(TransformConfiguration(tables: tables ?? [], masks: self.masks(masks, "\(path).mask")))
        }
        checkSalt(top, transforms, at: position)
        return transforms
    }

    /// Masks by name; what is wrong with them is reported.
    mutating func masks(_ texts: [String: String], _ path: String) -> [String: ColumnMask] {
        var masks: [String: ColumnMask] = [:]
        for (column, text) in texts.sorted(by: { $0.key < $1.key }) {
            if let mask = ColumnMask(text) {
                masks[column] = mask
                continue
            }
            let maskPath = "\(path).\(printable(column))"
            let nearest = nearestName(to: text, among: ["drop", "redact", "hash", "truncate(8)"])
            let hint = nearest.map { "did you mean \"\($0)\"?" } ?? "such as hash, or truncate(8)"
            report(
                "config.bad_value",
                "\(quoted(text)) is not one of \(PipelineSettings.maskWords.replacing("`", with: ""))",
                maskPath, locations.position(of: maskPath) ?? FilePosition(line: 1, column: 1), hint)
        }
        return masks
    }

    private mutating func checkSalt(
        _ top: SettingValues, _ transforms: [TransformConfiguration], at position: FilePosition
    ) {
        let salt = top.text("mask_salt")
        let hashes = transforms.contains { $0.masks.values.contains(.hash) }
        if let salt, salt.utf8.count < PipelineSettings.saltBytesMin {
            report(
                "config.bad_value", "the salt is shorter than \(PipelineSettings.saltBytesMin) bytes", "mask_salt",
                locations.position(of: "mask_salt") ?? position, "openssl rand -hex 32 prints a good one")
        } else if hashes {
            requireSalt(top, at: position)
        }
    }

    /// Reports a missing salt, once.
    mutating func requireSalt(_ top: SettingValues, at position: FilePosition) {
        guard top.text("mask_salt") == nil, !problems.contains(where: { $0.path == "mask_salt" }) else { return }
        report(
            "config.missing_key", "\"mask_salt\" is missing, which hashes need", "mask_salt", position,
            "add mask_salt: ${MASK_SALT}, with what openssl rand -hex 32 prints")
    }

    /// Patterns of tables; nil with a problem reported.
    mutating func patterns(
        _ texts: [String], _ path: String, at position: FilePosition, hint: String
    ) -> [TablePattern]? {
        guard !texts.isEmpty, !texts.contains("") else {
            let message = texts.isEmpty ? "the list of tables is empty" : "a table's name is empty"
            report("config.bad_value", message, "\(path).tables", position, hint)
            return nil
        }
        let patterns = texts.map { TablePattern($0) }
        for (index, pattern) in patterns.enumerated() where !pattern.isWellFormed {
            let itemPath = "\(path).tables[\(index)]"
            report(
                "config.bad_value", "a double quote is not closed", itemPath,
                locations.position(of: itemPath) ?? position, "close it, or double a quote that belongs to the name")
        }
        return patterns
    }
}
