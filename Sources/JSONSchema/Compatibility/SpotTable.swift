internal import JSONText

/// The subschemas of both schemas by numbers ("spots"), with what they say, read when it is first asked for.
final class SpotTable {
    typealias Spot = Int32

    private struct Key: Hashable {
        var side: Int
        var place: SchemaPlace
    }

    private var sides: [ComparedSchema]
    private var keys: [Key] = []
    private var spots: [Key: Spot] = [:]
    private var facts: [SchemaFacts?] = []
    private var forms: [Int64?] = []
    private var forming = SchemaForms()

    init(reader: ComparedSchema, writer: ComparedSchema) { sides = [reader, writer] }

    /// The reader's whole schema.
    var reader: Spot { spot(Key(side: 0, place: sides[0].root)) }
    /// The writer's whole schema.
    var writer: Spot { spot(Key(side: 1, place: sides[1].root)) }

    private func spot(_ key: Key) -> Spot {
        if let known = spots[key] { return known }
        let number = Spot(keys.count)
        keys.append(key)
        facts.append(nil)
        forms.append(nil)
        spots[key] = number
        return number
    }

    /// What a subschema says.
    func facts(_ spot: Spot) -> SchemaFacts {
        if let known = facts[Int(spot)] { return known }
        let read = read(keys[Int(spot)])
        facts[Int(spot)] = read
        return read
    }

    private func read(_ key: Key) -> SchemaFacts {
        guard let schema = sides[key.side].schema(at: key.place), let dialect = sides[key.side].dialect(at: key.place)
        else {
            let facts = SchemaFacts(.object(JSONObject()), Dialect(draft: .draft2020))
            facts.hasUnknownReference = true
            return facts
        }
        let facts = SchemaFacts(schema, dialect)
        if schema.bool == false { facts.kinds = [] }
        guard let object = schema.object else { return facts }
        FactsReader(
            object: object, dialect: dialect,
            part: { names in
                var place = key.place
                for name in names { place.pointer.append(name: name.utf8) }
                return self.spot(Key(side: key.side, place: place))
            },
            target: { reference, isDynamic in
                let place =
                    isDynamic
                    ? self.sides[key.side].dynamicTarget(of: reference, from: key.place)
                    : self.sides[key.side].target(of: reference, from: key.place)
                return place.map { self.spot(Key(side: key.side, place: $0)) }
            }
        ).read(into: facts)
        return facts
    }

    /// Where a subschema stands, as a JSON Pointer.
    func location(_ spot: Spot) -> String { sides[keys[Int(spot)].side].location(of: keys[Int(spot)].place) }

    /// Whether a value is valid under a subschema.
    func verdict(on value: JSONTape, _ spot: Spot) -> ComparedSchema.Verdict {
        sides[keys[Int(spot)].side].verdict(on: value, at: keys[Int(spot)].place)
    }

    /// The first reason why a value is not valid under a subschema.
    func firstFailure(of value: JSONTape, _ spot: Spot) -> ValidationFailure? {
        sides[keys[Int(spot)].side].firstFailure(of: value, at: keys[Int(spot)].place)
    }

    /// True for subschemas that say the same in the same words, whichever schema they stand in.
    func areAlike(_ a: Spot, _ b: Spot) -> Bool {
        if a == b { return true }
        let (mine, theirs) = (facts(a), facts(b))
        guard mine.dialect == theirs.dialect else { return false }
        let (form, other) = (form(a), form(b))
        return form != SchemaForms.none && form == other
    }

    private func form(_ spot: Spot) -> Int64 {
        if let known = forms[Int(spot)] { return known }
        let form = forming.form(ofSchema: facts(spot).schema)
        forms[Int(spot)] = form
        return form
    }
}
