import Glibc

extension PathTemplate {
    /// The template as the file system takes it now: absolute, without `.`, `..` and slashes in a row, and with what
    /// symbolic links before the first placeholder lead to. A name that is not there yet stands for itself.
    ///
    /// Templates of one spelling here are one and the same. Files can be the same all the same: by hard links, or by
    /// names that placeholders get.
    var resolvedText: String { Self.resolved(text, hasPlaceholders: true) }

    /// The same of any path; one that is no template has braces as other letters.
    static func resolved(_ text: String, hasPlaceholders: Bool) -> String {
        var resolved = text.hasPrefix("/") ? "" : realPath(".") ?? ""
        var hasPlaceholder = false
        for name in text.split(separator: "/") where name != "." {
            if name == ".." {
                resolved = String(resolved[..<(resolved.lastIndex(of: "/") ?? resolved.startIndex)])
                continue
            }
            hasPlaceholder = hasPlaceholder || (hasPlaceholders && name.contains("{"))
            resolved += "/\(name)"
            if !hasPlaceholder, let real = realPath(resolved) { resolved = real == "/" ? "" : real }
        }
        return resolved
    }

    /// What a path leads to; nil when it leads nowhere.
    private static func realPath(_ path: String) -> String? {
        guard let found = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(found) }
        return unsafe String(cString: found)
    }
}
