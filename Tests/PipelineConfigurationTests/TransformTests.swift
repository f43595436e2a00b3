import ConnectorKit
import PipelineConfiguration
import Testing

/// The list `transforms`.
struct TransformTests {
    private func withTransforms(_ rest: String) -> String { "name: a\nsource: {sqlite: {path: x}}\n" + rest }

    @Test func masksAreReadWithTheirSalt() throws {
        let configuration = try load(
            withTransforms(
                """
                mask_salt: ${HOOK_TOKEN}-${HOOK_TOKEN}
                transforms:
                  - {tables: [public.customers, '"A.B".*'], mask: {email: hash, card: redact, "odd: name": drop}}
                  - tables: ["*"]
                    mask:
                      phone: truncate(4)
                """))
        #expect(configuration.maskSalt == "tok-5ecret-tok-5ecret")
        #expect(
            configuration.transforms.map(\.tables) == [
                [TablePattern("public.customers"), TablePattern("\"A.B\".*")], [TablePattern("*")],
            ])
        #expect(configuration.transforms[0].masks == ["email": .hash, "card": .redact, "odd: name": .drop])
        #expect(configuration.transforms[1].masks == ["phone": .truncate(4)])
        #expect(!"\(configuration)".contains("5ecret"))
        #expect(configuration.redacting("x tok-5ecret-tok-5ecret y") == "x [secret] y")
    }

    @Test func everyProblemIsToldAtOnceWithItsPlace() {
        let found = problems(
            withTransforms(
                """
                mask_salt: too-short
                transforms:
                  - tables: [t]
                    mask:
                      email: hsah
                      card: truncate(0)
                      more: [drop]
                  - {tabels: [t], mask: {a: drop}}
                  - tables: []
                    mask: {a: drop}
                  - {tables: ['"open'], mask: {}}
                  - drop
                """))
        #expect(
            found == [
                "config.bad_value mask_salt 3:12 the salt is shorter than 16 bytes"
                    + " (openssl rand -hex 32 prints a good one)",
                "config.bad_value transforms[0].mask.email 7:14 \"hsah\" is not one of drop, redact, hash, truncate(N)"
                    + " (did you mean \"hash\"?)",
                "config.bad_value transforms[0].mask.card 8:13 \"truncate(0)\" is not one of drop, redact, hash,"
                    + " truncate(N) (did you mean \"truncate(8)\"?)",
                "config.wrong_type transforms[0].mask.more 9:7 \"mask\" should be a single value, and is a list",
                "config.missing_key transforms[1].tables 10:5 \"tables\" is missing in \"transforms[1]\""
                    + " (add tables: […])",
                "config.unknown_key transforms[1].tabels 10:6 unknown key \"tabels\" (did you mean \"tables\"?)",
                "config.bad_value transforms[2].tables 11:5 the list of tables is empty"
                    + " (name tables, or take the entry out)",
                "config.bad_value transforms[3].mask 13:5 the entry masks no column (write mask: {email: hash})",
                "config.bad_value transforms[3].tables[0] 13:15 a double quote is not closed"
                    + " (close it, or double a quote that belongs to the name)",
                "config.wrong_type transforms[4] 14:5 \"transforms[4]\" should hold keys with values,"
                    + " and is a single value",
            ], "\(found.joined(separator: "\n"))")
    }

    @Test func hashesNeedASalt() {
        let found = problems(withTransforms("transforms: [{tables: [t], mask: {a: hash}}]\n"))
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("config.missing_key mask_salt 3:1 \"mask_salt\" is missing") == true)
        #expect(problems(withTransforms("transforms: [{tables: [t], mask: {a: drop}}]\n")).isEmpty)
        #expect(problems(withTransforms("transforms: {tables: [t]}\n")).first?.contains("should be a list") == true)
    }

    @Test func theStrongestMaskIsKnown() {
        #expect(ColumnMask.drop.isStronger(than: .redact) && ColumnMask.redact.isStronger(than: .hash))
        #expect(ColumnMask.hash.isStronger(than: .truncate(1)) && ColumnMask.truncate(1).isStronger(than: .truncate(2)))
        #expect(
            ColumnMask("truncate(1000001)") == nil && ColumnMask("truncate(-1)") == nil && ColumnMask("Hash") == nil)
    }
}
