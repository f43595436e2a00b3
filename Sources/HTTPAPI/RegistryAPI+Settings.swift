import JSONSchema
import JSONText
import SchemaRegistry

/// Levels of compatibility and modes, of a subject or of the whole registry.
extension RegistryAPI {
    var settingRoutes: [Route] {
        ["config", "config/{}"].flatMap { path in
            [
                get(path) { request, parts in
                    APIReply(["compatibilityLevel": .string(try level(request, parts).rawValue)])
                },
                change(.put, path) { [store] request, parts in
                    let level = try CompatibilityLevel(checking: RegistryBody(request.body).level())
                    try store.setLevel(level, of: parts.first.map(Self.subject))
                    return APIReply(["compatibility": .string(level.rawValue)])
                },
                change(.delete, path) { [store] _, parts in
                    let level = try store.clearLevel(of: parts.first.map(Self.subject))
                    return APIReply(["compatibilityLevel": .string(level.rawValue)])
                },
            ]
        }
            + ["mode", "mode/{}"].flatMap { path in
                [
                    get(path) { request, parts in APIReply(["mode": .string(try mode(request, parts).rawValue)]) },
                    change(.put, path) { [store] request, parts in
                        let mode = try RegistryMode(checking: RegistryBody(request.body).mode())
                        try store.setMode(mode, of: parts.first.map(Self.subject), force: request.flag("force"))
                        return APIReply(["mode": .string(mode.rawValue)])
                    },
                    change(.delete, path) { [store] _, parts in
                        let mode = try store.clearMode(of: parts.first.map(Self.subject))
                        return APIReply(["mode": .string(mode.rawValue)])
                    },
                ]
            }
    }

    private func level(_ request: APIRequest, _ parts: [String]) throws(RegistryFailure) -> CompatibilityLevel {
        let subject = parts.first.map(Self.subject)
        if let subject, request.flag("defaultToGlobal") { return try store.effectiveLevel(of: subject) }
        if let level = try store.level(of: subject) { return level }
        throw RegistryFailure(.subjectLevelNotSet, "subject \(subject ?? "") has no compatibility level of its own")
    }

    private func mode(_ request: APIRequest, _ parts: [String]) throws(RegistryFailure) -> RegistryMode {
        let subject = parts.first.map(Self.subject)
        if let subject, request.flag("defaultToGlobal") { return try store.effectiveMode(of: subject) }
        if let mode = try store.mode(of: subject) { return mode }
        throw RegistryFailure(.subjectModeNotSet, "subject \(subject ?? "") has no mode of its own")
    }
}
