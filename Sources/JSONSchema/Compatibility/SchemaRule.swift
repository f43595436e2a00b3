/// Why documents of one schema need not be valid under another. The words are stable: programs may tell rules apart by
/// them. Each is explained in `docs/reference/compatibility.md`.
package enum SchemaRule: String, Sendable, Hashable, CaseIterable {
    // The whole
    case schemaNotUsable = "schema-not-usable"
    case notComparable = "not-comparable"
    case tooLarge = "too-large-to-compare"
    case nothingAllowed = "nothing-allowed"

    // Any value
    case typeNarrowed = "type-narrowed"
    case enumAdded = "enum-added"
    case enumValueRemoved = "enum-value-removed"
    case constAdded = "const-added"
    case constChanged = "const-changed"

    // Numbers
    case minimumRaised = "minimum-raised"
    case maximumLowered = "maximum-lowered"
    case multipleOfNarrowed = "multiple-of-narrowed"

    // Text
    case minLengthRaised = "min-length-raised"
    case maxLengthLowered = "max-length-lowered"
    case patternAdded = "pattern-added"
    case patternChanged = "pattern-changed"
    case formatAdded = "format-added"
    case formatChanged = "format-changed"

    // Arrays
    case minItemsRaised = "min-items-raised"
    case maxItemsLowered = "max-items-lowered"
    case uniqueItemsAdded = "unique-items-added"
    case itemsNarrowed = "items-narrowed"
    case containsNarrowed = "contains-narrowed"

    // Objects
    case propertyAddedToOpenModel = "property-added-to-open-model"
    case propertyAddedToPartlyOpenModel = "property-added-to-partly-open-model"
    case propertyRemovedFromClosedModel = "property-removed-from-closed-model"
    case propertyNotCoveredByModel = "property-not-covered-by-partly-open-model"
    case propertyForbidden = "property-forbidden"
    case requiredAdded = "required-added"
    case modelClosed = "model-closed"
    case modelNarrowed = "model-narrowed"
    case patternPropertyAdded = "pattern-property-added"
    case propertyNamesNarrowed = "property-names-narrowed"
    case minPropertiesRaised = "min-properties-raised"
    case maxPropertiesLowered = "max-properties-lowered"
    case dependentRequiredAdded = "dependent-required-added"
    case dependentSchemaNarrowed = "dependent-schema-narrowed"

    // Logic
    case anyOfNarrowed = "any-of-narrowed"
    case oneOfNarrowed = "one-of-narrowed"
    case oneOfAmbiguous = "one-of-ambiguous"
    case notExtended = "not-extended"
    case conditionNarrowed = "condition-narrowed"

    // Of a table, in the database's words
    case columnDropped = "column-dropped"
    case columnRetyped = "column-retyped"
    case labelUnknown = "label-unknown"
    case keyChanged = "key-changed"
}
