/// The program's version.
enum Version {
    /// Semantic version of this source tree.
    static let text = "0.1.0"
}
