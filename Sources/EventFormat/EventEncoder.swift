internal import ByteKit
package import ChangeModel
package import ConnectorKit

/// Turns change batches into record batches of one format, for one sink. Used by one task at a time.
///
/// What a relation version has in common for all of its events is worked out when it is first seen and kept.
package final class EventEncoder {
    private let pipelineName: String
    private let hasLSN: Bool
    private let format: EventFormat
    private let form: RecordForm
    private let sourceKind: String
    private var debezium: DebeziumOptions
    /// What was counted of the transaction that is being encoded.
    private let count = TransactionCount()
    /// Plans by the identity of their relation version, which each plan keeps alive. Nil: the sink does not want the
    /// table.
    private var plans: [PlanKey: CachedPlan] = [:]

    /// What was wrong with what applications said about their transactions, in all that was encoded. Nothing of it is
    /// in here.
    package private(set) var contextProblems: Set<ContextProblem> = []

    /// True when records say their places within their transaction, so that the encoder must see it from its begin.
    package var countsRecords: Bool { format == .debezium }

    /// The name of a source's database, for formats that tell it; to be set before the first event.
    package var database: String {
        get { debezium.database }
        set { debezium.database = sourceKind == "postgres" ? newValue : "main" }
    }

    private struct PlanKey: Hashable {
        var version: ObjectIdentifier
        var isAside: Bool
    }

    private struct CachedPlan {
        let version: RelationVersion
        let plan: ColumnPlan?
    }

    /// More relation versions than this in the cache, and it is begun anew.
    private let planCountMax: Int

    /// An encoder for the events of a pipeline.
    ///
    /// `sourceKind` is the kind of the source's identity: with `postgres`, events have an `lsn`. `form` is what the
    /// sink asks for. `debezium` is for the format of that name. Of `planCountMax` relation versions is remembered what
    /// their events have in common.
    package init(
        pipelineName: String, sourceKind: String, format: EventFormat, form: RecordForm = .line,
        debezium: DebeziumOptions = DebeziumOptions(), planCountMax: Int = 4096
    ) {
        self.planCountMax = planCountMax
        self.sourceKind = sourceKind
        self.debezium = debezium
        self.pipelineName = pipelineName
        hasLSN = sourceKind == "postgres"
        self.format = format
        self.form = form
    }

    /// Encodes changes of `batch` from `index` on, until the events are longer than `bytesMax` or the batch ends, or
    /// before `end`; at least one, so a single event may be longer. What `isAside` comes out of the log's order.
    ///
    /// `versions` are in the order of the batch's relations. `firstOffset` is the log offset of the batch's first
    /// change. `including` is asked once for each relation version that this encoder sees; changes of other tables give
    /// no record, nor do updates and deletes of an outbox, but the offset behind the last of them is covered. Throws
    /// when the change at `index`, or the first one behind it that is wanted, cannot be encoded; with events before it,
    /// these are returned first, and the next call throws.
    package func encode(
        _ batch: ChangeBatch, versions: [RelationVersion], firstOffset: UInt64, from index: Int, upTo end: Int = .max,
        bytesMax: Int, isAside: Bool = false, including: (Relation) -> Bool
    ) throws(EncodingFailure) -> (records: RecordBatch, nextIndex: Int) {
        let plans = versions.map { plan(for: $0, isAside: isAside, including) }
        let frozen = batch.body
        let body = frozen.bytes
        var images = RowImages()
        var position = max(index, 0)
        var writer = EventWriter(
            format: format, form: form, hasLSN: hasLSN,
            debezium: DebeziumState(options: debezium, count: isAside ? nil : count, now: WallClock.nanoseconds()),
            changeCount: max(batch.changeCount - position, 0),
            tupleBytes: body.byteCount, bytesMax: bytesMax)
        let end = min(end, batch.changeCount)
        while position < end, writer.isEmpty || writer.byteCount <= bytesMax {
            let change = batch.change(at: position)
            let relation = Int(change.relation)
            do throws(EncodingFailure.Reason) {
                guard relation < plans.count else { throw .unknownRelation }
                // Of an outbox, only what is put in makes an event.
                if let plan = plans[relation],
                    plan.outbox == nil || change.operation == .insert || change.operation == .snapshot
                {
                    try images.read(change, plan, body)
                    let info = batch.transaction(at: Int(change.transaction))
                    try writer.append(
                        change, at: firstOffset &+ UInt64(position), of: info, topic: relation, plan, images, body)
                }
            } catch {
                if !writer.isEmpty { break }
                let table = relation < versions.count ? versions[relation].relation.qualifiedName : ""
                throw EncodingFailure(
                    identity: batch.identity(at: position), index: position, table: table, reason: error)
            }
            position += 1
        }
        if !writer.contextProblems.isEmpty { contextProblems.formUnion(writer.contextProblems) }
        let topics = zip(versions, plans).map { version, plan in
            Topic(
                schema: version.relation.schema, table: version.relation.name, routed: plan?.debezium?.topic,
                header: plan?.header)
        }
        let nextOffset = firstOffset &+ UInt64(position)
        return (writer.finish(topics: topics, nextOffset: nextOffset), position)
    }

    /// Whether a table is wanted may have changed since an event of it was set aside.
    private func plan(
        for version: RelationVersion, isAside: Bool, _ including: (Relation) -> Bool
    ) -> ColumnPlan? {
        let identity = PlanKey(version: ObjectIdentifier(version), isAside: isAside)
        if let known = plans[identity] { return known.plan }
        if plans.count >= planCountMax { plans.removeAll() }
        let isWanted = including(version.relation)
        let plan = isWanted ? makePlan(version) : nil
        plans[identity] = CachedPlan(version: version, plan: plan)
        return plan
    }

    private func makePlan(_ version: RelationVersion) -> ColumnPlan {
        guard format == .debezium else {
            return ColumnPlan(version, pipelineName: pipelineName, format: format, form: form)
        }
        let relation = version.relation
        let name = relation.isWithoutTable ? relation.name : relation.qualifiedName
        let parts = DebeziumParts(
            options: debezium, pipelineName: pipelineName, sourceKind: sourceKind, collection: count.number(of: name))
        return ColumnPlan(version, pipelineName: pipelineName, format: format, form: form, debezium: parts)
    }
}
