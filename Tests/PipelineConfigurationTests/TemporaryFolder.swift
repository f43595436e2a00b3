import Glibc

/// A folder of its own for a test, removed with what is in it afterwards.
final class TemporaryFolder {
    struct Failure: Error {}

    let path: String
    private var names: [String] = []

    init() throws {
        var template = Array("/tmp/millrace-configuration-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure() }
        path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    func write(_ name: String, _ content: String) throws { try write(name, Array(content.utf8)) }

    func write(_ name: String, _ content: [UInt8]) throws {
        guard let file = fopen("\(path)/\(name)", "w") else { throw Failure() }
        defer { fclose(file) }
        names.append(name)
        guard fwrite(content, 1, content.count, file) == content.count else { throw Failure() }
    }

    deinit {
        for name in names { unlink("\(path)/\(name)") }
        rmdir(path)
    }
}
