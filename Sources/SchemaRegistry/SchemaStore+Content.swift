internal import ConnectorKit
package import JSONSchema
internal import JSONText

/// A schema that was handed in and can be used.
struct PreparedSchema {
    var document: JSONValue
    var library: SchemaLibrary
    var fingerprint: SchemaFingerprint
}

extension SchemaStore {
    /// Longer schemas are refused.
    package static let schemaBytesMax = 4 << 20
    /// A schema and those that it uses may be this many.
    private static let referencesMax = 1000

    /// A version, compiled with what it refers to.
    package func validator(of subject: String, version: Int) throws(RegistryFailure) -> JSONSchema {
        let schema = try versioned(subject, version)
        do throws(SchemaProblem) {
            return try JSONSchema(schema.schema, library: schema.library)
        } catch {
            throw try unusable(error, subject, version)
        }
    }

    /// A version with what it refers to.
    package func versioned(_ subject: String, _ version: Int) throws(RegistryFailure) -> VersionedSchema {
        let place = SubjectVersion(subject: subject, version: version)
        let entry = try read { index throws(ConnectorFailure) in try index.entry(place) }
        guard let entry, let document = try document(of: place) else {
            throw Self.unknown(.number(version), of: subject)
        }
        return VersionedSchema(
            version: version, document, library: try library(for: document, entry.references))
    }

    /// A schema that is not registered, with what it refers to.
    package func versioned(_ submitted: SubmittedSchema) throws(RegistryFailure) -> VersionedSchema {
        let known = try prepared(submitted)
        return VersionedSchema(known.document, library: known.library)
    }

    /// Reads what was handed in, and makes sure that it can be used.
    func prepared(_ submitted: SubmittedSchema) throws(RegistryFailure) -> PreparedSchema {
        let document = try Self.document(submitted)
        let library = try library(for: document, submitted.references)
        do throws(SchemaProblem) { _ = try JSONSchema(document, library: library) } catch {
            throw RegistryFailure(
                .invalidSchema, Self.located(error, Array(submitted.text.utf8)), hint: Self.hint(error))
        }
        return PreparedSchema(
            document: document, library: library, fingerprint: try fingerprint(document, submitted.references))
    }

    /// What tells a schema that was handed in from others; it need not be usable.
    func fingerprint(of submitted: SubmittedSchema) throws(RegistryFailure) -> SchemaFingerprint {
        try fingerprint(try Self.document(submitted), submitted.references)
    }

    /// `line 3, column 7, #/properties/id/type: …` of a problem in the text of a schema.
    package static func located(_ problem: SchemaProblem, _ text: [UInt8]) -> String {
        guard problem.location.hasPrefix("#") else { return problem.description }
        let place = JSONPlace(of: String(problem.location.dropFirst()), in: text)
        return "line \(place.line), column \(place.column), \(problem)"
    }

    private func fingerprint(
        _ document: JSONValue, _ references: [SchemaReference]
    ) throws(RegistryFailure) -> SchemaFingerprint {
        do throws(ConnectorFailure) { return try SchemaFingerprint(of: document, references) } catch {
            throw RegistryFailure(error)
        }
    }

    private static func document(_ submitted: SubmittedSchema) throws(RegistryFailure) -> JSONValue {
        guard submitted.type.uppercased() == "JSON" else {
            throw RegistryFailure(
                .invalidSchema, "this registry keeps JSON Schemas, not \(submitted.type.prefix(20)) ones",
                hint: "send a JSON Schema with \"schemaType\": \"JSON\"; a request without a type means AVRO")
        }
        guard submitted.text.utf8.count <= schemaBytesMax else {
            throw RegistryFailure(
                .tooLarge, "a schema of \(submitted.text.utf8.count) bytes is too long",
                hint: "\(schemaBytesMax >> 20) MiB is the limit: take it apart with references")
        }
        do throws(JSONError) {
            let document = try JSONValue(parsing: submitted.text)
            if document.object != nil || document.bool != nil { return document }
        } catch {
            throw RegistryFailure(.invalidSchema, "the schema is no JSON: \(error)", hint: "mend the place")
        }
        throw RegistryFailure(.invalidSchema, "a JSON Schema is an object, true or false")
    }

    private static func hint(_ problem: SchemaProblem) -> String? {
        problem.message.contains("not among the schemas at hand")
            ? "register that schema first and name it as a reference: --reference NAME=SUBJECT:VERSION" : nil
    }

    /// A file of the folder that is no schema that can be used.
    private func unusable(
        _ problem: SchemaProblem, _ subject: String, _ version: Int
    ) throws(RegistryFailure) -> RegistryFailure {
        do throws(ConnectorFailure) {
            let path = try folder.file(of: subject, version: version)
            guard let bytes = try Folder.contents(of: path) else { return Self.unknown(.number(version), of: subject) }
            let pointer = problem.location.hasPrefix("#") ? String(problem.location.dropFirst()) : ""
            return RegistryFailure(SchemaFailure.damaged(path, bytes, pointer, problem.description))
        } catch {
            throw RegistryFailure(error)
        }
    }

    private func document(of place: SubjectVersion) throws(RegistryFailure) -> JSONValue? {
        do throws(ConnectorFailure) {
            return try folder.schema(of: place.subject, version: place.version)
        } catch {
            throw RegistryFailure(error)
        }
    }

    /// Everything that a schema refers to, by the URIs that its `$ref` use, and what that refers to.
    private func library(
        for root: JSONValue, _ references: [SchemaReference]
    ) throws(RegistryFailure) -> SchemaLibrary {
        var library = SchemaLibrary()
        var open: [(document: JSONValue, uri: String?, references: [SchemaReference])] = [(root, nil, references)]
        var met: Set<String> = []
        while let next = open.popLast() {
            for reference in next.references {
                let place = reference.target
                let entry = try read { index throws(ConnectorFailure) in try index.entry(place) }
                guard let entry, let document = try document(of: place) else {
                    throw RegistryFailure(
                        .invalidSchema,
                        "the reference \"\(reference.name)\" leads to \(place.subject) version \(place.version), "
                            + "which is not there", hint: "register that schema first: millrace schema list")
                }
                let uri: String
                do throws(SchemaProblem) {
                    uri = try library.add(document, named: reference.name, in: next.document, at: next.uri)
                } catch {
                    throw RegistryFailure(.invalidSchema, error.message, hint: "give one of them another name")
                }
                guard met.insert("\(uri) \(place.subject) \(place.version)").inserted else { continue }
                guard met.count <= Self.referencesMax else {
                    throw RegistryFailure(.invalidSchema, "a schema uses more than \(Self.referencesMax) others")
                }
                open.append((document, uri, entry.references))
            }
        }
        return library
    }
}
