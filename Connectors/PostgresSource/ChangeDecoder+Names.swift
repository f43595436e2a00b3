internal import ChangeModel
internal import ConnectorKit

/// What a table is called now.
struct CurrentName {
    var schema: String
    var table: String
    /// True for the root of partitions, or one of its branches.
    var isPartitioned: Bool

    var qualifiedName: String { schema + "." + table }
}

/// Names under which the server goes on although tables do not bear them any more.
///
/// pgoutput announces a relation before its first change, and again when the relation's own row of the catalogue
/// changed. Another name of its schema is no such change, and neither is another name of the root whose name the
/// changes of a partition come under (PostgreSQL 15): the server goes on under the former name until the stream is
/// opened again. That helps only where no change from before the rename comes any more: behind the look that found the
/// name, and behind each transaction that announced the former name since. So names are compared behind each look, and
/// at each chunk of a snapshot.
extension ChangeDecoder {
    /// Compares what the server announced with what the last look found, before a transaction that was committed at
    /// `position`, behind that look or an earlier one.
    mutating func compareNames(
        at position: LSN, _ source: some RelationSource
    ) throws(ConnectorFailure) {
        guard let snapshots else { return }
        snapshots.namesCompared(at: position)
        let noted = snapshots.notedNames
        let suspects = relations.indices.filter { place in
            let known = relations[place]
            guard let name = noted[known.id] else { return known.relation != nil && known.isNameMet }
            return name != known.name
        }
        for place in try findStale(suspects, source) where relations[place].isNameMet {
            // Nobody knows which of the changes under the name came behind the rename, if any.
            snapshots.changes(NamedChange(relations[place], LSN(UInt64.max)), &progress)
        }
    }

    /// Looks whether the table of the chunk whose turn it is would go on under another name behind it, or another table
    /// under its name. Such a chunk is not told, but read again once the stream was opened again.
    mutating func compareNamesOfChunk(_ source: some RelationSource) throws(ConnectorFailure) {
        guard let snapshots, let chunk = snapshots.chunkAtPlace else { return }
        let suspects: [Int]
        if chunk.work.clears {
            suspects = relations.indices.filter { place in
                (relations[place].id == chunk.table) != (relations[place].name == chunk.name)
            }
        } else {
            suspects = [relationPlaces[chunk.table]].compactMap(\.self).filter { place in
                relations[place].name != chunk.name && relations[place].judgedAs != chunk.name
            }
        }
        _ = try findStale(suspects, source)
    }

    /// Finds out which of the relations the server would go on with under a name that is not theirs.
    private mutating func findStale(
        _ places: [Int], _ source: some RelationSource
    ) throws(ConnectorFailure) -> [Int] {
        if places.isEmpty { return [] }
        let names = try source.currentNames(of: places.map { relations[$0].id })
        var stale: [Int] = []
        for place in places {
            guard let name = names[relations[place].id] else { continue }
            if isUnannounced(name, of: relations[place]) {
                stale.append(place)
                staleNames.append("\(relations[place].name) for what is called \(name.qualifiedName) now")
            } else {
                relations[place].judgedAs = name.qualifiedName
            }
        }
        if !stale.isEmpty { isStale = true }
        return stale
    }

    /// True when the server does not announce this name before the next change. Another name of the table itself it
    /// does, and with it what the schema is called.
    private func isUnannounced(_ name: CurrentName, of known: KnownRelation) -> Bool {
        guard name.qualifiedName != known.name else { return false }
        return name.isPartitioned || known.name.hasSuffix("." + name.table)
    }
}
