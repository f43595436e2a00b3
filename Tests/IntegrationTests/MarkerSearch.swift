import Foundation
import ProgramTesting
import Testing

/// Values that must not be seen, by their class: a text that is found again as it is, in hexadecimal digits and in
/// base64.
enum Marker: String, CaseIterable {
    case `internal` = "jqzjqzjqzjqz"
    case confidential = "wvkwvkwvkwvk"
    case restricted = "zqxzqxzqxzqx"

    /// A value with the marker in it.
    func value(_ rest: String) -> String { rawValue + rest }

    /// What of the marker stands in any text that holds it, whatever is before it.
    private var forms: [Data] {
        let bytes = Array(rawValue.utf8)
        let hex = bytes.map { String($0, radix: 16) }.joined()
        let base64 = (0..<3).map { shift -> String in
            let text = Data([UInt8](repeating: 0, count: shift) + bytes).base64EncodedString()
            // The first and last group may hold other bytes too.
            return String(text.dropFirst(4).prefix(12))
        }
        return ([rawValue, hex, hex.uppercased()] + base64).map { Data($0.utf8) }
    }

    func isIn(_ data: Data) -> Bool { forms.contains { data.range(of: $0) != nil } }

    /// The markers in a text.
    static func found(in text: String) -> Set<Marker> { Set(allCases.filter { $0.isIn(Data(text.utf8)) }) }
}

extension MillraceProgram {
    /// Which markers the files of the folder hold, by file; those without any are not in it. Files with the database or
    /// the log in them are left out.
    func markers() throws -> [String: Set<Marker>] {
        let files = FileManager.default.enumerator(atPath: folder.url.path)
        var found: [String: Set<Marker>] = [:]
        while let path = files?.nextObject() as? String {
            let name = path.split(separator: "/").last.map(String.init) ?? path
            let inPath = Marker.found(in: path)
            if !inPath.isEmpty { found["path of \(name)"] = inPath }
            if name.hasPrefix("log.sqlite") || name.hasPrefix("shop.db") || path == "millrace.yaml" { continue }
            guard let data = FileManager.default.contents(atPath: folder.path(path)) else { continue }
            let markers = Set(Marker.allCases.filter { $0.isIn(data) })
            if !markers.isEmpty { found[path] = markers }
        }
        return found
    }

    /// Registers the next version of a contract: the latest one with these classes on its columns.
    func classify(_ subject: String, _ classes: [String: String]) throws {
        let path = "Schemas/\(subject)"
        let count = try FileManager.default.contentsOfDirectory(atPath: folder.path(path)).filter {
            $0.hasPrefix("v") && $0.hasSuffix(".schema.json")
        }.count
        let latest = try Data(contentsOf: URL(fileURLWithPath: folder.path("\(path)/v\(count).schema.json")))
        var schema = try #require(try JSONSerialization.jsonObject(with: latest) as? [String: Any])
        var properties = try #require(schema["properties"] as? [String: Any])
        for (column, sensitivity) in classes {
            var property = try #require(properties[column] as? [String: Any], "\(subject) has no \(column)")
            property["x-sensitivity"] = sensitivity
            properties[column] = property
        }
        schema["properties"] = properties
        let text = String(decoding: try JSONSerialization.data(withJSONObject: schema), as: UTF8.self)
        try folder.write("\(path)/v\(count + 1).schema.json", text)
    }

    /// The lines of a file as objects.
    func objects(in file: String) throws -> [[String: Any]] {
        guard let text = try? String(contentsOfFile: folder.path(file), encoding: .utf8) else { return [] }
        return try text.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }
}
