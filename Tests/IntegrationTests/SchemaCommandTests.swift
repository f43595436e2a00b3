import Foundation
import ProgramTesting
import Testing

/// The commands of the registry, as people and CI call them. No database is needed.
struct SchemaCommandTests {
    private let program: MillraceProgram

    init() throws { program = try MillraceProgram(configuration: "") }

    /// Writes a schema of an object with these members to a file.
    private func write(_ name: String, _ properties: String, _ more: String = "") throws {
        try program.folder.write(
            name,
            "{\n  \"type\": \"object\",\n  \"properties\": {\(properties)}\(more.isEmpty ? "" : ",\n  " + more)\n}\n")
    }

    private func run(_ words: String...) throws -> ChildResult {
        try runProgram(
            MillraceProgram.executable, ["schema"] + words + ["--schemas", "Schemas"], folder: program.folder.url)
    }

    private func register(_ file: String, as subject: String = "shop.orders") throws {
        let result = try run("register", subject, file)
        #expect(result.exitCode == 0, "\(result.errors)")
    }

    private func object(_ result: ChildResult) throws -> [String: Any] {
        let value = try JSONSerialization.jsonObject(with: Data(result.output.utf8))
        return try #require(value as? [String: Any])
    }

    @Test func helpOfEachCommandTellsItsExitCodesAndArguments() throws {
        let all = try program.run("schema", "--help")
        for name in [
            "list", "show", "register", "check", "diff", "infer", "compatibility", "validate", "delete", "accept",
        ] {
            #expect(all.output.contains("  \(name) "))
            let help = try program.run("schema", name, "--help")
            #expect(help.exitCode == 0 && help.output.contains("OVERVIEW"))
        }
        for name in ["check", "validate"] {
            #expect(try program.run("schema", name, "--help").output.contains("EXIT CODES"))
        }
    }

    @Test func registeredSchemaIsListedShownAndNotRegisteredTwice() throws {
        try write("a.json", #""id": {"type": "integer"}"#)
        let first = try run("register", "shop.orders", "a.json")
        #expect(first.exitCode == 0 && first.output.hasPrefix("shop.orders: version 1, id "))
        let again = try run("register", "shop.orders", "a.json")
        #expect(again.output == first.output.trimmingCharacters(in: .newlines) + ", as before\n")
        #expect(try run("list").output == "shop.orders: version 1\n")
        let shown = try run("show", "shop.orders")
        #expect(
            shown.output
                == (try String(
                    contentsOfFile: program.folder.path("Schemas/shop.orders/v1.schema.json"), encoding: .utf8)))
        let all = try object(try run("show", "shop.orders@1", "--json"))
        #expect(
            all["version"] as? Int == 1 && all["schema_type"] as? String == "JSON" && all["deleted"] as? Bool == false)
        #expect(first.output.contains("id \(all["id"] as? Int ?? 0)"))
        let missing = try run("show", "shop.orders@2")
        #expect(missing.exitCode == 2 && missing.errors.contains("error[schema.unknown_version]"))
        #expect(try run("show", "shop.nothing").errors.contains("error[schema.unknown_subject]"))
    }

    @Test func checkExplainsEachBreakAndEndsWithOne() throws {
        try write("a.json", #""id": {"type": "integer"}, "note": {"type": "string", "maxLength": 20}"#)
        try register("a.json")
        try write("b.json", #""id": {"type": "string"}, "note": {"type": "string", "maxLength": 10}"#)
        let result = try run("check", "shop.orders", "b.json")
        #expect(result.exitCode == 1, "\(result.errors)")
        for text in [
            "/properties/id", "/properties/note/maxLength", "20", "10", "BACKWARD", "rule max-length-lowered",
            "incompatible with shop.orders (level BACKWARD",
        ] {
            #expect(result.output.contains(text), "\(text) in \(result.output)")
        }
        let breaks = try #require(
            try object(try run("check", "shop.orders", "b.json", "--json"))["breaks"] as? [[String: Any]])
        #expect(breaks.count >= 2 && breaks.allSatisfy { $0["direction"] as? String == "BACKWARD" })
        #expect(
            Set((breaks.first ?? [:]).keys).isSuperset(of: ["path", "old", "new", "rule", "reason", "version"]))
        // Nothing was written, and registering refuses for the same reason.
        #expect(try run("list").output == "shop.orders: version 1\n")
        let refused = try run("register", "shop.orders", "b.json")
        #expect(refused.exitCode == 1 && refused.errors.contains("error[schema.incompatible]"))
        // What the level does not ask for is a note.
        try write("c.json", #""id": {"type": ["integer", "null"]}, "note": {"type": "string", "maxLength": 20}"#)
        let fine = try run("check", "shop.orders", "c.json")
        #expect(fine.exitCode == 0 && fine.output.contains("note: ") && fine.output.contains("FORWARD"))
        #expect(fine.output.contains("compatible with version 1 of shop.orders"))
        #expect(try run("check", "shop.new", "b.json").exitCode == 0)
    }

    @Test(arguments: [
        ["check", "shop.orders", "missing.json"], ["check", "shop.orders", "broken.json"],
        ["check", "shop.orders", "unusable.json"], ["check", "shop.orders"],
        ["check", "shop.orders", "a.json", "--against", "x"], ["validate", "shop.nothing", "a.json"],
        ["validate", "shop.orders", "missing.json"], ["register", "shop.orders", "broken.json"],
        ["register", "shop.orders", "a.json", "--reference", "x"], ["compatibility", "shop.orders", "SIDEWAYS"],
        ["delete", "shop.nothing"], ["show", "shop.orders@0"], ["diff", "shop.orders", "1", "7"],
    ])
    func whatCannotBeReadOrUsedEndsWithTwo(_ words: [String]) throws {
        try write("a.json", #""id": {"type": "integer"}"#)
        try register("a.json")
        try program.folder.write("broken.json", "{\n  \"type\":\n}")
        try program.folder.write("unusable.json", "{\"type\": \"strin\"}")
        let result = try runProgram(
            MillraceProgram.executable, ["schema"] + words + ["--schemas", "Schemas"], folder: program.folder.url)
        #expect(result.exitCode == 2, "\(result.errors)")
        if words.contains("broken.json") { #expect(result.errors.contains("broken.json:3:1")) }
    }

    @Test func levelDecidesWhatMayBeRegistered() throws {
        try write("a.json", #""id": {"type": "integer"}"#)
        try write("b.json", #""id": {"type": "string"}"#)
        try register("a.json")
        #expect(try run("compatibility", "shop.orders").output.hasPrefix("shop.orders: BACKWARD (the default)"))
        #expect(try run("compatibility", "shop.orders", "none").exitCode == 0)
        #expect(try run("compatibility", "-", "FULL_TRANSITIVE").output.hasPrefix("default: FULL_TRANSITIVE"))
        try register("b.json")
        #expect(try run("list").output == "shop.orders: version 1-2, NONE\n")
        #expect(try run("compatibility", "shop.orders", "--reset").output.contains("FULL_TRANSITIVE (the default)"))
        try write("c.json", #""id": {"type": "boolean"}"#)
        #expect(try run("register", "shop.orders", "c.json").exitCode == 1)
    }

    @Test func diffShowsPathsValuesRulesAndDirections() throws {
        try write("a.json", #""id": {"type": "integer"}, "x": {"enum": [1, 2]}"#)
        try write("b.json", #""id": {"type": "number"}, "x": {"enum": [1, 2]}"#, #""title": "orders""#)
        try register("a.json")
        try register("b.json")
        let result = try run("diff", "shop.orders", "1", "2")
        #expect(result.exitCode == 0)
        for text in ["/properties/id/type: \"integer\" → \"number\"", "breaks FORWARD", "rule type-narrowed", "/title"]
        {
            #expect(result.output.contains(text), "\(text) in \(result.output)")
        }
        #expect(result.output.hasSuffix("breaks consumers that know only the old version\n"))
        #expect(try run("diff", "shop.orders", "1", "1").output == "no difference\n")
        let all = try object(try run("diff", "shop.orders", "1", "2", "--json"))
        #expect(all["breaks_forward"] as? Bool == true && all["breaks_backward"] as? Bool == false)
    }

    @Test func validateNamesLinesAndPathsAndNoValues() throws {
        try write("a.json", #""id": {"type": "integer"}, "note": {"maxLength": 3}"#, #""required": ["id"]"#)
        try register("a.json")
        try program.folder.write("rows.jsonl", "{\"id\": 1}\n\n{\"id\": 2, \"note\": \"secret\"}\nnope\n{}\n")
        let result = try run("validate", "shop.orders", "rows.jsonl")
        #expect(result.exitCode == 1)
        #expect(result.output.contains("rows.jsonl:3:19: /note "))
        #expect(result.output.contains("rows.jsonl:4:") && result.output.contains("rows.jsonl:5:1: the document "))
        #expect(result.output.hasSuffix("3 of 4 documents invalid under shop.orders version 1\n"))
        #expect(!result.output.contains("secret"))
        try program.folder.write("row.json", "{\n  \"id\":\n    \"x\"\n}\n")
        let one = try run("validate", "shop.orders@1", "row.json", "--json")
        #expect(one.exitCode == 1)
        let reasons = try object(one)["reasons"] as? [[String: Any]]
        #expect(reasons?.first?["line"] as? Int == 3 && reasons?.first?["instance_path"] as? String == "/id")
        try program.folder.write("good.json", "{\n  \"id\": 5\n}\n")
        let good = try run("validate", "shop.orders", "good.json")
        #expect(good.exitCode == 0 && good.output == "1 document valid under shop.orders version 1\n")
        #expect(
            try run("validate", "shop.orders", "rows.jsonl", "--limit", "1").output.split(separator: "\n").count == 2)
    }

    @Test func deletionHasTwoSteps() throws {
        try write("a.json", #""id": {"type": "integer"}"#)
        try register("a.json")
        let early = try run("delete", "shop.orders@1", "--permanent")
        #expect(early.exitCode == 2 && early.errors.contains("error[schema.not_deleted]"))
        #expect(try run("delete", "shop.orders@1").output == "shop.orders: version 1 deleted\n")
        #expect(try run("delete", "shop.orders@1").errors.contains("error[schema.deleted]"))
        #expect(try run("list").output == "")
        #expect(try run("list", "--deleted").output == "shop.orders: no version, deleted: 1\n")
        #expect(try run("show", "shop.orders@1").exitCode == 0)
        #expect(try run("delete", "shop.orders", "--permanent").output == "shop.orders: version 1 removed for good\n")
        try register("a.json")
        #expect(try run("list").output == "shop.orders: version 2\n")
    }

    @Test func schemasUseEachOther() throws {
        try write("money.json", #""cents": {"type": "integer"}"#)
        try write("order.json", #""total": {"$ref": "money.json"}"#)
        let lone = try run("register", "shop.orders", "order.json")
        #expect(lone.exitCode == 2 && lone.errors.contains("--reference"))
        try register("money.json", as: "shop.money")
        let made = try run("register", "shop.orders", "order.json", "--reference", "money.json=shop.money@1")
        #expect(made.exitCode == 0, "\(made.errors)")
        try program.folder.write("row.json", #"{"total": {"cents": "x"}}"#)
        let result = try run("validate", "shop.orders", "row.json")
        #expect(result.exitCode == 1 && result.output.contains("/total/cents"))
        #expect(try run("delete", "shop.money").errors.contains("error[schema.referenced]"))
        #expect(try run("check").exitCode == 0)
    }

    @Test func wholeFolderIsComparedWithTheOneBefore() throws {
        try write("a.json", #""id": {"type": "integer"}"#)
        try register("a.json")
        try register("a.json", as: "shop.other")
        try FileManager.default.copyItem(atPath: program.folder.path("Schemas"), toPath: program.folder.path("main"))
        #expect(try run("check", "--against", "main").output == "2 subjects, 2 versions: nothing is wrong\n")
        let elsewhere = try run("check", "--against", "mian")
        #expect(elsewhere.exitCode == 2 && elsewhere.errors.contains("schema.directory"), "a folder by a wrong name")
        // A new version that somebody wrote by hand.
        try write("Schemas/shop.orders/v2.schema.json", #""id": {"type": "string"}"#)
        let broken = try run("check", "--against", "main")
        #expect(broken.exitCode == 1)
        #expect(broken.output.contains("Schemas/shop.orders/v2.schema.json: version 2 is incompatible"))
        #expect(broken.output.contains("BACKWARD"))
        #expect(try run("check").exitCode == 0, "without a folder before, only what cannot be used is wrong")
        try FileManager.default.removeItem(atPath: program.folder.path("Schemas/shop.orders/v2.schema.json"))
        // A version that was changed, and one that is gone.
        try write("Schemas/shop.orders/v1.schema.json", #""id": {"type": "number"}"#)
        try FileManager.default.removeItem(atPath: program.folder.path("Schemas/shop.other/v1.schema.json"))
        let changed = try run("check", "--against", "main")
        #expect(changed.exitCode == 1 && changed.output.contains("version 1 is not what it was"))
        #expect(changed.output.contains("Schemas/shop.other/v1.schema.json: version 1 was there and is gone"))
        // What cannot be used goes before what is incompatible.
        try program.folder.write("Schemas/shop.orders/v2.schema.json", "{\n<<<<<<< ours\n")
        let torn = try run("check", "--against", "main")
        #expect(
            torn.exitCode == 2 && torn.output.contains("Schemas/shop.orders/v2.schema.json: 2: an unresolved merge"))
    }
}
