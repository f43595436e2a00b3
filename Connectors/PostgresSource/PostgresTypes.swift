internal import ChangeModel

/// The built-in types that have a meaning of their own here, by oid (`pg_type.dat`: these numbers never change).
enum PostgresTypes {
    /// What a column of this type holds; `other` for every type that is not listed.
    static func valueType(ofTypeID id: UInt32) -> ValueType {
        switch id {
        case 16: .boolean
        case 17: .bytes
        case 20: .int64
        case 21: .int16
        case 23: .int32
        case 19, 25, 1042, 1043: .text
        case 114, 3802: .json
        case 700: .float32
        case 701: .float64
        case 1082: .date
        case 1083: .time
        case 1114: .timestamp
        case 1184: .timestampTZ
        case 1186: .interval
        case 1266: .timeTZ
        case 1700: .numeric
        case 2950: .uuid
        default: .other
        }
    }

    /// Says what the modifier of a type limits; `base` is the column's type below its domains.
    static func limit(_ column: inout Column, to base: TypeUse) {
        let modifier = Int(base.modifier)
        switch base.id {
        // Character types count their own length word.
        case 1042, 1043: if modifier > 4 { column.lengthMax = modifier - 4 }
        case 1560, 1562: if modifier > 0 { column.lengthMax = modifier }
        case 1700:
            guard modifier >= 4 else { return }
            // Eleven bits with a sign (numeric.c).
            let scale = (modifier - 4) & 0x7FF
            (column.precision, column.scale) = ((modifier - 4) >> 16 & 0xFFFF, (scale ^ 0x400) - 0x400)
        default: break
        }
    }
}
