package import ConnectorKit

/// Takes away what Millrace has made on a server: the slot, and the publication if its comment says that it is ours.
package struct PostgresTeardown: Sendable {
    private let settings: PostgresSettings

    /// A teardown of what these settings name.
    package init(_ settings: PostgresSettings) { self.settings = settings }

    /// What there is. Changes nothing. Throws while somebody reads the slot.
    package func plan() async throws(ConnectorFailure) -> TeardownPlan {
        try await Inspector().teardownPlan(settings)
    }

    /// Drops what the plan names, one step after the other.
    package func carryOut(_ plan: TeardownPlan) async throws(ConnectorFailure) {
        try await Inspector().carryOut(plan, settings)
    }
}

extension Inspector {
    fileprivate func teardownPlan(_ settings: PostgresSettings) throws(ConnectorFailure) -> TeardownPlan {
        let side = SideConnection(url: settings.url, applicationName: settings.applicationName)
        let facts = try ServerFacts(side)
        var plan = TeardownPlan()
        try addSlot(settings.slot, facts, side, to: &plan)
        try addPublication(settings.publication, side, to: &plan)
        return plan
    }

    fileprivate func carryOut(_ plan: TeardownPlan, _ settings: PostgresSettings) throws(ConnectorFailure) {
        let side = SideConnection(url: settings.url, applicationName: settings.applicationName)
        for step in plan.steps { _ = try side.query(step.statement) }
    }

    private func addSlot(
        _ name: String, _ facts: ServerFacts, _ side: SideConnection, to plan: inout TeardownPlan
    ) throws(ConnectorFailure) {
        guard let slot = try SlotState.find(name, side) else { return }
        guard slot.plugin == "pgoutput", slot.database == facts.database else {
            plan.kept.append("slot \"\(name)\" belongs to another database or output plugin")
            return
        }
        if slot.activeProcess != nil {
            var failure = PostgresFailure.slotActive(name, try SlotHolder.find(slot, side))
            failure.remedy = .stop
            failure.hint = "stop it first; then millrace teardown"
            throw failure
        }
        let retained = slot.retainedBytes.map { " (the server keeps \($0 >> 20) MiB of WAL for it)" } ?? ""
        plan.steps.append(
            TeardownPlan.Step(
                "slot \"\(name)\"\(retained)",
                "SELECT pg_catalog.pg_drop_replication_slot(\(SQLText.literal(name)));"))
    }

    private func addPublication(
        _ name: String, _ side: SideConnection, to plan: inout TeardownPlan
    ) throws(ConnectorFailure) {
        let state = try PublicationState(name, side)
        guard state.exists else { return }
        guard try PublicationOrigin.isOurs(name, side) else {
            plan.kept.append(
                "publication \"\(name)\" has no comment \"\(PublicationOrigin.mark)\", so somebody else made it; "
                    + "if not: DROP PUBLICATION \(SQLText.identifier(name));")
            return
        }
        let tables = state.tables.sorted().joined(separator: ", ")
        plan.steps.append(
            TeardownPlan.Step(
                "publication \"\(name)\"" + (tables.isEmpty ? "" : " of \(tables)"),
                "DROP PUBLICATION \(SQLText.identifier(name));"))
    }
}
