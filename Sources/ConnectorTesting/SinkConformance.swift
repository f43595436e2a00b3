import ConnectorKit

/// The rules that every ``EventSink`` keeps, as functions that look for violations; used like ``SourceConformance``.
package enum SinkConformance {
    /// Looks whether a sink keeps one rule. The subject's storage must be empty.
    ///
    /// Whatever the sink throws, and every call that hangs, is a violation of the rule too.
    package static func violations(of rule: SinkRule, by subject: SinkUnderTest) async -> [ConformanceViolation] {
        do {
            return try await explanations(of: rule, by: subject).map { ConformanceViolation(rule.rawValue, $0) }
        } catch let failure as ConnectorFailure {
            return [ConformanceViolation(rule.rawValue, "the sink failed with \(failure.code): \(failure.message)")]
        } catch {
            return [ConformanceViolation(rule.rawValue, "\(error)")]
        }
    }

    private static func explanations(of rule: SinkRule, by subject: SinkUnderTest) async throws -> [String] {
        switch rule {
        case .storesInOrder: try await storesInOrder(subject)
        case .durableCoversEarlierAccepted: try await durableCoversEarlierAccepted(subject)
        case .redeliveryAfterReopenStoresOnce: try await redeliveryStoresOnce(subject)
        case .atLeastOnce: try await atLeastOnce(subject)
        case .emptyRequiredWriteFlushes: try await emptyRequiredWriteFlushes(subject)
        case .acceptedMayBeLostButDurableNever: try await durableIsNeverLost(subject)
        case .closeIsCallableTwice: try await closeIsCallableTwice(subject)
        case .opensAgainAfterClose: try await opensAgainAfterClose(subject)
        case .savedStateIsHonoured: try await savedStateIsHonoured(subject)
        }
    }

    private static func storesInOrder(_ subject: SinkUnderTest) async throws -> [String] {
        let delivery = SinkDelivery(to: subject)
        try await delivery.open()
        var offset: UInt64 = 0
        for count: UInt64 in [1, 40, 0, 7, 100, 2] {
            try await delivery.write(offset..<(offset + count), .required)
            offset += count
        }
        try await delivery.close()
        return differences(try await subject.stored(), SampleRecords.expected(0..<offset))
    }

    private static func durableCoversEarlierAccepted(_ subject: SinkUnderTest) async throws -> [String] {
        let delivery = SinkDelivery(to: subject)
        try await delivery.open()
        try await delivery.write(0..<20, .whenConvenient)
        try await delivery.write(20..<50, .whenConvenient)
        let receipt = try await delivery.write(50..<60, .required)
        try await delivery.close()
        let missing = missing(in: try await delivery.storedAfterRecovery(), 0..<60)
        return covering(receipt, 60) + (missing.isEmpty ? [] : ["missing after close: \(missing)"])
    }

    private static func emptyRequiredWriteFlushes(_ subject: SinkUnderTest) async throws -> [String] {
        let delivery = SinkDelivery(to: subject)
        try await delivery.open()
        try await delivery.write(0..<30, .whenConvenient)
        let receipt = try await delivery.write(30..<30, .required)
        try await delivery.close()
        let missing = missing(in: try await delivery.storedAfterRecovery(), 0..<30)
        return covering(receipt, 30) + (missing.isEmpty ? [] : ["missing after close: \(missing)"])
    }

    private static func covering(_ receipt: DeliveryReceipt, _ offset: UInt64) -> [String] {
        if let durable = receipt.durableBefore, durable >= offset { return [] }
        let said = receipt.durableBefore.map { "durable before \($0)" } ?? "accepted"
        return ["a required write up to offset \(offset) was answered with \(said)"]
    }

    private static func redeliveryStoresOnce(_ subject: SinkUnderTest) async throws -> [String] {
        guard subject.promise == .exactlyOnce else { return [] }
        let delivery = SinkDelivery(to: subject)
        try await delivery.open()
        try await delivery.write(0..<25, .required)
        try await delivery.write(25..<60, .whenConvenient)
        delivery.crash()
        try await redeliver(delivery, to: 80)
        let repeated = repeated(in: try await delivery.storedAfterRecovery(), 0..<80)
        return repeated.isEmpty ? [] : ["stored more than once: \(repeated)"]
    }

    private static func atLeastOnce(_ subject: SinkUnderTest) async throws -> [String] {
        let delivery = SinkDelivery(to: subject)
        try await delivery.open()
        try await delivery.write(0..<25, .required)
        try await delivery.write(25..<60, .whenConvenient)
        try await delivery.close()
        try await redeliver(delivery, to: 80)
        let stored = try await subject.stored().mapValues(firstAppearances)
        return differences(stored, SampleRecords.expected(0..<80))
    }

    /// Opens a new sink, delivers everything from the cursor on in batches of other sizes than before, and closes.
    private static func redeliver(_ delivery: SinkDelivery, to end: UInt64) async throws {
        try await delivery.open()
        var offset = delivery.cursor.durable
        while offset < end {
            let next = min(offset + 11, end)
            try await delivery.write(offset..<next, next == end ? .required : .whenConvenient)
            offset = next
        }
        try await delivery.close()
    }

    private static func durableIsNeverLost(_ subject: SinkUnderTest) async throws -> [String] {
        let delivery = SinkDelivery(to: subject)
        try await delivery.open()
        var offset: UInt64 = 0
        for (count, durability) in [
            (8, Durability.whenConvenient), (20, .required), (5, .whenConvenient), (9, .required),
        ] {
            try await delivery.write(offset..<(offset + UInt64(count)), durability)
            offset += UInt64(count)
        }
        try await delivery.write(offset..<(offset + 30), .whenConvenient)
        delivery.crash()
        let durable = delivery.cursor.durable
        let missing = missing(in: try await delivery.storedAfterRecovery(), 0..<durable)
        return missing.isEmpty ? [] : ["durable before \(durable), but missing after a crash: \(missing)"]
    }

    private static func closeIsCallableTwice(_ subject: SinkUnderTest) async throws -> [String] {
        let untouched = try await subject.makeSink()
        for _ in 0..<2 { try await within(subject.patience, "close") { await untouched.close() } }
        let delivery = SinkDelivery(to: subject)
        try await delivery.open()
        try await delivery.write(0..<5, .whenConvenient)
        try await delivery.close()
        try await delivery.close()
        return []
    }

    private static func opensAgainAfterClose(_ subject: SinkUnderTest) async throws -> [String] {
        let delivery = SinkDelivery(to: subject)
        try await delivery.open()
        try await delivery.write(0..<20, .required)
        try await delivery.close()
        try await delivery.open(again: true)
        try await delivery.write(delivery.cursor.durable..<45, .required)
        try await delivery.close()
        let stored = try await subject.stored()
        let missing = missing(in: stored, 0..<20) + missing(in: stored, 44..<45)
        return missing.isEmpty ? [] : ["missing after the second opening: \(missing)"]
    }

    private static func savedStateIsHonoured(_ subject: SinkUnderTest) async throws -> [String] {
        guard subject.promise == .exactlyOnce else { return [] }
        let delivery = SinkDelivery(to: subject)
        try await delivery.open()
        try await delivery.write(0..<25, .required)
        let earlier = delivery.cursor
        try await delivery.write(25..<60, .required)
        try await delivery.close()
        delivery.goBack(to: earlier)
        try await redeliver(delivery, to: 80)
        let repeated = repeated(in: try await delivery.storedAfterRecovery(), 0..<80)
        return repeated.isEmpty ? [] : ["stored more than once: \(repeated)"]
    }
}
