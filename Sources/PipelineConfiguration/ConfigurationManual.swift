import ConnectorKit

/// The reference of configuration files in Markdown: `docs/reference/configuration.md` is generated from it.
package struct ConfigurationManual {
    private let tables: ConnectorTables

    /// The manual for these connectors.
    package init(tables: ConnectorTables) { self.tables = tables }

    /// The manual's text, the same for the same tables.
    package var text: String {
        var text = Self.introduction
        text += "\n## Top level\n\n" + table(PipelineSettings.top, "")
        text += "\n## Sources\n\n`source` holds one connector.\n"
        for (kind, settings) in tables.sources.sorted(by: { $0.key < $1.key }) {
            text += "\n### source.\(kind)\n\n" + table(settings, "")
        }
        text += "\n## Sinks\n\n`sinks` holds sinks by names of your choice, each with one connector, and beside it:\n\n"
        text += table(PipelineSettings.sink, "")
        for (kind, settings) in tables.sinks.sorted(by: { $0.key < $1.key }) {
            text += "\n### sinks.NAME.\(kind)\n\n" + table(settings, "")
        }
        return text
    }

    private static let introduction = """
        # Configuration

        <!-- Generated from the tables of settings. Do not edit: change the tables, and generate it again. -->

        The configuration is one YAML file, by default `millrace.yaml`. A mistake stops the program before it does
        anything, and every mistake is reported at once with its line and column.

        - **Keys** are refused when they are unknown, there twice, or not available in this version.
        - **Units** belong to every duration (`250ms`, `30s`, `5m`, `2h`, `7d`) and size (`512B`, `64KiB`, `64MiB`,
          `10GiB`, `1TiB`). Numbers alone are refused.
        - **Text** stays as it is written: `no`, `1.10` and `007` need no quotes where text is expected.
        - **Variables** of the environment stand anywhere in a value: `${NAME}`, or `${NAME:-default}` for when the
          variable is unset or empty. `$$` is a dollar sign. Inside of `{ }` and `[ ]` put such a value into quotes.
        - **Secrets** can stay outside of the file: `file:PATH` instead of a secret setting's value takes it from a
          file, without the newline at its end. No message shows a secret.
        - **Paths** are relative to the folder of the configuration file.
        - **Anchors** (`&name`) and aliases (`*name`) work for whole values.

        """

    /// A Markdown table of settings; those of groups follow their group with its name before theirs.
    private func table(_ settings: [Setting], _ prefix: String) -> String {
        if settings.isEmpty { return "No settings.\n" }
        return "| setting | value | default | meaning |\n| --- | --- | --- | --- |\n" + rows(settings, prefix)
    }

    private func rows(_ settings: [Setting], _ prefix: String) -> String {
        var text = ""
        for setting in settings {
            let name = "`\(prefix)\(setting.name)`"
            switch setting.kind {
            case .group(let inner):
                text += row(name, "settings", setting.isRequired ? "required" : "", cell(setting.summary))
                text += rows(inner, "\(prefix)\(setting.name).")
            case .groups(let inner):
                text += row(name, "list of settings", setting.isRequired ? "required" : "none", cell(setting.summary))
                text += rows(inner, "\(prefix)\(setting.name)[].")
            default:
                let value = setting.isSecret ? "\(form(of: setting.kind)), secret" : form(of: setting.kind)
                let fallback = setting.isRequired ? "required" : setting.defaultValue.map(Self.code) ?? "none"
                text += row(name, value, fallback, cell(setting.summary))
            }
        }
        return text
    }

    private func row(_ cells: String...) -> String { "| " + cells.joined(separator: " | ") + " |\n" }

    private func cell(_ text: String) -> String {
        text.replacing("\n", with: " ").replacing("|", with: "\\|")
    }

    private func form(of kind: SettingKind) -> String {
        switch kind {
        case .text: "text"
        case .integer(let range): "number \(SettingText.words(for: range))"
        case .flag: "`true` or `false`"
        case .duration: "duration"
        case .size: "size"
        case .list: "list"
        case .choice(let words): words.map { "`\($0)`" }.joined(separator: ", ")
        case .group: "settings"
        case .groups: "list of settings"
        case .map(_, let words): "names with \(words)"
        }
    }

    private static func code(_ value: SettingValue) -> String {
        switch value {
        case .text(let text): text.isEmpty ? "empty" : "`\(text)`"
        case .integer(let number): "`\(number)`"
        case .flag(let flag): "`\(flag)`"
        case .duration(let duration): "`\(SettingText.text(of: duration))`"
        case .size(let bytes): "`\(SettingText.text(ofSize: bytes))`"
        case .list(let texts): "`[\(texts.map { "\"\($0)\"" }.joined(separator: ", "))]`"
        case .group, .groups, .map: "settings"
        }
    }
}
