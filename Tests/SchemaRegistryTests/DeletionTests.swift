import Foundation
import JSONSchema
import SchemaRegistry
import Testing

@Suite struct DeletionTests {
    private func place(versions: Int) throws -> Workplace {
        let place = try Workplace()
        for number in 0..<versions {
            _ = try place.store.register(schema(["c\(number)": "string"]), subject: "s")
        }
        return place
    }

    @Test func softlyDeletedVersionIsHiddenAndStillReadable() throws {
        let place = try place(versions: 3)
        let store = place.store
        let second = try store.schema(of: "s", .number(2))
        #expect(try store.delete(subject: "s", .number(2), permanently: false) == 2)
        #expect(try store.versions(of: "s") == [1, 3])
        #expect(try store.versions(of: "s", .all) == [1, 2, 3])
        #expect(try store.versions(of: "s", .deletedOnly) == [2])
        #expect(code { try store.schema(of: "s", .number(2)) } == .versionNotFound)
        #expect(try store.schema(of: "s", .number(2), includingDeleted: true).isDeleted)
        // Messages that name it are out.
        #expect(try store.schema(id: second.id).version == 2)
        #expect(code { try store.find(schema(["c1": "string"]), in: "s") } == .schemaNotFound)
        #expect(try store.find(schema(["c1": "string"]), in: "s", includingDeleted: true).version == 2)
        #expect(code { try store.delete(subject: "s", .number(2), permanently: false) } == .versionSoftDeleted)
        #expect(try place.folder.versions(of: "s") == [1, 3])
    }

    @Test func registeringAgainAfterASoftDeleteIsANewVersionUnderTheOldId() throws {
        let place = try place(versions: 1)
        let first = try place.store.schema(of: "s", .latest)
        _ = try place.store.delete(subject: "s", .latest, permanently: false)
        #expect(code { try place.store.versions(of: "s") } == .subjectNotFound)
        let again = try place.store.register(schema(["c0": "string"]), subject: "s")
        #expect(again.version == 2 && again.id == first.id)
    }

    @Test func permanentDeletionNeedsTheSoftOne() throws {
        let place = try place(versions: 2)
        let store = place.store
        #expect(code { try store.delete(subject: "s", .number(1), permanently: true) } == .versionNotSoftDeleted)
        #expect(code { try store.delete(subject: "s", permanently: true) } == .subjectNotSoftDeleted)
        #expect(try store.delete(subject: "s", permanently: false) == [1, 2])
        #expect(try store.subjects() == [] && store.subjects(.all) == ["s"] && store.subjects(.deletedOnly) == ["s"])
        #expect(code { try store.delete(subject: "s", permanently: false) } == .subjectSoftDeleted)
        #expect(try store.delete(subject: "s", permanently: true) == [1, 2])
        #expect(code { try store.delete(subject: "s", permanently: true) } == .subjectNotFound)
        #expect(try store.subjects(.all) == [])
        #expect(try place.names("s") == ["subject.json"])
    }

    @Test func numberOfADeletedVersionIsNeverGivenAgain() throws {
        let place = try Workplace()
        let store = place.store
        for width in 1...2 { _ = try place.folder.register(derivedFrom: relation(width: width), subject: "s") }
        _ = try store.delete(subject: "s", .number(2), permanently: false)
        _ = try store.delete(subject: "s", .number(2), permanently: true)
        #expect(try place.names("s") == ["subject.json", "v1.schema.json"])
        // Also for what the pipeline registers by itself.
        #expect(try place.folder.register(derivedFrom: relation(width: 3), subject: "s") == 3)
        _ = try store.delete(subject: "s", permanently: false)
        _ = try store.delete(subject: "s", permanently: true)
        #expect(try store.register(schema(["c9": "string"]), subject: "s").version == 4)
    }

    @Test func missingThingsCannotBeDeleted() throws {
        let place = try place(versions: 1)
        #expect(code { try place.store.delete(subject: "t", permanently: false) } == .subjectNotFound)
        #expect(code { try place.store.delete(subject: "s", .number(5), permanently: false) } == .versionNotFound)
        #expect(code { try place.store.delete(subject: "t", .latest, permanently: false) } == .subjectNotFound)
    }

    @Test func deletedSubjectLosesItsSettings() throws {
        let place = try place(versions: 1)
        try place.store.setLevel(.full, of: "s")
        _ = try place.store.delete(subject: "s", permanently: false)
        #expect(try place.store.level(of: "s") == nil)
    }

    @Test func deletedVersionsDoNotCountForCompatibility() throws {
        let place = try Workplace()
        _ = try place.store.register(schema(["a": "string"]), subject: "s")
        #expect(code { try place.store.register(schema(["a": "integer"]), subject: "s") } == .incompatible)
        _ = try place.store.delete(subject: "s", .latest, permanently: false)
        #expect(try place.store.register(schema(["a": "integer"]), subject: "s").version == 2)
    }
}
