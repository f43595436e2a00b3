import ByteKit
import ChangeModel
import ConnectorTesting
import EventFormat
import JSONText
import Testing

@Suite struct RowCheckerTests {
    private func accepts(
        _ change: SampleChange, of relation: Relation, _ schema: JSONValue, _ derived: JSONValue = true,
        _ checker: RowChecker = RowChecker()
    ) throws -> Bool {
        let rules = try RowRules(relation, schema: schema, derived: derived)
        let sample = try batch([change], of: relation)
        let accepts = checker.accepts(sample.change(at: 0), of: sample, relation, rules)
        let reasons = checker.reasons(sample.change(at: 0), of: sample, relation, rules)
        #expect(reasons.isEmpty == accepts, "\(reasons)")
        #expect(accepts || !rules.isProved, "proved, and yet not valid: \(schema.compactText)")
        return accepts
    }

    /// The members of `after` in the event.
    private func after(_ change: SampleChange, of relation: Relation) throws -> JSONObject {
        let line = try encode([change], of: relation, format: .cloudEvents).lines[0]
        return try #require(JSONValue(parsing: Array(line.utf8))["data"]?["after"]?.object)
    }

    @Test func valuesAreJudgedAsEventsSpellThem() throws {
        var random = RandomChanges(dice: SeededGenerator(seed: 7))
        let checker = RowChecker()
        var count = 0
        for _ in 0..<300 {
            let relation = random.relation()
            let names = relation.columns.map(\.name)
            guard Set(names.map { Array($0.utf8) }).count == names.count else { continue }
            for change in [SampleChange.insert(random.row(of: relation)), .snapshot(random.row(of: relation))] {
                for member in try after(change, of: relation).members {
                    let same: JSONValue = ["const": member.value]
                    let one: JSONValue = ["properties": .object(JSONObject([.init(name: member.name, value: same)]))]
                    // For whole rows nothing is taken from the types of columns, which these values may not have.
                    let negated = JSONObject([.init(name: member.name, value: ["not": same])])
                    let other: JSONValue = ["anyOf": [false, ["properties": .object(negated)]]]
                    #expect(try accepts(change, of: relation, one, true, checker), "\(relation.columns) \(member)")
                    #expect(try !accepts(change, of: relation, other, true, checker), "\(relation.columns) \(member)")
                    let together: JSONValue = ["anyOf": [false, one]]
                    #expect(try accepts(change, of: relation, together, true, checker))
                    count += 1
                }
            }
        }
        #expect(count > 1000)
    }

    private let orders = Relation(
        sourceID: 1, schema: "public", name: "orders",
        columns: [
            Column(name: "id", type: .int64, typeName: "bigint", keyPosition: 0, isNullable: false),
            Column(name: "status", type: .text, typeName: "text"),
            Column(name: "note", type: .text, typeName: "text"),
        ])

    @Test func aValueThatWasNotSentIsLeftOpenUnlessTheOldRowHasIt() throws {
        let checker = RowChecker()
        let schema: JSONValue = [
            "properties": ["note": ["minLength": 3]], "required": ["note"],
            "if": ["properties": ["note": ["const": "abc"]], "required": ["note"]],
            "then": ["properties": ["status": ["const": "paid"]]],
        ]
        // The length of the note is not known, nor whether the condition about it holds.
        #expect(try accepts(.update(to: ["1", "new", .unchanged]), of: orders, schema, true, checker))
        #expect(try !accepts(.update(to: ["1", "new", "ab"]), of: orders, schema, true, checker))
        #expect(try !accepts(.update(to: ["1", "new", "abc"]), of: orders, schema, true, checker))
        let known = SampleChange.update(.full, from: ["1", "old", "abc"], to: ["1", "new", .unchanged])
        #expect(try !accepts(known, of: orders, schema, true, checker))
    }

    @Test func whatIsNoRowIsNotJudged() throws {
        let nothing: JSONValue = ["properties": ["id": ["minimum": 100]], "required": ["none"]]
        for change in [SampleChange.delete(.key, ["1", nil, nil]), .truncate] {
            #expect(try accepts(change, of: orders, nothing))
        }
        #expect(try !accepts(.insert(["1", "new", nil]), of: orders, nothing))
        let rules = try RowRules(orders, schema: nothing, derived: true)
        #expect(rules.contradiction?.contains("must have the member \"none\"") ?? false)
    }

    @Test func aValueOfAnyTypeIsJudgedByItsOwn() throws {
        let table = Relation(
            sourceID: 1, schema: "main", name: "t",
            columns: [Column(name: "n", type: .dynamic, typeName: "INTEGER")])
        let whole: JSONValue = ["properties": ["n": ["type": ["integer", "null"], "minimum": 5]]]
        #expect(try accepts(.insert([.integer("7")]), of: table, whole))
        #expect(try accepts(.insert([nil]), of: table, whole))
        #expect(try !accepts(.insert([.integer("4")]), of: table, whole))
        #expect(try !accepts(.insert(["seven"]), of: table, whole))
        #expect(try !accepts(.insert([.real("7.5")]), of: table, whole))
        #expect(try accepts(.insert([.real("7.0")]), of: table, whole))
        #expect(try !accepts(.insert([.real("Infinity")]), of: table, whole))
        #expect(try !accepts(.insert([.blob([7])]), of: table, whole))
    }

    @Test func keysTellRowsApartAndFollowThem() throws {
        let checker = RowChecker()
        func keys(_ change: SampleChange) throws -> RowKeys {
            let sample = try batch([change], of: orders)
            return checker.keys(sample.change(at: 0), of: sample, orders)
        }
        let one = try keys(.insert(["1", "a", nil]))
        #expect(one.after != nil && one.before == nil)
        #expect(try keys(.update(to: ["1", "b", "c"])) == one)
        let gone = try keys(.delete(.key, ["1", nil, nil]))
        #expect(gone.before == one.after && gone.after == nil && !gone.isUnknown)
        let moved = try keys(.update(.key, from: ["1", nil, nil], to: ["2", "a", nil]))
        let two = try keys(.insert(["2", "a", nil]))
        #expect(moved.before == one.after && moved.after == two.after && one.after != two.after)
        #expect(try keys(.truncate).isUnknown)
        let keyless = Relation(
            sourceID: 1, schema: "s", name: "t", columns: [Column(name: "a", type: .text, typeName: "text")])
        let sample = try batch([.insert(["1"])], of: keyless)
        #expect(checker.keys(sample.change(at: 0), of: sample, keyless).isUnknown)
    }
}
