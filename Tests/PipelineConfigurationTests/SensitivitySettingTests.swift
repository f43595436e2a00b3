import ConnectorKit
import PipelineConfiguration
import Testing

/// The section `sensitivity`, and clearances.
struct SensitivitySettingTests {
    private func with(_ rest: String) -> String { "name: a\nsource: {sqlite: {path: x}}\n" + rest }

    @Test func withoutWordsNothingButWhatIsUsualIsSeen() throws {
        let configuration = try load(with("sinks:\n  one:\n    file: {path: x}\n"))
        #expect(configuration.sinks.map(\.clearance) == [.usual])
        #expect(configuration.sensitivity.unclassified == .internal)
        #expect(configuration.sensitivity.masks.isEmpty && configuration.sensitivity.commands == .usual)
        #expect(Clearance.usual.allows(.internal) && !Clearance.usual.allows(.confidential))
    }

    @Test func clearancesAndMasksAreRead() throws {
        let configuration = try load(
            with(
                """
                mask_salt: 0123456789abcdef
                sensitivity:
                  unclassified: confidential
                  masks: {restricted: drop, confidential: hash, internal: truncate(3)}
                  commands: [public]
                sinks:
                  one:
                    file: {path: x}
                    clearance: [confidential, public, internal]
                """))
        #expect(configuration.sinks.map(\.clearance) == [Clearance(.confidential)])
        #expect(configuration.sensitivity.unclassified == .confidential)
        #expect(
            configuration.sensitivity.masks == [.restricted: .drop, .confidential: .hash, .internal: .truncate(3)])
        #expect(configuration.sensitivity.commands == Clearance(.public))
    }

    @Test func everyProblemIsToldWithItsPlace() {
        let found = problems(
            with(
                """
                sensitivity:
                  unclassified: secret
                  masks: {restrictd: drop, public: hsah, internal: hash}
                sinks:
                  one:
                    file: {path: x}
                    clearance: [public, confidential]
                  two:
                    file: {path: x}
                    clearance: []
                  three:
                    file: {path: x}
                    clearance: [pubic]
                  four:
                    file: {path: x}
                    clearance: internal
                """))
        let classes = "public, internal, confidential, restricted"
        #expect(
            found == [
                "config.missing_key mask_salt 3:1 \"mask_salt\" is missing, which hashes need"
                    + " (add mask_salt: ${MASK_SALT}, with what openssl rand -hex 32 prints)",
                "config.bad_value sensitivity.unclassified 4:17 \"secret\" is not one of \(classes)",
                "config.bad_value sensitivity.masks.restrictd 5:22 \"restrictd\" is not one of \(classes)"
                    + " (did you mean \"restricted\"?)",
                "config.bad_value sensitivity.masks.public 5:36 \"hsah\" is not one of drop, redact, hash, truncate(N)"
                    + " (did you mean \"hash\"?)",
                "config.bad_value sinks.one.clearance 9:5 internal is left out, which is less sensitive than"
                    + " confidential (write [public, internal, confidential])",
                "config.bad_value sinks.two.clearance 12:5 the list of classes is empty"
                    + " (write [public], or take the key out for [public, internal])",
                "config.bad_value sinks.three.clearance[0] 15:17 \"pubic\" is not one of \(classes)"
                    + " (did you mean \"public\"?)",
                "config.wrong_type sinks.four.clearance 18:5 \"clearance\" should be a list, and is a single value"
                    + " (write [a, b], or one entry in each line after a hyphen)",
            ], "\(found.joined(separator: "\n"))")
    }
}
