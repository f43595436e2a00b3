import Yams

/// The one document of a file, or what is wrong with it as YAML.
struct YAMLDocument {
    /// A file is no longer than this.
    static let bytesMax = 1 << 20

    /// The root; nil when the file cannot be read as YAML or holds nothing.
    private(set) var root: YAMLNode?
    /// What is wrong with it. There may be a root nevertheless, when only keys are there twice.
    private(set) var problems: [ConfigurationProblem] = []
    /// Keys that the file does not have: they stand where a key stood for the second time.
    private(set) var standIns: Set<String> = []

    /// Reads the bytes of a file. Never throws or traps: whatever the bytes are, they are a document or problems.
    init(bytes: [UInt8], file: String) {
        guard bytes.count <= Self.bytesMax else {
            problems = [
                ConfigurationProblem("config.too_large", "the file is larger than 1 MiB", file: file)
            ]
            return
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            problems = [Self.notUTF8(bytes, file)]
            return
        }
        compose(text.hasPrefix("\u{FEFF}") ? String(text.unicodeScalars.dropFirst()) : text, file)
        if root == nil, problems.isEmpty {
            problems = [
                ConfigurationProblem(
                    "config.empty", "the file holds no configuration", file: file,
                    hint: "write one as in README.md; docs/reference/configuration.md has every setting")
            ]
        }
    }

    /// Composes the text. A key that is there twice ends what the library does, so the second one is renamed and the
    /// text composed again, to find the other problems too.
    private mutating func compose(_ text: String, _ file: String) {
        var text = text
        while !text.isEmpty {
            do {
                // Without rules of its own a resolver leaves every scalar as the text it is.
                root = try Yams.Parser(yaml: text, resolver: .basic, encoding: .utf8).singleRoot().map { YAMLNode($0) }
                return
            } catch YamlError.duplicatedKeysInMapping(let names, let context) {
                let name = names.first ?? ""
                let first = FilePosition(line: context.mark.line, column: context.mark.column)
                let place = DuplicateKey.find(name, after: first, in: text)
                problems.append(Self.duplicate(name, first, place?.position, file))
                guard let place, standIns.count < 20 else { return }
                let standIn = DuplicateKey.standIn(for: name, number: standIns.count)
                text.replaceSubrange(place.range, with: standIn)
                guard standIns.insert(standIn).inserted else { return }
            } catch {
                problems.append(Self.syntax(error, text, file))
                return
            }
        }
    }

    private static func duplicate(
        _ name: String, _ first: FilePosition, _ second: FilePosition?, _ file: String
    ) -> ConfigurationProblem {
        let message =
            second == nil
            ? "the key \(quoted(name)) is there more than once"
            : "the key \(quoted(name)) is there more than once, first in line \(first.line)"
        return ConfigurationProblem(
            "config.duplicate_key", message, file: file, position: second ?? first,
            hint: "keep one of them")
    }

    private static func notUTF8(_ bytes: [UInt8], _ file: String) -> ConfigurationProblem {
        var decoder = UTF8()
        var iterator = bytes.makeIterator()
        var position = FilePosition(line: 1, column: 1)
        while case .scalarValue(let scalar) = decoder.decode(&iterator) {
            position =
                scalar == "\n"
                ? FilePosition(line: position.line + 1, column: 1)
                : FilePosition(line: position.line, column: position.column + 1)
        }
        return ConfigurationProblem(
            "config.syntax", "the file is not UTF-8", file: file, position: position, hint: "save the file as UTF-8")
    }

    /// Makes a problem of what the library throws. Its own words never quote the file.
    private static func syntax(_ error: any Error, _ text: String, _ file: String) -> ConfigurationProblem {
        var problem = ConfigurationProblem("config.syntax", "the file is not YAML", file: file)
        switch error {
        case YamlError.scanner(_, let words, let mark, _), YamlError.parser(_, let words, let mark, _),
            YamlError.composer(_, let words, let mark, _):
            problem.position = FilePosition(line: mark.line, column: mark.column)
            problem.message = "not YAML here: \(words)"
            problem.hint = hint(words, line(mark.line, of: text))
            if words == "but found another document" {
                problem.message = "the file holds more than one document"
                problem.hint = "keep one, and take out the line that separates them"
            }
        case YamlError.reader(let words, let offset, _, _):
            problem.message = "not YAML: \(words)"
            problem.position = offset.flatMap { position(ofCharacter: $0, in: text) }
        case YamlError.memory:
            problem.message = "the file needs too much memory; it may be nested too deeply"
        default:
            break
        }
        return problem
    }

    private static func hint(_ words: String, _ line: Substring) -> String? {
        if line.prefix(while: \.isWhitespace).contains("\t") { return "indent with spaces, never with tabs" }
        if line.contains("${") { return "put a value with ${…} that stands inside of { } or [ ] into quotes" }
        if words.contains("undefined alias") { return "put a value that begins with * into quotes" }
        if words.contains("mapping values") { return "put a value that holds a colon into quotes, or indent by spaces" }
        return words.contains("cannot start any token") ? "put the value into quotes" : nil
    }

    private static func line(_ number: Int, of text: String) -> Substring {
        let lines = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline)
        return number >= 1 && number <= lines.count ? lines[number - 1] : ""
    }

    private static func position(ofCharacter offset: Int, in text: String) -> FilePosition {
        let before = text.prefix(offset)
        let lastLine = before.lastIndex(where: \.isNewline).map { before[before.index(after: $0)...] } ?? before
        return FilePosition(
            line: before.count(where: \.isNewline) + 1, column: lastLine.unicodeScalars.count + 1)
    }
}
