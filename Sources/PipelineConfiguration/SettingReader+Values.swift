import ConnectorKit

extension SettingReader {
    /// A scalar of the file after its variables were put in.
    private struct Scalar {
        var text: String
        /// What messages may show of it; nil for secrets.
        var shown: String?
        /// True when the text itself may be shown, as in a suggestion.
        var isShowable: Bool

        var subject: String { shown ?? "the value" }
    }

    /// The value of one setting; nil when there is a problem, which is then reported.
    mutating func value(of entry: Entry, _ setting: Setting, _ path: String) -> SettingValue? {
        switch setting.kind {
        case .group(let table):
            guard let inner = entries(of: entry.value, path, at: entry.keyPosition) else { return nil }
            return .group(values(of: inner, table, path, at: entry.keyPosition))
        case .list:
            return list(entry, setting, path).map(SettingValue.list)
        case .groups(let table):
            return groups(entry, setting, table, path).map(SettingValue.groups)
        case .map:
            return map(entry, setting, path).map(SettingValue.map)
        default:
            guard let scalar = scalar(of: entry.value, setting, path, at: entry.keyPosition) else { return nil }
            return value(of: scalar, setting, path, at: entry.value.position)
        }
    }

    private mutating func list(_ entry: Entry, _ setting: Setting, _ path: String) -> [String]? {
        guard let items = items(of: entry, setting, path) else { return nil }
        var texts: [String] = []
        for (index, item) in items.enumerated() {
            let itemPath = "\(path)[\(index)]"
            locations.record(itemPath, item.position)
            if let scalar = scalar(of: item, setting, itemPath, at: item.position) { texts.append(scalar.text) }
        }
        return texts
    }

    private mutating func groups(
        _ entry: Entry, _ setting: Setting, _ table: [Setting], _ path: String
    ) -> [SettingValues]? {
        guard let items = items(of: entry, setting, path) else { return nil }
        var groups: [SettingValues] = []
        for (index, item) in items.enumerated() {
            let itemPath = "\(path)[\(index)]"
            locations.record(itemPath, item.position)
            guard let inner = entries(of: item, itemPath, at: item.position) else {
                // The place is kept, so that messages about later entries name theirs.
                groups.append(SettingValues())
                continue
            }
            groups.append(values(of: inner, table, itemPath, at: item.position))
        }
        return groups
    }

    private mutating func map(_ entry: Entry, _ setting: Setting, _ path: String) -> [String: String]? {
        guard let inner = entries(of: entry.value, path, at: entry.keyPosition) else { return nil }
        var texts: [String: String] = [:]
        for pair in inner {
            let pairPath = joined(path, printable(pair.name))
            guard let scalar = scalar(of: pair.value, setting, pairPath, at: pair.keyPosition) else { continue }
            texts[pair.name] = scalar.text
        }
        return texts
    }

    /// The items of a list; nil when it is none or has too many.
    private mutating func items(of entry: Entry, _ setting: Setting, _ path: String) -> [YAMLNode]? {
        guard !hasForeignTag(entry.value, path) else { return nil }
        guard case .sequence(let items) = entry.value.content else {
            report(
                "config.wrong_type", "\"\(setting.name)\" should be a list, and is \(entry.value.description)", path,
                entry.keyPosition, "write [a, b], or one entry in each line after a hyphen")
            return nil
        }
        guard items.count <= Self.listCountMax else {
            let message = "\"\(setting.name)\" has more than \(Self.listCountMax) entries"
            report("config.bad_value", message, path, entry.keyPosition)
            return nil
        }
        return items
    }

    private mutating func value(
        of scalar: Scalar, _ setting: Setting, _ path: String, at position: FilePosition
    ) -> SettingValue? {
        do throws(SettingText.Malformed) {
            switch setting.kind {
            case .text: return .text(scalar.text)
            case .integer(let range): return .integer(try SettingText.integer(scalar.text, in: range))
            case .flag: return .flag(try SettingText.flag(scalar.text))
            case .duration: return .duration(try SettingText.duration(scalar.text))
            case .size: return .size(try SettingText.size(scalar.text))
            case .choice(let words): return choice(scalar, words, path, at: position)
            case .list, .group, .groups, .map: return nil
            }
        } catch {
            let suggestion = scalar.isShowable ? error.suggestion.map { "did you mean \($0)?" } : nil
            report("config.bad_value", "\(scalar.subject) \(error.what)", path, position, suggestion ?? error.hint)
            return nil
        }
    }

    private mutating func choice(
        _ scalar: Scalar, _ words: [String], _ path: String, at position: FilePosition
    ) -> SettingValue? {
        if words.contains(scalar.text) { return .text(scalar.text) }
        if scalar.isShowable, PipelineSettings.isAnnounced("\(path)=\(scalar.text)") {
            report(
                "config.not_available", "\(scalar.subject) is not available in this version", path, position,
                "write one of \(words.joined(separator: ", "))")
            return nil
        }
        let nearest = scalar.isShowable ? nearestName(to: scalar.text, among: words) : nil
        report(
            "config.bad_value", "\(scalar.subject) is not one of \(words.joined(separator: ", "))", path, position,
            nearest.map { "did you mean \"\($0)\"?" })
        return nil
    }

    private mutating func scalar(
        of node: YAMLNode, _ setting: Setting, _ path: String, at keyPosition: FilePosition
    ) -> Scalar? {
        guard !hasForeignTag(node, path) else { return nil }
        switch node.content {
        case .text(let written):
            return scalar(written, setting, path, at: node.position)
        case .nothing:
            report(
                "config.wrong_type", "\"\(setting.name)\" has no value", path, keyPosition,
                "write a value, or take the key out")
        case .mapping, .sequence:
            report(
                "config.wrong_type", "\"\(setting.name)\" should be a single value, and is \(node.description)", path,
                keyPosition)
        }
        return nil
    }

    private mutating func scalar(
        _ written: String, _ setting: Setting, _ path: String, at position: FilePosition
    ) -> Scalar? {
        let expanded = variables.expand(written)
        for failure in expanded.failures { report(failure, setting, path, at: position) }
        guard expanded.failures.isEmpty else { return nil }
        var text = expanded.text
        if setting.isSecret {
            guard let secret = secret(text, setting, path, at: position) else { return nil }
            text = secret
        }
        guard !text.utf8.contains(0) else {
            report("config.bad_value", "\"\(setting.name)\" holds a NUL character", path, position)
            return nil
        }
        let shown = setting.isSecret ? nil : expanded.hasVariables ? "what \(quoted(written)) stands for" : quoted(text)
        return Scalar(text: text, shown: shown, isShowable: !setting.isSecret && !expanded.hasVariables)
    }

    /// The value of a secret setting: the text itself, or what is in the file after `file:`.
    private mutating func secret(
        _ text: String, _ setting: Setting, _ path: String, at position: FilePosition
    ) -> String? {
        guard text.hasPrefix("file:") else {
            if !text.isEmpty { secrets.append(text) }
            return text
        }
        do throws(SettingText.Malformed) {
            let name = String(text.dropFirst("file:".count))
            let secret = try secretFile(name)
            locations.record(secretFile: joinedPath(folder, name))
            if !secret.isEmpty { secrets.append(secret) }
            return secret
        } catch {
            let message = "the file of \"\(setting.name)\" \(error.what)"
            report("config.unreadable_secret", message, path, position, error.hint)
            return nil
        }
    }

    /// The content of a secret's file without the newline at its end.
    private func secretFile(_ name: String) throws(SettingText.Malformed) -> String {
        let hint = "the path after file: is relative to the configuration's folder"
        guard !name.isEmpty else { throw .init(what: "has no name", hint: hint) }
        let bytes: [UInt8]
        do throws(BoundedFile.Failure) {
            bytes = try BoundedFile.read(joinedPath(folder, name), bytesMax: Self.secretBytesMax)
        } catch .system(let words) {
            throw .init(what: "cannot be read: \(words)", hint: hint)
        } catch {
            throw .init(what: "is larger than 64 KiB", hint: hint)
        }
        guard var content = String(validating: bytes, as: UTF8.self) else {
            throw .init(what: "is not UTF-8 text", hint: hint)
        }
        if content.last?.isNewline ?? false { content.removeLast() }
        return content
    }

    private mutating func report(
        _ failure: VariableExpansion.Failure, _ setting: Setting, _ path: String, at position: FilePosition
    ) {
        let (code, message, hint): (String, String, String?) =
            switch failure {
            case .unset(let name):
                (
                    "config.unset_variable", "the environment has no \(name)",
                    "set \(name), or write ${\(name):-default}"
                )
            case .unclosed:
                ("config.bad_value", "a ${ in \"\(setting.name)\" has no }", "write $$ for a dollar sign")
            case .badName:
                (
                    "config.bad_value", "a ${…} in \"\(setting.name)\" is not ${NAME} or ${NAME:-default}",
                    "names have letters, digits and _; write $$ for a dollar sign"
                )
            case .bareName:
                (
                    "config.bad_value", "a $ in \"\(setting.name)\" stands before a name without { }",
                    "write ${NAME} for a variable, or $$ for a dollar sign"
                )
            case .nested:
                ("config.bad_value", "a default in \"\(setting.name)\" holds a variable of its own", nil)
            case .tooLong:
                ("config.bad_value", "\"\(setting.name)\" is longer than 1 MiB with its variables", nil)
            }
        report(code, message, path, position, hint)
    }
}
